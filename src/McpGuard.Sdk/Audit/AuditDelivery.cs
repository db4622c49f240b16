using McpAuth.Client;
using McpAuth.Protocol.Messages;
using McpGuard.Sdk.Connection;
using Microsoft.Extensions.Logging;

namespace McpGuard.Sdk.Audit;

/// <summary>Takes the spool to the server in batches, again and again until each is acknowledged, and lets go of what is.</summary>
internal sealed partial class AuditDelivery(Spool spool, GuardConnection connection, TimeProvider time, ILogger<AuditDelivery> logger)
{
    private static readonly TimeSpan Gather = TimeSpan.FromMilliseconds(500), FirstPause = TimeSpan.FromMilliseconds(200), LongestPause = TimeSpan.FromSeconds(15);
    private long delivered, sent;

    /// <summary>The last entry the server has acknowledged in this run.</summary>
    public long Delivered => Volatile.Read(ref delivered);

    /// <summary>Entries that the server is not known to have: after a restart, as many as are on the disk until it has answered.</summary>
    public long Waiting => spool.Segments() is [var oldest, ..] ? Math.Max(0, spool.LastWritten - Math.Max(Delivered, oldest.First - 1)) : 0;

    public async Task Run(CancellationToken cancellationToken)
    {
        using var reader = new SpoolReader(spool);
        TimeSpan pause = FirstPause;
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                await spool.More(cancellationToken);
                await Task.Delay(Gather, time, cancellationToken);
                await DeliverAll(reader, cancellationToken);
                pause = FirstPause;
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                Log.NotDelivered(logger, Waiting, e.Message);
                if (Delivered > 0 || reader.Next > 0) reader.GoTo(Math.Max(Delivered + 1, spool.Segments()[0].First));
                await Task.Delay(pause, time, cancellationToken);
                pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
                spool.Remind();
            }
        }
    }

    private async Task DeliverAll(SpoolReader reader, CancellationToken cancellationToken)
    {
        // Only what cannot be lost any more is delivered: after a power cut no sequence number may be given to another event.
        if (spool.LastDurable < spool.LastWritten && !await spool.Sync()) throw new IOException("the spool could not be flushed");
        while (reader.Read() is var (first, last, body))
        {
            GuardChannel channel = await connection.Channel(cancellationToken);
            sent = Math.Max(sent, last);
            GuardAuditResponse answer = await channel.Deliver(body, cancellationToken);
            if (answer.Acknowledged < first - 1)
            {
                // The server has less than it acknowledged before: what is still here is delivered again, the rest is its gap to report.
                Log.WentBack(logger, answer.Acknowledged, first);
                long oldest = spool.Segments()[0].First;
                if (answer.Acknowledged + 1 < oldest) throw new InvalidDataException($"the server asks for entry {answer.Acknowledged + 1}, the oldest kept is {oldest}");
                reader.GoTo(answer.Acknowledged + 1);
                continue;
            }
            // What it has under these numbers is of another spool, which was moved away or is newer than this copy: what is here it has not taken, so it stays.
            if (answer.Acknowledged > Math.Max(sent, spool.Found))
                throw new InvalidDataException($"the server has {answer.Acknowledged} entries of this guard, more than there ever were here: enrol it anew in an empty state directory");
            // After a restart the server may have what is delivered again, and more.
            long known = Math.Min(answer.Acknowledged, spool.LastDurable);
            if (known != last) reader.GoTo(known + 1);
            Volatile.Write(ref delivered, known);
            spool.Trim(Delivered);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "{Count} audit entries wait to be delivered: {Reason}")]
        public static partial void NotDelivered(ILogger logger, long count, string reason);

        [LoggerMessage(Level = LogLevel.Error, Message = "The server acknowledges only up to {Acknowledged}, below entry {First}")]
        public static partial void WentBack(ILogger logger, long acknowledged, long first);
    }
}
