using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Registry;
using McpAuthServer.Registry.Apply;
using McpAuthServer.Storage;

namespace McpAuthServer.Delegation.Levels;

/// <summary>How an operation ended.</summary>
/// <param name="Known">Whether there is such a subject.</param>
/// <param name="Grants">How many died by it; none when all had ended before.</param>
/// <param name="Revocable">False for a token that stands on nothing that could be revoked.</param>
internal readonly record struct Revoked(bool Known, long Grants = 0, bool Revocable = true);

/// <summary>
/// An administrator's one operation, at any level: one commit ends the subject, all that stands on it, and tells every guard. Asked again, it finds
/// nothing left.
/// </summary>
/// <param name="id">Of the subject; null for everything.</param>
/// <param name="reason">In the administrator's words.</param>
internal sealed class RevokeAtLevel(string level, string? id, string reason, Initiator by, DateTimeOffset now, string node) : Unit<Revoked>
{
    public override StateLock Lock => StateLock.Exclusive;

    public override Revoked Apply(WriteTx tx)
    {
        var first = Id.New(Id.Event, now);
        var changes = new ApplyChanges(tx, now, by.Administrator);
        var ending = new LevelEnding(tx, changes, by, first, now, node);
        var found = level switch
        {
            RevocationLevel.Token => ending.Token(id!),
            RevocationLevel.Family => ending.Family(id!),
            RevocationLevel.Task => ending.Task(id!),
            RevocationLevel.Instance => ending.Instance(id!),
            RevocationLevel.Agent => ending.Agent(id!),
            RevocationLevel.Client => ending.Client(id!),
            RevocationLevel.User => ending.User(id!),
            RevocationLevel.Consent => ending.Consent(id!, named: true),
            RevocationLevel.ToolServer => ending.ToolServer(id!),
            RevocationLevel.Everything => ending.Everything(),
            _ => throw new InvalidOperationException($"There is no level {level}."),
        };
        var data = new JsonObject { ["level"] = level, ["by"] = by.Name };
        if (id is not null)
            data["id"] = id;
        var asked = new AuditEvent
        {
            Id = first, Time = now.ToUnixTimeMilliseconds(), Type = AuditTypes.AdminRevoked, Outcome = "success", Reason = reason, Client = by.Administrator, Node = node, Data = data,
        };
        if (!found || !ending.Revocable)
        {
            tx.Append(asked with { Type = AuditTypes.AdminRefused, Outcome = "refused", Reason = found ? "not_revocable" : "not_found" });
            return new(found, Revocable: ending.Revocable);
        }
        if (changes.Count > 0)
            RegistryVersion.Raise(tx);
        data["grants"] = ending.Grants;
        // A cause stands before its effects.
        tx.Append(asked);
        foreach (var e in changes.Events)
            tx.Append(e with { Cause = e.Cause ?? first, Node = e.Node ?? node });
        ending.Events.ForEach(tx.Append);
        return new(true, ending.Grants);
    }
}
