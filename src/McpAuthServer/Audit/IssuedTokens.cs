using System.Text.Json;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Storage;

namespace McpAuthServer.Audit;

/// <summary>There is no table of access tokens: the <c>token.issued</c> event of a <c>jti</c> is the record of what the token was.</summary>
internal sealed class IssuedTokens(IReadStore store)
{
    /// <summary>Their conditions are those of the index, word for word: of what is done with a token there is far more, and it is found by its task.</summary>
    internal static readonly Sql
        ByJti = new("select body from audit_events where jti = @jti and type = 'token.issued'"),
        AnyByJti = new("select body from audit_events where jti = @jti and (type = 'token.issued' or type = 'instance.attested' or type = 'instance.renewed')");

    private readonly Remembered<AuditEvent> known = new();

    /// <summary>Who got it, for which resource, task and grant; null when no such token was issued.</summary>
    public async ValueTask<AuditEvent?> FindAsync(string jti, CancellationToken cancel)
    {
        if (known.Find(jti) is { } issued)
            return issued;
        if (await store.First(ByJti.With(jti), r => r.GetString(0), cancel) is not { } body)
            return null;
        return known.Add(jti, JsonSerializer.Deserialize(body, ProtocolJson.Default.AuditEvent)!);
    }
}
