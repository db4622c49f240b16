using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Audit;
using McpAuthServer.Http;
using McpAuthServer.Storage;

namespace McpAuthServer.GuardFeed;

/// <summary><c>POST /guard/audit</c>: takes a guard's spool in, in sequence, exactly once.</summary>
internal static class AuditEndpoint
{
    /// <summary>Entries of one transaction: one guard's backlog must not hold the log.</summary>
    private const int MaxEntriesPerUnit = 500;

    public static void MapAuditEndpoint(this IEndpointRouteBuilder routes) => routes.MapPost(Names.Paths.GuardAudit, HandleAsync);

    private static async Task<IResult> HandleAsync(HttpContext context, GuardCallers callers, IssuedTokens issued, ICommitLog log, ServerOptions options, TimeProvider time)
    {
        var (caller, error) = await callers.AuthenticateAsync(context, Names.Paths.GuardAudit);
        if (caller is null)
            return error!;
        var (body, unread) = await StrictBody.LentAsync(context.Request, Limits.GuardBody);
        if (body is null)
            return unread!;
        List<PresentedEntry>? entries;
        using (body)
            if (!PresentedEntries.Read(body.Span).TryGet(out entries, out var fault))
                return OAuthError.InvalidRequest(fault.ToString(), fault.Code);

        // What a guard says of a token is completed from what was issued; a token of another audience is none of its business.
        var acknowledged = 0L;
        foreach (var chunk in entries.Chunk(MaxEntriesPerUnit))
        {
            var completed = new List<CompletedEntry>(chunk.Length);
            foreach (var entry in chunk)
                completed.Add(CompletedEntry.From(entry, await IssuedAsync(entry.Event.Jti), await IssuedAsync(CompletedEntry.TokenUsed(entry.Event)), caller));
            var now = time.GetUtcNow();
            long? keepUntil = options.DecisionRetention > TimeSpan.Zero ? (now + options.DecisionRetention).ToUnixTimeMilliseconds() : null;
            var stored = await log.Commit(new StoreSpool(caller.Guard.Id, caller.Server.Id, completed, now, keepUntil, options.Node));
            if (stored is not { } last)
                return new OAuthError(Names.Errors.TemporarilyUnavailable, "Another delivery of this guard was first; send again.", StatusCodes.Status409Conflict);
            acknowledged = last;
        }
        return Results.Json(new GuardAuditResponse(acknowledged), ProtocolJson.Default.GuardAuditResponse);

        async ValueTask<AuditEvent?> IssuedAsync(string? jti) => jti is null ? null : await issued.FindAsync(jti, context.RequestAborted);
    }
}
