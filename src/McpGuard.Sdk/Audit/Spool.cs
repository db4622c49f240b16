using System.Buffers;
using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace McpGuard.Sdk.Audit;

/// <summary>How far a record must have come before the caller goes on.</summary>
internal enum Durability
{
    /// <summary>Out of the process: survives <c>kill -9</c>.</summary>
    Written,

    /// <summary>On the disk.</summary>
    Disk,
}

/// <summary>
/// The guard's own record of what it decided: append-only segments on the disk, until the server has them. Whoever appends while nobody
/// writes, writes for everyone waiting, with one system call; a shared flush follows for those who need the disk.
/// </summary>
/// <param name="limit">Bytes on the disk; what is more is not recorded.</param>
internal sealed partial class Spool(TimeProvider time, ILogger<Spool> logger, long limit, long? segmentLimit = null) : IDisposable
{
    private const long LongestSegment = 64L << 20;
    private const int Batch = 512, LongestQueue = 65_536;
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(1), Linger = TimeSpan.FromMilliseconds(5);

    private sealed class Pending(GuardEvent happened, Durability? durability)
    {
        public readonly GuardEvent Event = happened;
        public readonly bool Disk = durability == Durability.Disk;
        public readonly TaskCompletionSource<bool>? Done = durability is null ? null : new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    // The last segment stays when all of it is delivered: it may not fill the spool by itself.
    private readonly long longest = segmentLimit ?? Math.Min(LongestSegment, limit / 4);
    private readonly ConcurrentQueue<Pending> queue = new();
    private readonly ArrayBufferWriter<byte> buffer = new(64 * 1024);
    private readonly List<Pending> batch = new(Batch);
    private readonly Lock shelf = new();          // segments and disk waiters
    private readonly List<SpoolSegment> segments = [];
    private readonly List<SafeFileHandle> closing = [];
    private List<TaskCompletionSource<bool>> waiting = [];
    private readonly SemaphoreSlim more = new(0, 1);
    private SafeFileHandle? file;
    private string directory = "", guardId = "";
    private SpoolHead head = SpoolHead.Genesis(""); // only the writer touches it
    private long length, closedBytes, written, durable, failedAt;
    private ITimer? linger;
    private int queued, writing, syncing, lingering;
    private bool torn, lost, disposed;
    private volatile bool failing;

    /// <summary>False = nothing can be recorded, so nothing may be decided.</summary>
    public bool Healthy => file is not null && !failing && !lost && !Full;

    /// <summary>The last entry that is out of the process.</summary>
    public long LastWritten => Volatile.Read(ref written);

    /// <summary>The last entry known to be on the disk; only these are delivered, so no sequence number is ever given twice.</summary>
    public long LastDurable => Volatile.Read(ref durable);

    /// <summary>The last entry that was there when it was opened.</summary>
    public long Found { get; private set; }

    /// <summary>Bytes on the disk.</summary>
    public long Size => Volatile.Read(ref closedBytes) + Volatile.Read(ref length);

    private bool Full => Size > limit;

