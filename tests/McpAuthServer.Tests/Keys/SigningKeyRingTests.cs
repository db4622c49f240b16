using System.Data.Common;
using McpAuth.Testing;
using McpAuthServer.Keys;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace McpAuthServer.Tests.Keys;

/// <summary>The keys in memory against a database that is changed by others, slow, or away.</summary>
public sealed class SigningKeyRingTests : IAsyncLifetime
{
    private readonly TempDirectory directory = new();
    private readonly ManualTime time = new();
    private readonly KeyEncryption encryption = new(new byte[KeyEncryption.KeySize]);
    private TestStore store = null!;
    private WatchedStore reads = null!;
    private SigningKeyRing ring = null!;

    public async Task InitializeAsync()
    {
        store = new TestStore(o => (o.Provider, o.Path) = (StoreOptions.Sqlite, directory["keys.db"]), time);
        await store.Migrator.Apply(default);
        reads = new WatchedStore(store.Reads);
        ring = new SigningKeyRing(new SigningKeyReader(reads, encryption), time, NullLogger<SigningKeyRing>.Instance);
        await Keys.LoadOrCreateAsync(default);
    }

    public async Task DisposeAsync()
    {
        ring.Dispose();
        await store.DisposeAsync();
        encryption.Dispose();
        directory.Dispose();
    }

    private SigningKeys Keys => new(store.Log, ring, encryption, new ServerOptions(), time);

    [Fact]
    public async Task Find_KnownAndConfirmed_DoesNotRead()
    {
        var before = reads.Count;
        for (var i = 0; i < 100; i++)
            Assert.NotNull(await ring.FindAsync(ring.Current.Active.KeyId, default));
        Assert.Null(await ring.FindAsync(null, default));
        Assert.Equal(before, reads.Count);
    }

    [Fact]
    public async Task Find_NotConfirmedAndTheDatabaseAway_TakesNothing()
    {
        var kid = ring.Current.Active.KeyId;
        reads.Away = true;
        time.Advance(SigningKeyRing.Confirmed);
        Assert.NotNull(await ring.FindAsync(kid, default));

        time.Advance(TimeSpan.FromMilliseconds(1));
        await Assert.ThrowsAsync<TimeoutException>(() => ring.FindAsync(kid, default).AsTask());

        reads.Away = false;
        Assert.NotNull(await ring.FindAsync(kid, default));
    }

    [Fact]
    public async Task Poll_DatabaseAwayForAWhile_GoesOnAndSeesWhatHappenedMeanwhile()
    {
        await ring.StartAsync(default);
        var old = ring.Current.Active.KeyId;
        reads.Away = true;
        var failed = reads.Failed;
        time.Advance(SigningKeyRing.Poll);
        await KeyedServer.UntilAsync(() => reads.Failed > failed && time.Waiting > 0);
        Assert.Equal(KeyRevocation.Replaced, await Keys.RevokeAsync(old));

        reads.Away = false;
        time.Advance(SigningKeyRing.Poll);
        await KeyedServer.UntilAsync(() => ring.Current.IsRevoked(old));
        Assert.Null(await ring.FindAsync(old, default));
        await ring.StopAsync(default);
    }

    [Fact]
    public async Task Find_ManyUnknownKeysAtOnce_AskTheDatabaseOneAtATimeAndOnceForAllWhoWait()
    {
        reads.Gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var first = ring.FindAsync("invented", default).AsTask();
        await KeyedServer.UntilAsync(() => reads.Held == 1);
        var before = reads.Count;
        var others = Enumerable.Range(0, 200).Select(i => ring.FindAsync($"invented {i}", default).AsTask()).ToArray();
        // One more makes a key meanwhile: it is theirs to see, because they asked after it.
        Assert.Equal(KeyRevocation.Replaced, await Keys.RevokeAsync(ring.Current.Active.KeyId));
        var fresh = (await store.Texts("select kid from signing_keys where state = 'active'")).Single();
        var late = ring.FindAsync(fresh, default).AsTask();

        var gate = reads.Gate;
        reads.Gate = null;
        gate.SetResult();

        await first;
        Assert.All(await Task.WhenAll(others), Assert.Null);
        Assert.NotNull(await late);
        // The version and, as it had changed, the keys; once for all of them.
        Assert.Equal(before + 2, reads.Count);
    }

    [Fact]
    public async Task Look_ThatFails_FailsForAllWhoWaitedAndNotForTheNext()
    {
        reads.Gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var first = ring.LookAsync(default);
        await KeyedServer.UntilAsync(() => reads.Held == 1);
        var others = Enumerable.Range(0, 20).Select(_ => ring.LookAsync(default)).ToArray();
        reads.Away = true;
        var gate = reads.Gate;
        reads.Gate = null;
        gate.SetResult();

        await first;
        foreach (var waiting in others)
            await Assert.ThrowsAsync<TimeoutException>(() => waiting);
        Assert.Equal(1, reads.Failed);
        reads.Away = false;
        await ring.LookAsync(default);
    }

    [Fact]
    public async Task Look_WhoseCallerGoesAway_IsNotLostForTheOthers()
    {
        reads.Gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var gone = new CancellationTokenSource();
        var first = ring.LookAsync(default);
        await KeyedServer.UntilAsync(() => reads.Held == 1);
        var second = ring.LookAsync(gone.Token);
        var third = ring.LookAsync(default);
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        reads.Gate.SetResult();
        await Task.WhenAll(first, third).WaitAsync(TimeSpan.FromSeconds(20));
    }

    /// <summary>A store that counts, can be held, and can be away.</summary>
    private sealed class WatchedStore(IReadStore store) : IReadStore
    {
        private int count, held, failed;

        public int Count => Volatile.Read(ref count);
        public int Held => Volatile.Read(ref held);
        public int Failed => Volatile.Read(ref failed);
        public bool Away { get; set; }
        public TaskCompletionSource? Gate { get; set; }

        public Task<TRow?> First<TRow>(Statement statement, Func<DbDataReader, TRow> read, CancellationToken cancel) => Watch(() => store.First(statement, read, cancel));

        public Task<List<TRow>> All<TRow>(Statement statement, Func<DbDataReader, TRow> read, CancellationToken cancel) => Watch(() => store.All(statement, read, cancel));

        private async Task<T> Watch<T>(Func<Task<T>> read)
        {
            if (Away)
            {
                Interlocked.Increment(ref failed);
                throw new TimeoutException("The database is away.");
            }
            Interlocked.Increment(ref count);
            var result = await read();
            if (Gate is { } gate)
            {
                Interlocked.Increment(ref held);
                await gate.Task;
            }
            return result;
        }
    }
}
