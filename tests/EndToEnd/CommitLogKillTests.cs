using System.Data;
using System.Data.Common;
using System.Globalization;
using McpAuth.Testing;
using Microsoft.Data.Sqlite;
using Npgsql;

namespace McpAuth.EndToEnd;

/// <summary>
/// A process that commits as fast as it can is killed at random moments, and the database asked whether it kept what was acknowledged.
/// <c>MCPAUTH_SOAK=1</c> makes it many more.
/// </summary>
[Trait("Suite", "kill")]
public sealed class CommitLogKillTests : IDisposable
{
    private static readonly int Rounds = Environment.GetEnvironmentVariable("MCPAUTH_SOAK") == "1" ? 200 : 40;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly TempDirectory directory = new();
    private readonly Random random = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    [Trait("Spec", "Invariant-4")]
    [Trait("Spec", "Invariant-11")]
    public async Task Sqlite_ProcessKilledAtAnyMoment_KeepsEveryAcknowledgedUnitOnce()
    {
        var path = directory["kill.db"];
        var acknowledged = new Acknowledged();
        for (var round = 0; round < Rounds; round++)
        {
            await KillAsync([await StartAsync("sqlite", path, round, 0)], acknowledged);
            await using var connection = new SqliteConnection($"Data Source={path};Pooling=false");
            await VerifyAsync(connection, acknowledged, places: false);
        }
        acknowledged.AssertWorthwhile(Rounds);
    }

    [PostgresFact]
    [Trait("Spec", "Invariant-4")]
    [Trait("Spec", "Invariant-11")]
    public async Task Postgres_NodesKilledAtAnyMoment_KeepEveryAcknowledgedUnitOnce()
    {
        var database = await (await PostgresCluster.SharedAsync()).CreateDatabaseAsync();
        var acknowledged = new Acknowledged();
        for (var round = 0; round < Rounds; round++)
        {
            // One alone, or two that commit against each other.
            await KillAsync(await Task.WhenAll(Enumerable.Range(0, 1 + round % 2).Select(n => StartAsync("postgres", database, round, n))), acknowledged);
            await using var connection = new NpgsqlConnection(database + ";Pooling=false");
            await VerifyAsync(connection, acknowledged, places: true);
        }
        acknowledged.AssertWorthwhile(Rounds);
    }

    [PostgresFact]
    [Trait("Spec", "Invariant-4")]
    public async Task Postgres_ServerKilledAtAnyMoment_KeepsEveryAcknowledgedUnitOnce()
    {
        await using var cluster = await PostgresCluster.StartAsync(durable: true);
        var database = await cluster.CreateDatabaseAsync();
        var acknowledged = new Acknowledged();
        var rounds = Rounds / 10;
        for (var round = 0; round < rounds; round++)
        {
            var node = await StartAsync("postgres", database, round, 0);
            var done = 0;
            await node.WaitForLineAsync(line => line.StartsWith("done ", StringComparison.Ordinal) && ++done == 100, Patience);
            await Task.Delay(random.Next(100));
            cluster.Crash();
            await KillAsync([node], acknowledged);
            await cluster.LaunchAsync();
            await using var connection = new NpgsqlConnection(database + ";Pooling=false");
            await VerifyAsync(connection, acknowledged, places: true);
        }
        acknowledged.AssertWorthwhile(rounds);
    }

    [Fact]
    public async Task Sqlite_KilledWhileItMigrates_TheNextStartSucceeds()
    {
        for (var round = 0; round < Rounds / 8; round++)
        {
            var path = directory[$"migrate{round}.db"];
            await KillEarlyAsync("sqlite", path);
            await using var next = await StartAsync("sqlite", path, round, 0);
        }
    }

    [PostgresFact]
    public async Task Postgres_KilledWhileItMigrates_TheNextStartSucceeds()
    {
        var cluster = await PostgresCluster.SharedAsync();
        for (var round = 0; round < Rounds / 8; round++)
        {
            var database = await cluster.CreateDatabaseAsync();
            await KillEarlyAsync("postgres", database);
            await using var next = await StartAsync("postgres", database, round, 0);
        }
    }

    private static ChildProcess Launch(string provider, string where, string run)
    {
        // …/tests/EndToEnd/bin/<configuration>/<framework>/ → the same of the victim.
        var here = new DirectoryInfo(AppContext.BaseDirectory);
        var (framework, configuration, tests) = (here.Name, here.Parent!.Name, here.Parent.Parent!.Parent!.Parent!.FullName);
        return ChildProcess.StartDll(
            Path.Combine(tests, "CommitLogVictim", "bin", configuration, framework, "CommitLogVictim.dll"), [provider, where, run],
            new Dictionary<string, string?> { ["DOTNET_TieredPGO"] = "0", ["DOTNET_gcServer"] = "0" });
    }

