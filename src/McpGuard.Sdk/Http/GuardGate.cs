using McpAuth.Protocol;
using McpGuard.Sdk.Audit;
using McpGuard.Sdk.Calls;
using Microsoft.AspNetCore.Http;

namespace McpGuard.Sdk.Http;

/// <summary>
/// The order in which a request is checked, on one screen. Answers null when the answer is already written; nothing behind the gate has
/// seen the request then.
/// </summary>
internal sealed class GuardGate(
    OriginRules origins, Authentication authentication, ToolCatalogue catalogue, CallDecider decider, RefusalLog refusals, ResourceAddress resource)
{
    public async ValueTask<Admission?> Admit(HttpContext context)
    {
        // 1. Host and Origin, before anything of the request is believed.
        if (origins.Check(context) is { } foreign) return await Refuse(foreign, Answers.Status(context, StatusCodes.Status403Forbidden));
        if (OriginRules.Preflight(context, "POST")) return null;

        // 2. Token, signature and claims, proof of possession, revocation.
        (Caller? caller, AuthenticationRefusal? refusal) = await authentication.Authenticate(context.Request, context.RequestAborted);
        if (refusal is not null) return await Refuse(refusal.Reason, Answers.Refused(context, refusal, authentication.Nonce), refusal.Jti);

        // 3. One strict parse of one bounded message.
        string jti = caller!.Token.Jti;
        if (!HttpMethods.IsPost(context.Request.Method))
        {
            context.Response.Headers.Allow = "POST";
            return await Refuse("wrong_method", Answers.Status(context, StatusCodes.Status405MethodNotAllowed), jti);
        }
        if (!(await MessageBody.Read(context.Request, context.RequestAborted)).TryGet(out McpMessage? message, out Fault? fault))
            return await Refuse(fault.Code, Unreadable(context, fault), jti);

        // 4. Headers equal the body.
        McpError? error = HeaderRules.Version(context.Request.Headers, out string? version)
            ?? HeaderRules.Check(context.Request.Headers, message, version, message.Method == McpMethods.ToolsCall && message.Name is { } name ? catalogue.Own(name) : null);
        if (error is not null) return await Refuse(error.Reason, Answers.Error(context, message.Id, error), jti);

        // 5. A method the guard knows.
        bool modern = version == Names.Mcp.V20260728;
        MethodKind kind = McpMethods.Kind(message, modern);
        if (kind == MethodKind.Unknown)
        {
            // Before 2026-07-28 a 404 means "your session is gone".
            int status = modern || message.IsNotification ? StatusCodes.Status404NotFound : StatusCodes.Status200OK;
            return await Refuse("unknown_method", Answers.Error(context, message.Id, new McpError(McpError.MethodNotFound, "The method is not available.", status)), jti);
        }

        // 6. The decision, recorded before anything runs.
        if (kind != MethodKind.Decided)
            return caller.Confirmed ? new Admission(caller, message, version, kind, null) : await Refuse("stale", Answers.Unavailable(context), jti);
        CallDecision decision = await decider.Decide(caller, message, context.RequestAborted);
        if (decision.Allowed) return new Admission(caller, message, version, kind, decision);
        await (decision.Denial!.Scopes is not null ? Answers.InsufficientScope(context, decision, resource) : Answers.Denied(context, decision, modern));
        return null;
    }

    /// <summary>The authority of a running request went away: 401 if nothing was sent yet, at once, also while a handler still runs; else the connection ends.</summary>
    /// <param name="begun">Whether something was sent.</param>
    public async Task End(HttpContext context, Admission admission, bool begun)
    {
        if (begun)
        {
            // The handler's outcome may say success: that its answer was cut short is recorded beside it.
            refusals.Record(Names.Reasons.Revoked, admission.Caller.Token.Jti);
            context.Abort();
            return;
        }
        HttpResponse response = context.Response;
        response.ContentType = null;
        // A handler that does not stop costs the connection in a moment. The answer has left by then, and nothing else is sent there.
        if (HttpProtocol.IsHttp11(context.Request.Protocol)) response.Headers.Connection = "close";
        await Refuse(Names.Reasons.Revoked, Answers.Refused(context, authentication.Revoked(admission.Caller.Token), authentication.Nonce), admission.Caller.Token.Jti);
        await response.CompleteAsync();
    }

    /// <summary>The answer was larger than it may be.</summary>
    /// <param name="begun">Whether something was sent.</param>
    public async Task Cut(HttpContext context, Admission admission, BoundedBody body, bool begun)
    {
        // Of a call it is the outcome; the rest has none.
        if (admission.Decision is null) refusals.Record(HandlerOutcome.TooLarge, admission.Caller.Token.Jti);
        await Answers.TooLarge(context, admission, body, begun);
    }

    private async ValueTask<Admission?> Refuse(string reason, Task answer, string? jti = null)
    {
        refusals.Record(reason, jti);
        await answer;
        return null;
    }

    private static Task Unreadable(HttpContext context, Fault fault) => fault.Code switch
    {
        MessageBody.WrongType => Answers.Status(context, StatusCodes.Status415UnsupportedMediaType),
        MessageBody.TooLarge => Answers.Status(context, StatusCodes.Status413PayloadTooLarge),
        _ => Answers.Error(context, default, new McpError(McpError.InvalidRequest, fault.Message, StatusCodes.Status400BadRequest)),
    };
}
