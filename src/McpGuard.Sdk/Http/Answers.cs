using System.Buffers;
using System.Text.Json;
using McpAuth.Protocol;
using McpGuard.Sdk.Calls;
using Microsoft.AspNetCore.Http;

namespace McpGuard.Sdk.Http;

/// <summary>Writes every answer that is the guard's own.</summary>
internal static class Answers
{
    public static Task Refused(HttpContext context, AuthenticationRefusal refusal, string nonce)
    {
        HttpResponse response = context.Response;
        response.StatusCode = refusal.Status;
        response.Headers.CacheControl = "no-store";
        if (refusal.Challenge is not null) response.Headers.WWWAuthenticate = refusal.Challenge;
        if (refusal.WithNonce) response.Headers[Names.Dpop.Nonce] = nonce;
        if (refusal.Status == StatusCodes.Status503ServiceUnavailable) response.Headers.RetryAfter = "1";
        return Task.CompletedTask;
    }

    public static Task Status(HttpContext context, int status)
    {
        context.Response.StatusCode = status;
        return Task.CompletedTask;
    }

    public static Task Unavailable(HttpContext context)
    {
        context.Response.Headers.RetryAfter = "1";
        return Status(context, StatusCodes.Status503ServiceUnavailable);
    }

    public static Task Error(HttpContext context, JsonElement id, McpError error) => Write(context, error.Status, id, writer =>
    {
        writer.WriteStartObject("error");
        writer.WriteNumber("code", error.Code);
        writer.WriteString("message", error.Message);
        if (error.Requested is not null)
        {
            writer.WriteStartObject("data");
            writer.WriteStartArray("supported");
            // What server/discover lists, and nothing else: older revisions are reached by initialize, not by trying versions (MCP 2026-07-28).
            writer.WriteStringValue(Names.Mcp.V20260728);
            writer.WriteEndArray();
            writer.WriteString("requested", error.Requested);
            writer.WriteEndObject();
        }
        writer.WriteEndObject();
    });

    /// <summary>RFC 6750 §3.1: all that is needed in one challenge.</summary>
    public static Task InsufficientScope(HttpContext context, CallDecision decision, ResourceAddress resource)
    {
        context.Response.Headers.WWWAuthenticate =
            resource.Insufficient(decision.Denial!.Scopes!, decision.Caller.Token.Jkt is null ? Names.OAuth.Bearer : Names.Dpop.Scheme);
        context.Response.Headers.CacheControl = "no-store";
        return Status(context, StatusCodes.Status403Forbidden);
    }

    /// <summary>A denial no scope can cure: a result the model can read, or a JSON-RPC error where the method has no such result.</summary>
    public static Task Denied(HttpContext context, CallDecision decision, bool modern)
    {
        Denial denial = decision.Denial!;
        if (modern && denial.Page is { } page && decision.Message.OpensAddresses) return InputRequired(context, decision, page);
        return Write(context, StatusCodes.Status200OK, decision.Message.Id, writer =>
        {
            if (decision.Message.Method == McpMethods.ToolsCall)
            {
                writer.WriteStartObject("result");
                Failure(writer, denial.Text, modern);
                writer.WriteStartObject("_meta");
                Meta(writer, decision);
                writer.WriteEndObject();
                writer.WriteEndObject();
            }
            else
            {
                writer.WriteStartObject("error");
                writer.WriteNumber("code", McpError.InvalidParams);
                writer.WriteString("message", denial.Text);
                writer.WriteStartObject("data");
                Meta(writer, decision);
                writer.WriteEndObject();
                writer.WriteEndObject();
            }
        });
    }

