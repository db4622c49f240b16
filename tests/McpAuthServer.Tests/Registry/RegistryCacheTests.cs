using System.Data.Common;
using McpAuth.Testing;
using McpAuthServer.Registry;
using McpAuthServer.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace McpAuthServer.Tests.Registry;

/// <summary>The snapshot in memory against a database that others change.</summary>
public abstract class RegistryCacheTests : RegistrySuite
{
    private protected override Task Arrange() => Registry.Applied(ApplyFile.Full());

    [SuiteFact]
    public async Task Cache_AnotherProcessChanged_IsSeenAtTheNextPoll()
    {
        using var cache = new RegistryCache(Registry.Reader, Time, NullLogger<RegistryCache>.Instance);
        await cache.StartAsync(CancellationToken.None);
        Assert.True((await cache.Current(CancellationToken.None)).Agents["agt_refunds"].Active);
        await Until(() => Time.Waiting > 0);

        await (await AnotherProcess()).Applied(ApplyFile.With("agents[0].state", "\"suspended\""));

        Time.Advance(RegistryCache.Poll);
        await Until(() => AtHand(cache) is { } now && !now.Agents["agt_refunds"].Active);
        await cache.StopAsync(CancellationToken.None);
    }

    [SuiteFact]
    public async Task Cache_NothingChanged_HandsOutTheSameSnapshotWithoutReading()
    {
        var store = new CountingStore(Registry.Reads);
        using var cache = new RegistryCache(new RegistryReader(store), Time, NullLogger<RegistryCache>.Instance);
        var first = await cache.Current(CancellationToken.None);
        var reads = store.Reads;

        Assert.Same(first, AtHand(cache));
        Assert.Same(first, await cache.Current(CancellationToken.None));
        Assert.Equal(reads, store.Reads);
    }

    [SuiteFact]
    public async Task Cache_Invalidated_ReadsAgainBeforeTheNextPoll()
    {
        using var cache = new RegistryCache(Registry.Reader, Time, NullLogger<RegistryCache>.Instance);
        var stale = await cache.Current(CancellationToken.None);
        await Registry.Applied(ApplyFile.With("agents[0].state", "\"suspended\""));
        Assert.Same(stale, await cache.Current(CancellationToken.None));

        cache.Invalidate(stale.Version);

        var fresh = await cache.Current(CancellationToken.None);
        Assert.False(fresh.Agents["agt_refunds"].Active);
        // Another request found the same old snapshot stale: the newer one stays.
        cache.Invalidate(stale.Version);
        Assert.Same(fresh, await cache.Current(CancellationToken.None));
    }

    [SuiteFact]
    public async Task Cache_LoadBegunBeforeAnInvalidation_IsNotPublished()
    {
        var store = new CountingStore(Registry.Reads) { Gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously) };
        using var cache = new RegistryCache(new RegistryReader(store), Time, NullLogger<RegistryCache>.Instance);
        var slow = cache.Current(CancellationToken.None).AsTask();
        await Until(() => store.Held > 0);

        cache.Invalidate(1);
        var gate = store.Gate;
        store.Gate = null;
        var fresh = await cache.Current(CancellationToken.None);
        gate.SetResult();
        await slow.WaitAsync(Patience);

