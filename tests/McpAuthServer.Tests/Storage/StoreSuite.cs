using McpAuth.Testing;
using McpAuthServer.Storage;
using Microsoft.Extensions.Logging;

namespace McpAuthServer.Tests.Storage;

/// <summary>A database for each test, and nodes on it; the suites below say what holds on either kind.</summary>
public abstract class StoreSuite : IAsyncLifetime
{
    /// <summary>Long enough for a loaded machine; only a hang reaches it.</summary>
    protected static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly List<TestStore> nodes = [];

    private protected Action<StoreOptions> Database { get; private set; } = null!;

    private protected TestStore Store => nodes[0];

    private protected abstract Task<Action<StoreOptions>> NewDatabaseAsync();

    /// <summary>Whether the tests want the server's schema.</summary>
    private protected virtual bool Migrated => true;

    /// <summary>Units that can run at the same time.</summary>
    private protected abstract int Writers { get; }

    public async Task InitializeAsync()
    {
        Database = await NewDatabaseAsync();
        await Node();
        await Prepare();
    }

    public virtual async Task DisposeAsync()
    {
        foreach (var node in nodes) await node.DisposeAsync();
    }

    /// <summary>What the class's tests need in the database.</summary>
    private protected virtual Task Prepare() => Task.CompletedTask;

    /// <summary>Another node on the same database.</summary>
    private protected async Task<TestStore> Node(Action<StoreOptions>? also = null, TimeProvider? time = null, ILoggerProvider? logs = null)
    {
        var node = new TestStore(Database + also, time, logs);
        nodes.Add(node);
        if (Migrated) await node.Migrator.Apply(default);
        return node;
    }

    private protected static Action<StoreOptions> Sqlite(TempDirectory directory) => o =>
    {
        o.Provider = StoreOptions.Sqlite;
        o.Path = directory["mcpauth.db"];
    };

    private protected static async Task<Action<StoreOptions>> Postgres(bool migrated)
    {
        var cluster = await PostgresCluster.SharedAsync();
        var connection = migrated ? await cluster.CreateDatabaseAsync("migrated", Migrate) : await cluster.CreateDatabaseAsync();
        return o =>
        {
            o.Provider = StoreOptions.Postgres;
            o.ConnectionString = connection;
            o.Writers = 4;
        };
    }

    private static async Task Migrate(string connection)
    {
        await using var store = new TestStore(o => (o.Provider, o.ConnectionString) = (StoreOptions.Postgres, connection));
        await store.Migrator.Apply(default);
    }
}
