using System.Buffers;
using System.Text.Json;
using McpAuth.Protocol;
using McpGuard.Sdk.Calls;
using McpGuard.Sdk.Revocation;
using Microsoft.AspNetCore.Http;

namespace McpGuard.Sdk.Http;

/// <summary>
/// Guards any endpoint that takes JSON-RPC by POST: it gets a body rebuilt from what was decided on, and no token; its lists are filtered
/// on the way back.
/// </summary>
internal sealed class GuardMiddleware(RequestDelegate next, PathString path, GuardGate gate, MetadataEndpoint metadata, CallDecider decider, ToolCatalogue catalogue, LiveCalls live)
{
    public async Task InvokeAsync(HttpContext context)
    {
        if (metadata.Serves(context.Request.Path))
        {
            await metadata.Handle(context);
            return;
        }
        // Whatever routing would still take for the endpoint (another case, a slash, a path below) is guarded too.
        if (!context.Request.Path.StartsWithSegments(path, StringComparison.OrdinalIgnoreCase))
        {
            await next(context);
            return;
        }
        if (await gate.Admit(context) is not { } admission) return;
        Rebuild(context, admission);
        using LiveCall call = live.Enter(context, admission.Caller.Token, endless: admission.Listens);
        context.RequestAborted = call.Stop;
        try
        {
            await (admission.Kind == MethodKind.List ? Listed(context, admission) : Called(context, admission));
        }
        catch (OperationCanceledException) when (call.Ended)
        {
            await gate.End(context, admission);
        }
        catch (OperationCanceledException) when (call.Lapsed)
        {
            // The stream ends with its token, and a client that still may opens it again.
        }
    }

    private async Task Called(HttpContext context, Admission admission)
    {
        bool success = false;
        try
        {
            await next(context);
            success = context.Response.StatusCode < StatusCodes.Status400BadRequest;
        }
        catch (OperationCanceledException) when (admission.Listens)
        {
            // Nothing but this ends a stream that works.
            success = true;
            throw;
        }
        finally
        {
            if (admission.Decision is { } decision) decider.Finished(decision, success, success ? null : "handler_failed");
        }
    }

    private async Task Listed(HttpContext context, Admission admission)
    {
        Stream outside = context.Response.Body;
        using var inside = new MemoryStream();
        context.Response.Body = inside;
        try
        {
            await next(context);
        }
        finally
        {
            context.Response.Body = outside;
        }
        if (context.Response.StatusCode != StatusCodes.Status200OK)
        {
            inside.Position = 0;
            await inside.CopyToAsync(outside, context.RequestAborted);
            return;
        }
        context.Response.ContentLength = null;
        if (ListAnswer.Filter(inside.GetBuffer().AsMemory(0, (int)inside.Length), context.Response.ContentType, admission, catalogue) is { } shown)
            await outside.WriteAsync(shown, context.RequestAborted);
        else // What cannot be read cannot be filtered.
            await Answers.Error(context, admission.Message.Id, new McpError(McpError.Internal, "The list could not be read.", StatusCodes.Status200OK));
    }

    private static void Rebuild(HttpContext context, Admission admission)
    {
        var body = new ArrayBufferWriter<byte>(512);
        using (var writer = new Utf8JsonWriter(body)) RebuiltMessage.Write(writer, admission);
        HttpRequest request = context.Request;
        request.Body = new MemoryStream(body.WrittenSpan.ToArray(), writable: false);
        request.ContentLength = body.WrittenCount;
        request.Headers.TransferEncoding = default;
        request.ContentType = "application/json";
        context.User = admission.Caller.Token.Principal;
        context.Features.Set(admission);
        // No token passes through, and a session the client chose is nobody's.
        request.Headers.Authorization = default;
        request.Headers.Remove(Names.Dpop.Header);
        request.Headers.Remove(Names.Mcp.SessionHeader);
    }
}
