using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpGuard.Sdk.Connection;

namespace McpGuard.Sdk.Audit;

/// <summary>
/// Records refused requests. Anyone can cause them, so beyond fifty a second they are only counted; the next event carries the count.
/// </summary>
internal sealed class RefusalLog(Spool spool, GuardMetrics metrics, GuardConnection connection, TimeProvider time)
{
    public const string Replay = "dpop_replay";
    private const int PerSecond = 50;
    private readonly Lock gate = new();
    private long second;
    private int recorded, suppressed;

    /// <param name="reason">A stable code, never text of the caller.</param>
    /// <param name="jti">Only of a token whose signature was verified.</param>
    public void Record(string reason, string? jti = null)
    {
        metrics.Refused(reason);
        DateTimeOffset now = time.GetUtcNow();
        int count;
        lock (gate)
        {
            if (now.ToUnixTimeSeconds() is var current && current != second) (second, recorded) = (current, 0);
            if (recorded >= PerSecond)
            {
                suppressed++;
                return;
            }
            recorded++;
            (count, suppressed) = (suppressed + 1, 0);
        }
        // Without waiting: what is refused needs no record to stay refused.
        spool.Enqueue(new GuardEvent
        {
            Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = reason == Replay ? AuditTypes.ReplayDetected : AuditTypes.CallRefused, Outcome = "refused", Reason = reason, Jti = jti,
            Count = count > 1 ? count : 0, Node = connection.GuardId,
        });
    }
}
