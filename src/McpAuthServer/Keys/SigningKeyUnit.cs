using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Storage;

namespace McpAuthServer.Keys;

/// <summary>When a change was decided, and by what.</summary>
/// <param name="By"><see cref="Schedule"/>, <see cref="Operator"/> or <see cref="Start"/>.</param>
internal sealed record KeyOccasion(DateTimeOffset Now, string Node, string By)
{
    public const string Schedule = "schedule", Operator = "operator", Start = "start";

    public long Ms => Now.ToUnixTimeMilliseconds();

    /// <param name="data">What there is to say beyond the key and by what.</param>
    public AuditEvent Event(string type, string kid, params ReadOnlySpan<(string Name, JsonNode? Value)> data)
    {
        var all = new JsonObject { ["kid"] = kid, ["by"] = By };
        foreach (var (name, value) in data)
            all[name] = value;
        return new() { Id = Id.New(Id.Event, Now), Time = Ms, Type = type, Outcome = "success", Node = Node, Data = all };
    }
}

/// <summary>
/// A change to the signing keys. Each node may decide on it at once: the first does it, under its condition, and for the others it does nothing. No
/// token is recorded meanwhile, and the version is raised with it.
/// </summary>
internal abstract class SigningKeyUnit<T> : Unit<T>
{
    private static readonly Sql Raise = new("update signing_key_ring set version = version + 1 where id = 1");

    public sealed override StateLock Lock => StateLock.Exclusive;

    protected static void Changed(WriteTx tx, params IEnumerable<AuditEvent> events)
    {
        tx.Run(Raise.With());
        foreach (var e in events)
            tx.Append(e);
    }
}

/// <summary>Does nothing when any node has ever created keys: a database that lost them is refused, not silently re-keyed.</summary>
internal sealed class CreateFirstKey(NewSigningKey key, KeyOccasion at) : SigningKeyUnit<bool>
{
    private static readonly Sql MarkCreated = new("insert into settings (name, value) values (@name, @value) on conflict do nothing");

    public override bool Apply(WriteTx tx)
    {
        if (tx.Run(MarkCreated.With("signing_keys_created", "1"u8.ToArray())) == 0)
            return false;
        key.Add(tx, SigningKeyState.Active, at.Ms, at.Ms);
        Changed(tx, at.Event(AuditTypes.KeyCreated, key.Kid, ("alg", key.Alg), ("state", SigningKeyState.Active)));
        return true;
    }
}

/// <summary>Publishes the key that will sign from <paramref name="from"/>, while <paramref name="active"/> signs and no other waits.</summary>
internal sealed class PublishNextKey(NewSigningKey key, string active, DateTimeOffset from, KeyOccasion at) : SigningKeyUnit<bool>
{
    private static readonly Sql Awaited = new(
        "select kid from signing_keys where kid = @active and state = 'active' and not exists (select 1 from signing_keys where state = 'next')");

    public override bool Apply(WriteTx tx)
    {
        if (tx.First(Awaited.With(active), r => r.GetString(0)) is null)
            return false;
        var ms = from.ToUnixTimeMilliseconds();
        key.Add(tx, SigningKeyState.Next, at.Ms, ms);
        Changed(tx, at.Event(AuditTypes.KeyCreated, key.Kid, ("alg", key.Alg), ("state", SigningKeyState.Next), ("active_from", ms)));
        return true;
    }
}

/// <summary>The next key signs from now on. The private part of <paramref name="active"/> is erased: nothing needs it any more.</summary>
/// <param name="publicPart">Of <paramref name="active"/>, wrapped: it verifies for a while.</param>
internal sealed class ActivateNextKey(string next, string active, byte[] publicPart, KeyOccasion at) : SigningKeyUnit<bool>
{
    private static readonly Sql
        Retire = new(
            """
            update signing_keys set state = 'retired', ended_at = @now, private_wrapped = null, public_wrapped = @public
            where kid = @active and state = 'active' and exists (select 1 from signing_keys where kid = @next and state = 'next')
            """),
        Activate = new("update signing_keys set state = 'active', active_from = @now where kid = @next and state = 'next'");

    public override bool Apply(WriteTx tx)
    {
        if (tx.Run(Retire.With(at.Ms, publicPart, active, next)) == 0)
            return false;
        tx.Run(Activate.With(at.Ms, next));
        Changed(tx, at.Event(AuditTypes.KeyActivated, next), at.Event(AuditTypes.KeyRetired, active));
        return true;
    }
}

/// <summary>Nothing that a retired key signed lives any more: it is no longer published.</summary>
internal sealed class RemoveRetiredKey(string kid, KeyOccasion at) : SigningKeyUnit<bool>
{
    private static readonly Sql Remove = new("update signing_keys set state = 'past' where kid = @kid and state = 'retired'");

    public override bool Apply(WriteTx tx)
    {
        if (tx.Run(Remove.With(kid)) == 0)
            return false;
        Changed(tx, at.Event(AuditTypes.KeyRemoved, kid));
        return true;
    }
}