    /// <summary>Opens, or goes on where the last run stopped; a torn last write is cut off.</summary>
    /// <exception cref="InvalidDataException">What is there is damaged or another guard's.</exception>
    public void Open(string at, string id)
    {
        (directory, guardId) = (at, id);
        linger = time.CreateTimer(static spool => ((Spool)spool!).WriteLingering(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        Directory.CreateDirectory(directory);
        segments.AddRange(SpoolSegment.List(directory, guardId));
        if (segments.Count == 0)
        {
            head = SpoolHead.Genesis(guardId);
            StartSegment();
        }
        else
        {
            SpoolSegment last = segments[^1];
            (head, length, long dropped) = last.Follow();
            file = last.Append();
            if (dropped > 0)
            {
                RandomAccess.SetLength(file, length);
                Log.Torn(logger, dropped, head.Seq);
            }
            foreach (SpoolSegment closed in segments.SkipLast(1)) closedBytes += new FileInfo(closed.Path).Length;
        }
        RandomAccess.FlushToDisk(file!);
        (written, durable, Found) = (head.Seq, head.Seq, head.Seq);
        Signal();
    }

    /// <summary>Records without waiting: what comes too much is dropped, and nothing may depend on it.</summary>
    public void Enqueue(GuardEvent happened)
    {
        if (!Admit()) return;
        queue.Enqueue(new Pending(happened, null));
        // The next who must wait writes it along; where nobody comes, it is written a moment later. A thread woken for each would cost more than the record.
        if (Interlocked.Exchange(ref lingering, 1) == 0) linger!.Change(Linger, Timeout.InfiniteTimeSpan);
    }

    private void WriteLingering()
    {
        Interlocked.Exchange(ref lingering, 0);
        Drain();
    }

    /// <returns>True once the record is as durable as asked; false when it could not be made so.</returns>
    public ValueTask<bool> Append(GuardEvent happened, Durability durability)
    {
        if (!Admit()) return new(false);
        var pending = new Pending(happened, durability);
        queue.Enqueue(pending);
        Drain();
        Task<bool> done = pending.Done!.Task;
        // Another thread writes it, in microseconds; handing this one over and back would take longer. What waits for the disk waits like everything else.
        if (durability == Durability.Written)
        {
            for (var spin = new SpinWait(); !done.IsCompleted && !spin.NextSpinWillYield;) spin.SpinOnce(sleep1Threshold: -1);
        }
        return new(done);
    }

    private bool Admit()
    {
        if (file is null || lost || Full || (failing && time.GetElapsedTime(Volatile.Read(ref failedAt)) < RetryAfter)) return false;
        if (Interlocked.Increment(ref queued) <= LongestQueue) return true;
        Interlocked.Decrement(ref queued);
        return false;
    }

    /// <summary>Flushes what has been written so far.</summary>
    public Task<bool> Sync()
    {
        var done = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (shelf) waiting.Add(done);
        StartSync();
        return done.Task;
    }

    /// <summary>Waits until something was written that had not been when this was last asked.</summary>
    public Task More(CancellationToken cancellationToken) => more.WaitAsync(cancellationToken);

    /// <summary>Makes <see cref="More"/> answer once again.</summary>
    public void Remind() => Signal();

    public SpoolSegment[] Segments()
    {
        lock (shelf) return [.. segments];
    }

    /// <summary>
    /// Deletes segments whose every entry the server has. The last one stays: it carries the chain on. So does the one before until the server has an entry of the last: it was
    /// on the disk before it was delivered, and its segment with it.
    /// </summary>
    public void Trim(long acknowledged)
    {
        while (true)
        {
            SpoolSegment oldest;
            lock (shelf)
            {
                if (segments.Count < 2 || segments[1].First > acknowledged) return;
                oldest = segments[0];
                segments.RemoveAt(0);
            }
            var info = new FileInfo(oldest.Path);
            Interlocked.Add(ref closedBytes, -info.Length);
            info.Delete();
        }
    }

    private void Drain()
    {
        do
        {
            if (Interlocked.CompareExchange(ref writing, 1, 0) != 0) return; // whoever writes now looks again before leaving
            try
            {
                while (!queue.IsEmpty) WriteBatch();
            }
            finally
            {
                Interlocked.Exchange(ref writing, 0); // a full fence: the look below must not come before it
            }
        }
        while (!queue.IsEmpty);
    }

    private void WriteBatch()
    {
        buffer.ResetWrittenCount();
        batch.Clear();
        SpoolHead next = head;
        bool disk = false, ok = false;
        while (batch.Count < Batch && queue.TryDequeue(out Pending? pending))
        {
            batch.Add(pending);
            disk |= pending.Disk;
        }
        Interlocked.Add(ref queued, -batch.Count);
        try
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            foreach (Pending pending in batch) next = SpoolLine.Write(buffer, next, pending.Event);
            if (torn) RandomAccess.SetLength(file!, length);
            torn = true;
            RandomAccess.Write(file!, buffer.WrittenSpan, length);
            torn = false;
            length += buffer.WrittenCount;
            head = next;
            Volatile.Write(ref written, head.Seq);
            // It is recorded, also where the next segment cannot begin.
            ok = true;
            if (length > longest) Roll();
            failing = false;
        }
        // A file that may not grow (EFBIG) is an ArgumentOutOfRangeException to the runtime.
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ObjectDisposedException or ArgumentOutOfRangeException)
        {
            Volatile.Write(ref failedAt, time.GetTimestamp());
            if (!failing) Log.Failed(logger, e.Message);
            failing = true;
        }
        finally
        {
            foreach (Pending pending in batch)
            {
                if (!pending.Disk || !ok) pending.Done?.TrySetResult(ok);
            }
        }
        if (!ok) return;
        if (disk)
        {
            lock (shelf) waiting.AddRange(batch.Where(p => p.Disk).Select(p => p.Done!));
            StartSync();
        }
        Signal();
    }