    private static async Task<ChildProcess> StartAsync(string provider, string where, int round, int node)
    {
        var child = Launch(provider, where, string.Create(CultureInfo.InvariantCulture, $"r{round}n{node}"));
        await child.WaitForLineAsync(line => line == "ready", Patience);
        return child;
    }

    private async Task KillEarlyAsync(string provider, string where)
    {
        await using var child = Launch(provider, where, "early");
        await Task.Delay(random.Next(80, 400));
        child.Kill();
        await child.WaitForExitAsync(Patience);
    }

    /// <summary>Lets them run for a moment, kills them, and takes down what they acknowledged.</summary>
    private async Task KillAsync(ChildProcess[] nodes, Acknowledged acknowledged)
    {
        await Task.Delay(random.Next(20, 150));
        foreach (var node in nodes) node.Kill();
        foreach (var node in nodes)
        {
            await node.WaitForExitAsync(Patience);
            acknowledged.Add(node.Output);
            await node.DisposeAsync();
        }
    }

    /// <param name="places">Whether events are numbered after their commit, so that some may not be yet.</param>
    private static async Task VerifyAsync(DbConnection connection, Acknowledged acknowledged, bool places)
    {
        await connection.OpenAsync();
        // One view of it all: the server may still be finishing a transaction whose client is dead.
        await using var view = await connection.BeginTransactionAsync(places ? IsolationLevel.RepeatableRead : IsolationLevel.Serializable);
        var types = new Dictionary<string, string>();
        await using (var command = Command("select id, type from audit_events"))
        await using (var reader = await command.ExecuteReaderAsync())
            while (await reader.ReadAsync())
                Assert.True(types.TryAdd(reader.GetString(0), reader.GetString(1)), "an event is there twice");
        var states = new HashSet<string>();
        await using (var command = Command("select key from used_once where space = 'victim'"))
        await using (var reader = await command.ExecuteReaderAsync())
            while (await reader.ReadAsync())
                states.Add(reader.GetString(0));

        foreach (var id in acknowledged.Done)
        {
            Assert.Equal("token.issued", types.GetValueOrDefault(id));
            Assert.Contains(id, states);
        }
        foreach (var id in acknowledged.Refused)
        {
            Assert.Equal("token.refused", types.GetValueOrDefault(id));
            Assert.DoesNotContain(id, states);
        }
        // Whether acknowledged or not: no event without its state, no state without its event, and each done once.
        Assert.Equal(types.Where(t => t.Value == "token.issued").Select(t => t.Key).Order(StringComparer.Ordinal), states.Order(StringComparer.Ordinal));
        Assert.Equal(states.Count, await NumberAsync("select coalesce(sum(spent), 0) from budgets"));
        // What is numbered is numbered from 1, without a gap.
        var numbered = await NumberAsync("select count(seq) from audit_events");
        Assert.Equal(numbered, await NumberAsync("select coalesce(max(seq), 0) from audit_events"));
        if (!places) Assert.Equal(types.Count, numbered);

        DbCommand Command(string sql)
        {
            var command = connection.CreateCommand();
            (command.CommandText, command.Transaction) = (sql, view);
            return command;
        }

        async Task<long> NumberAsync(string sql)
        {
            await using var command = Command(sql);
            return Convert.ToInt64(await command.ExecuteScalarAsync(), CultureInfo.InvariantCulture);
        }
    }

    /// <summary>What the killed processes had told their callers.</summary>
    private sealed class Acknowledged
    {
        public List<string> Done { get; } = [];

        public List<string> Refused { get; } = [];

        public void Add(IReadOnlyList<string> output)
        {
            foreach (var line in output)
            {
                if (line.StartsWith("done ", StringComparison.Ordinal)) Done.Add(line[5..]);
                else if (line.StartsWith("refused ", StringComparison.Ordinal)) Refused.Add(line[8..]);
                else Assert.False(line.StartsWith("wrong ", StringComparison.Ordinal), $"{line}: a unit had the wrong outcome");
            }
        }

        /// <summary>A test whose victims never got to work has shown nothing.</summary>
        public void AssertWorthwhile(int rounds) => Assert.True(Done.Count > 10 * rounds && Refused.Count > rounds, $"only {Done.Count} units in {rounds} rounds");
    }
}
