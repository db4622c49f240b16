using McpAuthServer.Storage;

namespace McpAuthServer.CallApprovals;

/// <summary>Makes it a recorded fact that an approval is over, and erases its arguments. It could not be used before that already.</summary>
internal sealed partial class ApprovalUpkeep(ICommitLog log, IReadStore store, ServerOptions options, TimeProvider time, ILogger<ApprovalUpkeep> logger) : RecurringWork(TimeSpan.FromSeconds(15), time)
{
    private const int Batch = 100;

    protected override Task RunAsync(CancellationToken cancel) => SweepAsync(cancel);

    protected override void Failed(Exception e) => Log.Failed(logger, e);

    internal async Task SweepAsync(CancellationToken cancel)
    {
        List<CallApproval?> over;
        do
        {
            var now = Time.GetUtcNow();
            over = await store.All(ApprovalLife.OverAt(now, Batch), CallApproval.Read, cancel);
            foreach (var approval in over)
                await log.Commit(new EndApproval(approval!, now, options.Node));
        }
        while (over.Count == Batch && !cancel.IsCancellationRequested);
    }

    private sealed class EndApproval(CallApproval approval, DateTimeOffset now, string node) : Unit<bool>
    {
        public override StateLock Lock => StateLock.None;

        public override bool Apply(WriteTx tx)
        {
            ApprovalLife.End(tx, approval, now, node);
            return true;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "Ending approvals that are over failed; it is tried again.")]
        public static partial void Failed(ILogger logger, Exception e);
    }
}
