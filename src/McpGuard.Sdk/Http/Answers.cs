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
        return Write(context, StatusCodes.Status200OK, decision.Message.Id, writer =>
        {
            if (decision.Message.Method == McpMethods.ToolsCall)
            {
                writer.WriteStartObject("result");
                writer.WriteStartArray("content");
                writer.WriteStartObject();
                writer.WriteString("type", "text");
                writer.WriteString("text", denial.Text);
                writer.WriteEndObject();
                writer.WriteEndArray();
                writer.WriteBoolean("isError", true);
                if (modern) writer.WriteString("resultType", "complete");
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

    private static void Meta(Utf8JsonWriter writer, CallDecision decision)
    {
        writer.WriteStartObject(Names.Mcp.DenialMeta);
        writer.WriteString("code", decision.Denial!.Code);
        writer.WriteString("decision_id", decision.Id);
        if (decision.Denial.Remedy is { } remedy) writer.WriteString("remedy", remedy);
        writer.WriteEndObject();
    }

    private static async Task Write(HttpContext context, int status, JsonElement id, Action<Utf8JsonWriter> body)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        context.Response.Headers.CacheControl = "no-store";
        await using (var writer = new Utf8JsonWriter(context.Response.BodyWriter))
        {
            writer.WriteStartObject();
            writer.WriteString("jsonrpc", "2.0");
            writer.WritePropertyName("id");
            if (id.ValueKind == JsonValueKind.Undefined) writer.WriteNullValue();
            else id.WriteTo(writer);
            body(writer);
            writer.WriteEndObject();
        }
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
    }
}
