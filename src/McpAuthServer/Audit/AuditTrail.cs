using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Storage;

namespace McpAuthServer.Audit;

/// <summary>Records what has no other effect: a refusal. What was single-use is consumed with it.</summary>
internal sealed class AuditTrail(ICommitLog log, ServerOptions options, TimeProvider time)
{
    /// <summary>
    /// One refusal, durably. When something in <paramref name="consume"/> was used before, the event says so instead and its
    /// <see cref="Once.Space"/> is returned; else null.
    /// </summary>
    public Task<string?> RefuseAsync(AuditEvent refusal, IReadOnlyList<Once> consume) => log.Commit(new RecordUnit(refusal, consume));

    /// <summary>Consumes a proof whose request changes nothing else. False when it was used before, which <paramref name="replay"/> then records.</summary>
    public Task<bool> ConsumeAsync(Once once, AuditEvent replay) => log.Commit(new ConsumeUnit(once, replay));

    /// <summary>A refusal's event with id, time and node filled in.</summary>
    public AuditEvent Refusal(string type, string reason) => Success(type) with { Outcome = "refused", Reason = reason };

    /// <summary>The event of something done, likewise.</summary>
    public AuditEvent Success(string type)
    {
        var now = time.GetUtcNow();
        return new() { Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = type, Outcome = "success", Node = options.Node };
    }
}

/// <summary>
/// One event and nothing else but what is consumed with it. When something was used before, the event says that instead and its
/// <see cref="Once.Space"/> is returned; else null.
/// </summary>
internal sealed class RecordUnit(AuditEvent e, IReadOnlyList<Once> consume) : Unit<string?>
{
    public override StateLock Lock => StateLock.None;

    public override string? Apply(WriteTx tx)
    {
        foreach (var once in consume)
            if (!once.Consume(tx))
            {
                tx.Append(e with { Type = AuditTypes.ReplayDetected, Outcome = "refused", Reason = Names.Reasons.Replay });
                return once.Space;
            }
        tx.Append(e);
        return null;
    }
}

internal sealed class ConsumeUnit(Once once, AuditEvent replay) : Unit<bool>
{
    public override StateLock Lock => StateLock.None;

    public override bool Apply(WriteTx tx)
    {
        if (once.Consume(tx))
            return true;
        tx.Append(replay);
        return false;
    }
}