    /// <summary>
    /// MCP 2026-07-28, multi round-trip requests: the client leads its user to the page and calls again, which is another decision. There is no <c>requestState</c>: it would
    /// come back through the caller's hands, so nothing could depend on it.
    /// </summary>
    private static Task InputRequired(HttpContext context, CallDecision decision, ApprovalPage page) => Write(context, StatusCodes.Status200OK, decision.Message.Id, writer =>
    {
        writer.WriteStartObject("result");
        writer.WriteString("resultType", "input_required");
        writer.WriteStartObject("inputRequests");
        writer.WriteStartObject(Names.Mcp.ApprovalInput);
        writer.WriteString("method", "elicitation/create");
        writer.WriteStartObject("params");
        writer.WriteString("mode", "url");
        writer.WriteString("elicitationId", page.Id);
        writer.WriteString("url", page.Url);
        // The address stands in its own member only.
        writer.WriteString("message", $"The tool {decision.Tool!.Name} wants to run and needs your approval. The page shows what it would do; sign in there as yourself.");
        writer.WriteEndObject();
        writer.WriteEndObject();
        writer.WriteEndObject();
        writer.WriteStartObject("_meta");
        Meta(writer, decision);
        writer.WriteEndObject();
        writer.WriteEndObject();
    });

    private static void Meta(Utf8JsonWriter writer, CallDecision decision)
    {
        writer.WriteStartObject(Names.Mcp.DenialMeta);
        writer.WriteString("code", decision.Denial!.Code);
        writer.WriteString("decision_id", decision.Id);
        if (decision.Denial.Remedy is { } remedy) writer.WriteString("remedy", remedy);
        if (decision.Denial.RetryAfter is { } seconds) writer.WriteNumber("retry_after", seconds);
        if (decision.Denial.Page is { } page) writer.WriteString("url", page.Url);
        writer.WriteEndObject();
    }

    /// <summary>
    /// In place of an answer that was larger than it may be: a JSON answer if nothing was sent yet, a last event where a stream of events can take one. What
    /// was cut off in its middle cannot be mended: the connection ends.
    /// </summary>
    public static async Task TooLarge(HttpContext context, Admission admission, BoundedBody cut, bool begun)
    {
        HttpResponse response = context.Response;
        if (!begun)
        {
            (response.ContentLength, response.Headers.ContentEncoding) = (null, default);
            await Write(context, StatusCodes.Status200OK, admission.Message.Id, Body);
        }
        else if (cut.BetweenEvents && response.ContentType?.StartsWith("text/event-stream", StringComparison.OrdinalIgnoreCase) is true)
        {
            var message = new ArrayBufferWriter<byte>(512);
            message.Write("event: message\ndata: "u8);
            WriteMessage(message, admission.Message.Id, Body);
            message.Write("\n\n"u8);
            await response.Body.WriteAsync(message.WrittenMemory, context.RequestAborted);
        }
        else
        {
            context.Abort();
        }

        void Body(Utf8JsonWriter writer)
        {
            string text = $"The answer was larger than {cut.Limit} bytes, and was cut off.";
            if (admission.Message.Method == McpMethods.ToolsCall)
            {
                writer.WriteStartObject("result");
                Failure(writer, text, admission.Modern);
                writer.WriteEndObject();
                return;
            }
            writer.WriteStartObject("error");
            writer.WriteNumber("code", McpError.Internal);
            writer.WriteString("message", text);
            writer.WriteEndObject();
        }
    }

    /// <summary>The members of a result that tells a model what went wrong.</summary>
    private static void Failure(Utf8JsonWriter writer, string text, bool modern)
    {
        writer.WriteStartArray("content");
        writer.WriteStartObject();
        writer.WriteString("type", "text");
        writer.WriteString("text", text);
        writer.WriteEndObject();
        writer.WriteEndArray();
        writer.WriteBoolean("isError", true);
        if (modern) writer.WriteString("resultType", "complete");
    }

    private static async Task Write(HttpContext context, int status, JsonElement id, Action<Utf8JsonWriter> body)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        context.Response.Headers.CacheControl = "no-store";
        WriteMessage(context.Response.BodyWriter, id, body);
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
    }

    private static void WriteMessage(IBufferWriter<byte> output, JsonElement id, Action<Utf8JsonWriter> body)
    {
        using var writer = new Utf8JsonWriter(output);
        writer.WriteStartObject();
        writer.WriteString("jsonrpc", "2.0");
        writer.WritePropertyName("id");
        if (id.ValueKind == JsonValueKind.Undefined) writer.WriteNullValue();
        else id.WriteTo(writer);
        body(writer);
        writer.WriteEndObject();
    }
}
