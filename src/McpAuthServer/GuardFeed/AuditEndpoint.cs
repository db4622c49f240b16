using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.Messages;
using McpAuthServer.Audit;
using McpAuthServer.Http;
using McpAuthServer.Storage;

namespace McpAuthServer.GuardFeed;

/// <summary><c>POST /guard/audit</c>: takes a guard's spool in, in sequence, exactly once.</summary>
internal static class AuditEndpoint
{
    /// <summary>Entries of one transaction: one guard's backlog must not hold the log.</summary>
    private const int MaxEntriesPerUnit = 200;

    public static void MapAuditEndpoint(this IEndpointRouteBuilder routes) => routes.MapPost(Names.Paths.GuardAudit, HandleAsync);

    private static async Task<IResult> HandleAsync(HttpContext context, GuardCallers callers, IssuedTokens issued, ICommitLog log, ServerOptions options, TimeProvider time)
    {
        var (caller, error) = await callers.AuthenticateAsync(context, Names.Paths.GuardAudit);
        if (caller is null)
            return error!;
        var (json, invalid) = await StrictBody.JsonAsync(context.Request, Limits.GuardBody);
        if (invalid is not null)
            return invalid;
        if (Read(json) is not { } entries)
            return OAuthError.InvalidRequest("The body must be {\"entries\":[{\"seq\",\"prev\",\"event\"}…]} with consecutive seq.");

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

    private static List<PresentedEntry>? Read(JsonElement body)
    {
        try
        {
            var entries = new List<PresentedEntry>();
            foreach (var item in body.GetProperty("entries").EnumerateArray())
            {
                var e = item.GetProperty("event");
                if (item.GetProperty("prev").GetString() is not { } prev || e.Deserialize(RequestJson.Default.AuditEvent) is not { } read)
                    return null;
                entries.Add(new PresentedEntry(item.GetProperty("seq").GetInt64(), prev, CanonicalJson.ToBytes(e), read));
            }
            for (var i = 1; i < entries.Count; i++)
                if (entries[i].Seq != entries[i - 1].Seq + 1)
                    return null;
            return entries.Count > 0 && entries[0].Seq > 0 ? entries : null;
        }
        catch (Exception e) when (e is KeyNotFoundException or InvalidOperationException or FormatException or JsonException)
        {
            return null;
        }
    }
}
