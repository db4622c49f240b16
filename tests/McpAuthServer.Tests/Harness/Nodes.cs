using McpAuth.Testing;
using McpAuthServer.Registry;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Harness;

/// <summary>Servers on one database: PostgreSQL, or SQLite for one after the other.</summary>
public sealed class Nodes : IAsyncDisposable
{
    private readonly TempDirectory directory = new();
    private readonly string? postgres;
    private readonly List<TestServer> running = [];

    private Nodes(string? postgres) => this.postgres = postgres;

    public static Nodes OnSqlite() => new(null);

    public static async Task<Nodes> OnPostgresAsync() => new(await (await PostgresCluster.SharedAsync()).CreateDatabaseAsync());

    /// <summary>A further node; on SQLite the one before must have been stopped.</summary>
    /// <param name="now">What its clock shows.</param>
    /// <param name="configure">Settings of its own.</param>
    /// <param name="replace">Services of its own.</param>
    public async Task<TestServer> StartAsync(DateTimeOffset? now = null, Action<Dictionary<string, string>>? configure = null, Action<IServiceCollection>? replace = null)
    {
        var node = new TestServer();
        node.Settings["McpAuth:DataDirectory"] = directory.Path;
        node.Settings["McpAuth:Node"] = $"node{running.Count + 1}";
        if (postgres is not null)
            node.Settings["McpAuth:Postgres"] = postgres;
        if (now is { } time)
            node.Time.Set(time);
        configure?.Invoke(node.Settings);
        node.Replace = replace;
        await node.InitializeAsync();
        running.Add(node);
        return node;
    }

    public async Task StopAsync(TestServer node)
    {
        running.Remove(node);
        await node.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in running)
            await node.DisposeAsync();
        directory.Dispose();
    }
}

/// <summary>One server on PostgreSQL for a class of tests; nothing where PostgreSQL is not installed, so that skipped tests start nothing.</summary>
public sealed class PostgresServer : IAsyncLifetime
{
    private Nodes? nodes;

    public TestServer Server { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        if (PostgresBinaries.Requirement.Skip is not null)
            return;
        nodes = await Nodes.OnPostgresAsync();
        Server = await nodes.StartAsync();
    }

    /// <summary>Another node on the same database.</summary>
    public Task<TestServer> AnotherAsync() => nodes!.StartAsync(Server.Time.GetUtcNow());

    public async Task DisposeAsync()
    {
        if (nodes is not null)
            await nodes.DisposeAsync();
    }
}

internal static class NodeExtensions
{
    /// <summary>What the node's poll of the registry would do within 250 ms: forget a snapshot that another node made stale.</summary>
    public static async Task SeeRegistryAsync(this TestServer node)
    {
        var cache = node.Services.GetRequiredService<RegistryCache>();
        cache.Invalidate((await cache.Current(default)).Version);
    }

    /// <summary>The registry as the server would answer from now on; loads it if it was forgotten.</summary>
    internal static async Task<RegistrySnapshot> SnapshotAsync(this IServiceProvider services) => await services.GetRequiredService<RegistryCache>().Current(default);
}