        Assert.NotSame(fresh, await slow);
        Assert.Same(fresh, await cache.Current(CancellationToken.None));
    }

    [SuiteFact]
    public async Task Cache_ManyCallersOfAColdCache_ShareOneLoad()
    {
        var store = new CountingStore(Registry.Reads) { Gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously) };
        using var cache = new RegistryCache(new RegistryReader(store), Time, NullLogger<RegistryCache>.Instance);
        var callers = Enumerable.Range(0, 20).Select(_ => cache.Current(CancellationToken.None).AsTask()).ToArray();
        store.Gate.SetResult();

        var snapshots = await Task.WhenAll(callers).WaitAsync(Patience);

        Assert.All(snapshots, s => Assert.Same(snapshots[0], s));
        Assert.Equal(12, store.Reads);
    }

    [SuiteFact]
    public async Task Cache_LoadThatFails_FailsItsCallersAndIsTriedAgain()
    {
        var store = new CountingStore(Registry.Reads) { Fails = true };
        using var cache = new RegistryCache(new RegistryReader(store), Time, NullLogger<RegistryCache>.Instance);
        await Assert.ThrowsAsync<IOException>(async () => await cache.Current(CancellationToken.None));

        store.Fails = false;
        Assert.NotNull(await cache.Current(CancellationToken.None));
    }

    [SuiteFact]
    public async Task Cache_PollThatFails_KeepsTheSnapshotAndGoesOnPolling()
    {
        var store = new CountingStore(Registry.Reads);
        using var cache = new RegistryCache(new RegistryReader(store), Time, NullLogger<RegistryCache>.Instance);
        var first = await cache.Current(CancellationToken.None);
        store.Fails = true;
        await cache.StartAsync(CancellationToken.None);
        await Until(() => store.Failed > 0 && Time.Waiting > 0);
        Assert.Same(first, await cache.Current(CancellationToken.None));

        store.Fails = false;
        await Registry.Applied(ApplyFile.With("agents[0].state", "\"suspended\""));
        Time.Advance(RegistryCache.Poll);
        await Until(() => AtHand(cache) is { } now && now.Version > first.Version);
        await cache.StopAsync(CancellationToken.None);
    }

    [SuiteFact]
    public async Task Reader_ChangeBetweenItsReads_YieldsOneVersionWhole()
    {
        var store = new CountingStore(Registry.Reads);
        // After the agents were read, and once more on the second attempt.
        store.AfterRead[2] = () => Registry.Applied(ApplyFile.With("agents[0].name", "\"Second\"").With("tool_servers[0].name", "\"Second\""));
        store.AfterRead[8] = () => Registry.Applied(ApplyFile.With("agents[0].name", "\"Third\"").With("tool_servers[0].name", "\"Third\""));

        var snapshot = await new RegistryReader(store).Load(CancellationToken.None);

        Assert.Equal(("Third", "Third", 4L), (snapshot.Agents["agt_refunds"].Name, snapshot.ToolServers["srv_files"].Name, snapshot.Version));
    }

    [SuiteFact]
    public async Task RegistryVersion_InATransaction_TellsWhetherASnapshotIsCurrent()
    {
        var snapshot = await Registry.Snapshot();

        Assert.True(await Store.Do(tx => RegistryVersion.IsCurrent(tx, snapshot.Version)));
        await Store.Do(
            tx =>
            {
                RegistryVersion.Raise(tx);
                return 0;
            },
            StateLock.Exclusive);
        Assert.False(await Store.Do(tx => RegistryVersion.IsCurrent(tx, snapshot.Version)));
        Assert.Equal(snapshot.Version + 1, (await Registry.Snapshot()).Version);
    }

    /// <summary>What the cache hands out without waiting.</summary>
    private static RegistrySnapshot? AtHand(RegistryCache cache) =>
        cache.Current(CancellationToken.None).AsTask() is { IsCompletedSuccessfully: true } now ? now.Result : null;

    private static async Task Until(Func<bool> condition)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (!condition())
            await Task.Delay(5, patience.Token);
    }

    /// <summary>A store that counts, can be held, can fail, and lets a test act between two reads.</summary>
    private sealed class CountingStore(IReadStore store) : IReadStore
    {
        private int reads, held, failed;

        public int Reads => Volatile.Read(ref reads);
        public int Held => Volatile.Read(ref held);
        public int Failed => Volatile.Read(ref failed);
        public volatile bool Fails;
        public Dictionary<int, Func<Task>> AfterRead { get; } = [];
        public TaskCompletionSource? Gate { get; set; }

        public Task<TRow?> First<TRow>(Statement statement, Func<DbDataReader, TRow> read, CancellationToken cancel) =>
            Count(() => store.First(statement, read, cancel));

        public Task<List<TRow>> All<TRow>(Statement statement, Func<DbDataReader, TRow> read, CancellationToken cancel) =>
            Count(() => store.All(statement, read, cancel));

        private async Task<T> Count<T>(Func<Task<T>> read)
        {
            if (Fails)
            {
                Interlocked.Increment(ref failed);
                throw new IOException("The database is away.");
            }
            var number = Interlocked.Increment(ref reads);
            var result = await read();
            if (Gate is { } gate)
            {
                Interlocked.Increment(ref held);
                await gate.Task;
            }
            if (AfterRead.TryGetValue(number, out var act))
                await act();
            return result;
        }
    }
}
