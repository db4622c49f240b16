using McpAuth.Protocol.Audit;
using McpAuthServer.Storage;

namespace McpAuthServer.People;

/// <summary>Why accounts change: the event that is recorded with the rows, in one unit.</summary>
internal sealed record AccountChange(AuditEvent Event)
{
    public StateLock Lock { get; init; } = StateLock.Shared;

    /// <summary>
    /// Preconditions, and whatever else belongs to the same act; runs before the rows are written. Returns the events of that, which follow
    /// <see cref="Event"/>, or null when the change may not be: then nothing is written and saving fails as a concurrent change does.
    /// </summary>
    public Func<WriteTx, IReadOnlyList<AuditEvent>?>? First { get; init; }
}
