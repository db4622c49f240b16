using System.Collections.Immutable;
using System.Data.Common;
using McpAuthServer.Storage;

namespace McpAuthServer.GuardFeed;

/// <summary>One word on a subject, in its place of the record.</summary>
internal sealed record Revocation(long Seq, string Kind, string Subject, string Op, string Reason, long? Before, long At, long Until)
{
    /// <summary>What <see cref="Read"/> reads.</summary>
    public const string Columns = "seq, kind, subject, op, reason, before, at, until";

    public static Revocation Read(DbDataReader r) => new(
        r.GetInt64(0), r.GetString(1), r.GetString(2), r.GetString(3), r.GetString(4), r.IsDBNull(5) ? null : r.GetInt64(5), r.GetInt64(6), r.GetInt64(7));
}

/// <summary>How far the record goes, and its end.</summary>
/// <param name="Since">Everything after this place is in <paramref name="Newest"/>.</param>
internal sealed record RecordEnd(long HighWater, long Since, ImmutableArray<Revocation> Newest)
{
    /// <summary>Up to <paramref name="limit"/> of what came after a place; null when it lies before what is in memory.</summary>
    public IReadOnlyList<Revocation>? After(long place, int limit)
    {
        if (place < Since)
            return null;
        // Who waits is near the end.
        var first = Newest.Length;
        while (first > 0 && Newest[first - 1].Seq > place)
            first--;
        return Newest.Slice(first, Math.Min(limit, Newest.Length - first));
    }
}

/// <summary>The end of the record of revocations, in memory: however many guards wait for it, the database is asked once for all of them.</summary>
internal sealed class RevocationTail : IDisposable
{
    /// <summary>How soon another process's revocation is seen: well within the bound of one second.</summary>
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(100);

    private const int Kept = 1000;

    private static readonly Sql
        HighWaterSql = new("select coalesce(max(seq), 0) from revocations"),
        After = new($"select {Revocation.Columns} from revocations where seq > @after order by seq");

    private readonly IReadStore store;
    private readonly TimeProvider time;
    private readonly SharedRead read;
    private volatile RecordEnd? current;
    private Task look = Task.CompletedTask;

    public RevocationTail(IReadStore store, TimeProvider time)
    {
        (this.store, this.time) = (store, time);
        read = new SharedRead(ReadAsync);
    }

    /// <summary>What was committed before the call, and perhaps more.</summary>
    public async Task<RecordEnd> AsOfNowAsync(CancellationToken cancel)
    {
        await read.BeginAsync(cancel);
        return current!;
    }

    /// <summary>Completes when it is time to look for what another process has written; the same for all who wait.</summary>
    public Task NextLook()
    {
        var next = Volatile.Read(ref look);
        if (!next.IsCompleted)
            return next;
        var fresh = Task.Delay(Look, time);
        var was = Interlocked.CompareExchange(ref look, fresh, next);
        return was == next ? fresh : was;
    }

    private async Task ReadAsync()
    {
        if (current is not { } known)
        {
            var end = await store.First(HighWaterSql.With(), r => r.GetInt64(0), CancellationToken.None);
            current = new RecordEnd(end, end, []);
            return;
        }
        if (await store.All(After.With(known.HighWater), Revocation.Read, CancellationToken.None) is not { Count: > 0 } rows)
            return;
        var newest = known.Newest.AddRange(rows);
        var dropped = Math.Max(0, newest.Length - Kept);
        current = new RecordEnd(rows[^1].Seq, dropped > 0 ? newest[dropped - 1].Seq : known.Since, newest.RemoveRange(0, dropped));
    }

    public void Dispose() => read.Dispose();
}
