using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Attestation;
using McpAuthServer.Delegation;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Agents;

internal readonly record struct Attested(IssueOutcome Outcome, string? Reason = null, InstanceContext? Instance = null, bool Renewed = false);

/// <summary>The one commit of an attestation.</summary>
internal sealed class AttestInstance(Attesting attesting, long registryVersion, IReadOnlyList<Once> consume, DateTimeOffset now, string node) : Unit<Attested>
{
    private readonly string fresh = Id.New(Id.Instance, now);

    /// <summary>Of the instance token that goes with it.</summary>
    public string Jti { get; } = Id.New(Id.InstanceToken, now);

    // Two attestations with one key at the same time must not make two instances.
    public override StateLock Lock => StateLock.Exclusive;

    public override Attested Apply(WriteTx tx)
    {
        if (!RegistryVersion.IsCurrent(tx, registryVersion))
            return new(IssueOutcome.Stale);
        foreach (var once in consume)
            if (!once.Consume(tx))
            {
                tx.Append(attesting.Event(AuditTypes.ReplayDetected, "refused", null, Names.Reasons.Replay, null, node));
                return new(IssueOutcome.Replayed, once.Space);
            }
        var (id, renewed, refused) = attesting.Run(tx, fresh, Jti, node);
        var evidence = attesting.Evidence;
        return refused is not null
            ? new(IssueOutcome.Ended, refused)
            : new(IssueOutcome.Issued, Instance: new InstanceContext(id!, attesting.Thumbprint, evidence.Workload, evidence.Assurance, attesting.Expires), Renewed: renewed);
    }
}
