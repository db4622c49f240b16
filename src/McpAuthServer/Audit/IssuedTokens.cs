using System.Collections.Concurrent;
using System.Text.Json;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Storage;

namespace McpAuthServer.Audit;

/// <summary>There is no table of access tokens: the <c>token.issued</c> event of a <c>jti</c> is the record of what the token was.</summary>
internal sealed class IssuedTokens(IReadStore store)
{
    private const int MaxKnown = 50_000;

    private static readonly Sql Select = new("select body from audit_events where jti = @jti and type = 'token.issued'");

    // Events are immutable, so an entry is never wrong; the whole is dropped when it grows too large.
    private readonly ConcurrentDictionary<string, AuditEvent> known = new(StringComparer.Ordinal);

    /// <summary>Who got it, for which resource, task and grant; null when no such token was issued.</summary>
    public async ValueTask<AuditEvent?> FindAsync(string jti, CancellationToken cancel)
    {
        if (known.TryGetValue(jti, out var issued))
            return issued;
        if (await store.First(Select.With(jti), r => r.GetString(0), cancel) is not { } body)
            return null;
        if (known.Count >= MaxKnown)
            known.Clear();
        return known[jti] = JsonSerializer.Deserialize(body, ProtocolJson.Default.AuditEvent)!;
    }
}
