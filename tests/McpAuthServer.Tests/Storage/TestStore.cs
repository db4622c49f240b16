using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace McpAuthServer.Tests.Storage;

/// <summary>One node on a migrated database, wired as the server wires it; background work runs only after <see cref="StartAsync"/>.</summary>
internal sealed class TestStore : IAsyncDisposable
{
    private readonly ServiceProvider services;

    public TestStore(Action<StoreOptions> configure, TimeProvider? time = null, ILoggerProvider? logs = null)
    {
        var collection = new ServiceCollection();
        collection.AddLogging(logging => _ = logs is null ? logging : logging.AddProvider(logs));
        if (time is not null) collection.AddSingleton(time);
        collection.AddStore(configure);
        services = collection.BuildServiceProvider();
    }

    public ICommitLog Log => services.GetRequiredService<ICommitLog>();
    public IReadStore Reads => services.GetRequiredService<IReadStore>();
    public IEventSequence Sequence => services.GetRequiredService<IEventSequence>();
    public ChangeSignal Changes => services.GetRequiredService<ChangeSignal>();
    public Migrator Migrator => services.GetRequiredService<Migrator>();
    public IMigrationTarget Target => services.GetRequiredService<IMigrationTarget>();

    public StoreUpkeep Upkeep => services.GetServices<IHostedService>().OfType<StoreUpkeep>().Single();

    /// <summary>Migrates, then runs the sequencer and the upkeep, in the order the host would.</summary>
    public async Task StartAsync()
    {
        foreach (var hosted in services.GetServices<IHostedService>()) await hosted.StartAsync(default);
    }

    public Task<T> Do<T>(Func<WriteTx, T> apply, StateLock held = StateLock.Shared) => Log.Commit(new LambdaUnit<T>(apply, held));

    public Task Write(string sql) => Do(tx => tx.Run(new Sql(sql).With()), StateLock.None);

    public async Task<long> Number(string sql) => await Reads.First(new Sql(sql).With(), row => row.GetInt64(0), default);

    public Task<List<string>> Texts(string sql) => Reads.All(new Sql(sql).With(), row => row.GetString(0), default);

    public async ValueTask DisposeAsync()
    {
        foreach (var hosted in services.GetServices<IHostedService>().Reverse()) await hosted.StopAsync(default);
        await services.DisposeAsync();
    }
}

internal sealed class LambdaUnit<T>(Func<WriteTx, T> apply, StateLock held) : Unit<T>
{
    public override StateLock Lock => held;

    public override T Apply(WriteTx tx) => apply(tx);
}

internal static class Events
{
    public static AuditEvent Named(string id, string? cause = null, string type = AuditTypes.TokenIssued) =>
        new() { Id = id, Time = 1_700_000_000_000, Type = type, Outcome = "success", Cause = cause };

    public static AuditEvent New(string? cause = null) => Named(Id.New(Id.Event, TimeProvider.System.GetUtcNow()), cause);
}

/// <summary>Keeps every writer of a store busy until it is released, so that what is queued meanwhile stays queued.</summary>
internal sealed class Blockade : IAsyncDisposable
{
    private readonly ManualResetEventSlim release = new();
    private readonly List<Task> held = [];

    public static async Task<Blockade> Of(TestStore store, int writers)
    {
        var blockade = new Blockade();
        for (var i = 0; i < writers; i++)
        {
            var entered = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            blockade.held.Add(store.Do(
                _ =>
                {
                    entered.TrySetResult();
                    return blockade.release.Wait(TimeSpan.FromSeconds(20));
                },
                StateLock.None));
            await entered.Task.WaitAsync(TimeSpan.FromSeconds(20));
        }
        return blockade;
    }

    public async Task Lift()
    {
        release.Set();
        await Task.WhenAll(held).WaitAsync(TimeSpan.FromSeconds(20));
    }

    public async ValueTask DisposeAsync()
    {
        await Lift();
        release.Dispose();
    }
}