    private void Roll()
    {
        long full = length;
        StartSegment();
        Interlocked.Add(ref closedBytes, full);
        StartSync();
    }

    private void StartSegment()
    {
        SpoolSegment segment = SpoolSegment.At(directory, head);
        SafeFileHandle fresh = segment.Create(guardId, out long header);
        // In one step: a flush sees the old file either as the current one or among those to close.
        lock (shelf)
        {
            if (file is not null) closing.Add(file);
            file = fresh;
            segments.Add(segment);
        }
        Volatile.Write(ref length, header);
    }

    private void StartSync()
    {
        if (Interlocked.CompareExchange(ref syncing, 1, 0) == 0) ThreadPool.UnsafeQueueUserWorkItem(static spool => spool.SyncAll(), this, preferLocal: false);
    }

    /// <summary>One flush answers everyone who waited when it began.</summary>
    private void SyncAll()
    {
        do
        {
            List<TaskCompletionSource<bool>> served;
            SafeFileHandle[] rolled;
            SafeFileHandle current;
            long upTo;
            lock (shelf)
            {
                (served, waiting) = (waiting, []);
                rolled = [.. closing];
                closing.Clear();
                (current, upTo) = (file!, Volatile.Read(ref written));
            }
            bool ok = false;
            try
            {
                foreach (SafeFileHandle old in rolled)
                {
                    RandomAccess.FlushToDisk(old);
                    old.Dispose();
                }
                RandomAccess.FlushToDisk(current);
                ok = !lost;
                if (ok) Volatile.Write(ref durable, upTo);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or ObjectDisposedException)
            {
                // After a failed flush nobody knows what is on the disk; a second one that succeeds proves nothing.
                lost = true;
                Log.Failed(logger, e.Message);
            }
            foreach (TaskCompletionSource<bool> waiter in served) waiter.TrySetResult(ok);
            Interlocked.Exchange(ref syncing, 0);
        }
        while (HasWaiting() && Interlocked.CompareExchange(ref syncing, 1, 0) == 0);
    }

    private bool HasWaiting()
    {
        lock (shelf) return waiting.Count > 0 || closing.Count > 0;
    }

    private void Signal()
    {
        try
        {
            if (more.CurrentCount == 0) more.Release();
        }
        catch (Exception e) when (e is SemaphoreFullException or ObjectDisposedException)
        {
            // Someone else signalled at the same moment, or it is over and nobody waits any more.
        }
    }

    public void Dispose()
    {
        linger?.Dispose();
        Drain();
        // Whoever writes or flushes at this moment has the files until it is done.
        for (var spin = new SpinWait(); Volatile.Read(ref writing) != 0 || Volatile.Read(ref syncing) != 0;) spin.SpinOnce();
        disposed = true;
        file?.Dispose();
        foreach (SafeFileHandle old in closing) old.Dispose();
        more.Dispose();
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "The spool's last write was torn: {Bytes} bytes cut off after entry {Seq}")]
        public static partial void Torn(ILogger logger, long bytes, long seq);

        [LoggerMessage(Level = LogLevel.Critical, Message = "Decisions cannot be recorded, so every call is denied: {Reason}")]
        public static partial void Failed(ILogger logger, string reason);
    }
}
