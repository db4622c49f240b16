using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Delegation;
using McpAuthServer.Storage;

namespace McpAuthServer.Keys;

/// <summary>What a revocation found, and did.</summary>
internal enum KeyRevocation { Done, Replaced, Already, Unknown }

/// <summary>
/// Emergency: a key may be in other hands. It is never published or trusted again, and the feed tells the guards. If it signed, <paramref name="fresh"/>
/// does from now on, unannounced. The next key lay beside it and is revoked with it; of a retired one nothing lay there any more.
/// </summary>
internal sealed class RevokeKey(string kid, NewSigningKey fresh, KeyOccasion at) : SigningKeyUnit<KeyRevocation>
{
    private static readonly Sql
        StateOf = new("select state from signing_keys where kid = @kid"),
        Waiting = new("select kid from signing_keys where state = 'next'"),
        Revoke = new("update signing_keys set state = 'revoked', ended_at = @now, private_wrapped = null, public_wrapped = null where kid = @kid and state <> 'revoked'");

    public override KeyRevocation Apply(WriteTx tx)
    {
        switch (tx.First(StateOf.With(kid), r => r.GetString(0)))
        {
            case null:
                tx.Append(at.Event(AuditTypes.KeyRevoked, kid, ("emergency", true)) with { Outcome = "refused", Reason = "unknown_key" });
                return KeyRevocation.Unknown;
            case SigningKeyState.Revoked:
                return KeyRevocation.Already;
            case SigningKeyState.Active:
                List<AuditEvent> events = [End(tx, kid, SigningKeyState.Active)];
                if (tx.First(Waiting.With(), r => r.GetString(0)) is { } next)
                    events.Add(End(tx, next, SigningKeyState.Next));
                fresh.Add(tx, SigningKeyState.Active, at.Ms, at.Ms);
                Changed(tx,
                [
                    .. events, at.Event(AuditTypes.KeyCreated, fresh.Kid, ("alg", fresh.Alg), ("state", SigningKeyState.Active), ("emergency", true)),
                    at.Event(AuditTypes.KeyActivated, fresh.Kid, ("emergency", true)),
                ]);
                return KeyRevocation.Replaced;
            case var state:
                Changed(tx, End(tx, kid, state));
                return KeyRevocation.Done;
        }
    }

    /// <summary>The row's end, the word for the guards, and the event.</summary>
    private AuditEvent End(WriteTx tx, string key, string was)
    {
        tx.Run(Revoke.With(at.Ms, key));
        Revocations.DenyKey(tx, key, Names.Reasons.KeyRevoked, at.Ms);
        return at.Event(AuditTypes.KeyRevoked, key, ("was", was), ("emergency", true));
    }
}
