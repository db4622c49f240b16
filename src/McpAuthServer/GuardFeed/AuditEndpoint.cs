using System.Buffers;
using System.Security.Cryptography;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
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
    private const int MaxEntriesPerUnit = 500;

    public static void MapAuditEndpoint(this IEndpointRouteBuilder routes) => routes.MapPost(Names.Paths.GuardAudit, HandleAsync);

    private static async Task<IResult> HandleAsync(HttpContext context, GuardCallers callers, IssuedTokens issued, ICommitLog log, ServerOptions options, TimeProvider time)
    {
        var (caller, error) = await callers.AuthenticateAsync(context, Names.Paths.GuardAudit);
        if (caller is null)
            return error!;
        var (body, invalid) = await StrictBody.LentJsonAsync(context.Request, Limits.GuardBody);
        if (body is null)
            return invalid!;
        List<PresentedEntry>? entries;
        using (body)
            entries = Read(body.Span);
        if (entries is null)
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

    /// <summary>Entry by entry: of a body of thousands of values, what is short-lived stays small.</summary>
    private static List<PresentedEntry>? Read(ReadOnlySpan<byte> body)
    {
        try
        {
            var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = Limits.JsonDepth });
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
                return null;
            List<PresentedEntry>? entries = null;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var wanted = reader.ValueTextEquals("entries"u8);
                reader.Read();
                if (!wanted)
                    reader.Skip();
                else if (reader.TokenType != JsonTokenType.StartArray || (entries = Entries(ref reader, body)) is null)
                    return null;
            }
            return entries is { Count: > 0 } && entries[0].Seq > 0 ? entries : null;
        }
        catch (Exception e) when (e is KeyNotFoundException or InvalidOperationException or FormatException or JsonException)
        {
            return null;
        }
    }

    private static List<PresentedEntry>? Entries(ref Utf8JsonReader reader, ReadOnlySpan<byte> body)
    {
        var entries = new List<PresentedEntry>();
        var link = new ArrayBufferWriter<byte>(2048);
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            var entry = JsonElement.Parse(body[start..(int)reader.BytesConsumed]);
            var e = entry.GetProperty("event");
            if (entry.GetProperty("prev").GetString() is not { } prev || e.Deserialize(RequestJson.Default.AuditEvent) is not { } read)
                return null;
            link.ResetWrittenCount();
            link.Write(Base64Url.TryDecode(prev, out var above) ? above : []);
            CanonicalJson.Write(e, link);
            entries.Add(new PresentedEntry(entry.GetProperty("seq").GetInt64(), prev, Base64Url.Encode(SHA256.HashData(link.WrittenSpan)), read));
            if (entries is [.., { } before, { } last] && last.Seq != before.Seq + 1)
                return null;
        }
        return entries;
    }
}
