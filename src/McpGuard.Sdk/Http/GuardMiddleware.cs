using System.Buffers;
using System.Text.Json;
using McpAuth.Protocol;
using McpGuard.Sdk.Calls;
using McpGuard.Sdk.Downstream;
using McpGuard.Sdk.Revocation;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace McpGuard.Sdk.Http;

/// <summary>
/// Guards any endpoint that takes JSON-RPC by POST: it gets a body rebuilt from what was decided on, and no token; its lists are filtered
/// on the way back.
/// </summary>
internal sealed class GuardMiddleware(
    RequestDelegate next, PathString path, GuardGate gate, MetadataEndpoint metadata, CallDecider decider, ListRules lists, RunningCalls calls, LiveCalls live, CallLimits limits)
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
        CancellationToken aborted = context.RequestAborted;
        context.RequestAborted = call.Stop;
        try
        {
            BoundedBody? cut = await (admission.Kind == MethodKind.List ? Listed(context, admission) : Called(context, admission, call));
            context.RequestAborted = aborted;
            // Also where the endpoint was stopped and says nothing of it.
            if (call.Ended) await gate.End(context, admission, context.Response.HasStarted);
            else if (cut is not null) await gate.Cut(context, admission, cut, context.Response.HasStarted);
        }
        catch (OperationCanceledException) when (call.Ended)
        {
            await gate.End(context, admission, context.Response.HasStarted);
        }
        catch (OperationCanceledException) when (call.Lapsed)
        {
            // The stream ends with its token, and a client that still may opens it again.
        }
    }

    /// <returns>The answer that was cut off; null when it passed.</returns>
    private async Task<BoundedBody?> Called(HttpContext context, Admission admission, LiveCall call)
    {
        // A stream without an end of its own has no size either.
        BoundedBody? body = admission.Listens ? null : new BoundedBody(context.Response.Body, context.Response, limits.ResultOf(admission.Decision?.Tool?.Name), call.Cut);
        using RunningCall? running = admission.Decision is { } decided ? calls.Enter(decided) : null;
        bool success = false;
        try
        {
            await (body is null ? next(context) : Within(body, context));
            success = context.Response.StatusCode < StatusCodes.Status400BadRequest;
        }
        catch (OperationCanceledException) when (admission.Listens)
        {
            // Nothing but this ends a stream that works.
            success = true;
            throw;
        }
        catch (Exception) when (body is { Exceeded: true })
        {
            return body;
        }
        finally
        {
            HandlerOutcome how = body is { Exceeded: true } ? new(false, HandlerOutcome.TooLarge) : success ? new(true) : new(false, HandlerOutcome.Failed);
            if (admission.Decision is { } decision) decider.Finished(decision, how);
        }
        return body is { Exceeded: true } ? body : null;
    }

    private async Task Within(BoundedBody body, HttpContext context)
    {
        IHttpResponseBodyFeature outside = context.Features.GetRequiredFeature<IHttpResponseBodyFeature>();
        var inside = new BoundedBodyFeature(outside, body);
        context.Features.Set<IHttpResponseBodyFeature>(inside);
        try
        {
            await next(context);
            await inside.DrainAsync();
        }
        finally
        {
            context.Features.Set(outside);
        }
    }

    private async Task<BoundedBody?> Listed(HttpContext context, Admission admission)
    {
        using var inside = new MemoryStream();
        var body = new BoundedBody(inside, context.Response, limits.ResultOf(null));
        try
        {
            await Within(body, context);
        }
        catch (Exception) when (body.Exceeded)
        {
            return body;
        }
        if (body.Exceeded) return body;
        Stream outside = context.Response.Body;
        if (context.Response.StatusCode != StatusCodes.Status200OK)
        {
            inside.Position = 0;
            await inside.CopyToAsync(outside, context.RequestAborted);
            return null;
        }
        context.Response.ContentLength = null;
        if (ListAnswer.Filter(inside.GetBuffer().AsMemory(0, (int)inside.Length), context.Response.ContentType, admission, lists) is { } shown)
            await outside.WriteAsync(shown, context.RequestAborted);
        else // What cannot be read cannot be filtered.
            await Answers.Error(context, admission.Message.Id, new McpError(McpError.Internal, "The list could not be read.", StatusCodes.Status200OK));
        return null;
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
        PresentedToken.Remove(request);
        request.Headers.Remove(Names.Mcp.SessionHeader);
    }
}
