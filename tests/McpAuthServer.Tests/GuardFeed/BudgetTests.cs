using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.GuardFeed;

/// <summary><c>max_calls</c> is counted at the server, against the task and every ancestor (invariants 2 and 11).</summary>
public abstract class BudgetSuite
{
    protected abstract TestServer Server { get; }

    private protected virtual Task<IReadOnlyList<TestServer>> NodesAsync() => Task.FromResult<IReadOnlyList<TestServer>>([Server]);

    [SuiteFact]
    public async Task Budget_FiftyParallelCalls_IsNeverOverspent()
    {
        var (s, guard) = await ReadyAsync();
        var token = await BoundedAsync(s, 20);
        var nodes = await NodesAsync();
        foreach (var node in nodes)
            await node.SeeRegistryAsync();
        var answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(i => guard.SpendAsync(token.Jti(), "read_file", client: nodes[i % nodes.Count].Client())))
            .WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal(20, answers.Sum(a => a.Granted));
        Assert.All(answers.Where(a => a.Granted == 0), a => Assert.Equal(Names.Denials.BudgetSpent, a.Reason));
        Assert.Equal(20, await SpentAsync(token.Task()));
    }

    [SuiteFact]
    public async Task Budget_MoreThanIsLeft_GrantsNothingAndCountsNothing()
    {
        var (s, guard) = await ReadyAsync();
        var token = await BoundedAsync(s, 5);
        Assert.Equal(4, (await guard.SpendAsync(token.Jti(), "read_file", 4)).Granted);
        Assert.Equal((0, Names.Denials.BudgetSpent), Of(await guard.SpendAsync(token.Jti(), "read_file", 2)));
        Assert.Equal(4, await SpentAsync(token.Task()));
        Assert.Equal(1, (await guard.SpendAsync(token.Jti(), "read_file")).Granted);
        Assert.Equal((0, Names.Denials.BudgetSpent), Of(await guard.SpendAsync(token.Jti(), "read_file")));
    }

    [SuiteFact]
    public async Task Budget_OfChildren_CountsAgainstEveryAncestor()
    {
        var (s, guard) = await ReadyAsync();
        var parent = await BoundedAsync(s, 5);
        var child = await BoundedAsync(s, 3, parent.Task());
        var second = await BoundedAsync(s, 3, parent.Task());
        var grandchild = await BoundedAsync(s, 2, child.Task());
        Assert.Equal(2, (await guard.SpendAsync(grandchild.Jti(), "read_file", 2)).Granted);
        Assert.Equal((2, 2, 2), (await SpentAsync(grandchild.Task()), await SpentAsync(child.Task()), await SpentAsync(parent.Task())));
        // One is left of the child's; and what one ancestor refuses, no other counts.
        Assert.Equal((0, Names.Denials.BudgetSpent), Of(await guard.SpendAsync(child.Jti(), "read_file", 2)));
        Assert.Equal((2, 2), (await SpentAsync(child.Task()), await SpentAsync(parent.Task())));
        Assert.Equal(3, (await guard.SpendAsync(second.Jti(), "read_file", 3)).Granted);
        // All five of the parent's are gone, though the child has one and the parent's own token spent none.
        Assert.Equal((0, Names.Denials.BudgetSpent), Of(await guard.SpendAsync(child.Jti(), "read_file")));
        Assert.Equal((0, Names.Denials.BudgetSpent), Of(await guard.SpendAsync(parent.Jti(), "read_file")));
        Assert.Equal((2, 3, 5), (await SpentAsync(child.Task()), await SpentAsync(second.Task()), await SpentAsync(parent.Task())));
    }

    [SuiteFact]
    public async Task Budget_OfANarrowerGrant_IsItsOwnLimit()
    {
        var (s, guard) = await ReadyAsync();
        var token = await BoundedAsync(s, 5);
        var narrow = await (await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(token.AccessToken, details: Bounded(s, 2)))).ReadAsync(ProtocolJson.Default.TokenResponse);
        Assert.Equal(2, (await guard.SpendAsync(narrow.Jti(), "read_file", 2)).Granted);
        Assert.Equal((0, Names.Denials.BudgetSpent), Of(await guard.SpendAsync(narrow.Jti(), "read_file")));
        Assert.Equal(3, (await guard.SpendAsync(token.Jti(), "read_file", 3)).Granted);
    }

    [SuiteFact]
    public async Task Budget_ForAForeignTokenAnotherToolOrAnEndedTask_GrantsNothing()
    {
        var (s, guard) = await ReadyAsync();
        var (_, other) = await ReadyAsync();
        var parent = await BoundedAsync(s, 5);
        var token = await BoundedAsync(s, 5, parent.Task());
        Assert.Equal((0, Names.Reasons.Foreign), Of(await other.SpendAsync(token.Jti(), "read_file")));
        Assert.Equal((0, Names.Reasons.Foreign), Of(await guard.SpendAsync("at_unknown", "read_file")));
        Assert.Equal((0, Names.Denials.NotInTask), Of(await guard.SpendAsync(token.Jti(), "list_files")));
        await (await s.Agent.CallAsync(HttpMethod.Post, $"/tasks/{parent.Task()}/suspend")).ReadAsync(ProtocolJson.Default.TaskView);
        Assert.Equal((0, Names.Reasons.TaskEnded), Of(await guard.SpendAsync(token.Jti(), "read_file")));
        await (await s.Agent.CallAsync(HttpMethod.Post, $"/tasks/{parent.Task()}/fail")).ReadAsync(ProtocolJson.Default.TaskView);
        Assert.Equal((0, Names.Reasons.TaskEnded), Of(await guard.SpendAsync(token.Jti(), "read_file")));
        Assert.Equal(0, await SpentAsync(token.Task()));
    }

    [SuiteFact]
    public async Task Budget_WrongBody_Is400()
    {
        var (s, guard) = await ReadyAsync();
        var jti = (await BoundedAsync(s, 5)).Jti();
        foreach (var body in new JsonNode[]
        {
            new JsonObject(), new JsonArray(), new JsonObject { ["jti"] = null, ["tool"] = "read_file" }, new JsonObject { ["jti"] = jti }, new JsonObject { ["jti"] = jti, ["tool"] = null },
            new JsonObject { ["jti"] = jti, ["tool"] = "read_file", ["calls"] = 0 }, new JsonObject { ["jti"] = jti, ["tool"] = "read_file", ["calls"] = -1 },
            new JsonObject { ["jti"] = jti, ["tool"] = "read_file", ["calls"] = 1001 }, new JsonObject { ["jti"] = jti, ["tool"] = "read_file", ["calls"] = 1.5 },
            new JsonObject { ["jti"] = jti, ["tool"] = "read_file", ["calls"] = 3, ["up_to"] = 2 }, new JsonObject { ["jti"] = jti, ["tool"] = "read_file", ["up_to"] = 1001 },
        })
            await (await guard.CallAsync(Names.Paths.GuardBudgets, body)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
    }

    [SuiteFact]
    public async Task Lease_HoldsAPartOfWhatIsLeft_AndItsUnusedRestMayBeSpentAgain()
    {
        var (s, guard) = await ReadyAsync();
        var parent = await BoundedAsync(s, 100);
        var token = await BoundedAsync(s, 40, parent.Task());
        var leased = await guard.SpendAsync(token.Jti(), "read_file", upTo: 16);
        // A fourth of the 40 that are left.
        Assert.Equal((10, (int?)30), (leased.Granted, leased.ExpiresIn));
        Assert.Equal((10, 10), (await SpentAsync(token.Task()), await SpentAsync(parent.Task())));

        Assert.Equal(7, await guard.ReturnAsync(leased.Lease!, 7));
        Assert.Equal((3, 3), (await SpentAsync(token.Task()), await SpentAsync(parent.Task())));
        // Once.
        Assert.Equal(0, await guard.ReturnAsync(leased.Lease!, 1));
        Assert.Equal((3, 3), (await SpentAsync(token.Task()), await SpentAsync(parent.Task())));
    }

    [SuiteFact]
    public async Task Lease_AnothersExpiredOrOverdrawn_ReturnsNothing()
    {
        var (s, guard) = await ReadyAsync();
        var (_, other) = await ReadyAsync();
        var token = await BoundedAsync(s, 100);
        var leased = await guard.SpendAsync(token.Jti(), "read_file", upTo: 5);
        Assert.Equal(5, leased.Granted);
        // One of the five was needed at once: four are held.
        Assert.Equal(0, await guard.ReturnAsync(leased.Lease!, 5));
        Assert.Equal(0, await other.ReturnAsync(leased.Lease!, 1));
        Assert.Equal(0, await guard.ReturnAsync("bls_unknown", 1));
        Assert.Equal(5, await SpentAsync(token.Task()));
        Server.Time.Advance(TimeSpan.FromSeconds(30));
        Assert.Equal(0, await guard.ReturnAsync(leased.Lease!, 4));
        Assert.Equal(5, await SpentAsync(token.Task()));
        // The rest is refused to nobody.
        Assert.Equal(95, (await guard.SpendAsync(token.Jti(), "read_file", 95)).Granted);
    }

    [SuiteFact]
    public async Task Lease_OfWhatIsNearlySpent_IsOneCallAfterAnother()
    {
        var (s, guard) = await ReadyAsync();
        var token = await BoundedAsync(s, 7);
        for (var i = 0; i < 7; i++)
            Assert.Equal((1, null), ((await guard.SpendAsync(token.Jti(), "read_file", upTo: 16)) is var one ? (one.Granted, one.Lease) : default));
        Assert.Equal((0, Names.Denials.BudgetSpent), Of(await guard.SpendAsync(token.Jti(), "read_file", upTo: 16)));
    }

    [SuiteFact]
    public async Task Lease_EndsWithTheTaskAtTheLatest()
    {
        var (s, guard) = await ReadyAsync();
        var task = await (await s.Agent.BeginTaskRawAsync(Bounded(s, 100), change: b => b["expires_at"] = Server.Time.GetUtcNow().AddSeconds(12).ToString("O"))).ReadAsync(ProtocolJson.Default.TaskView);
        var token = await (await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(details: Bounded(s, 100, task.Id)))).ReadAsync(ProtocolJson.Default.TokenResponse);
        Assert.InRange((await guard.SpendAsync(token.Jti(), "read_file", upTo: 16)).ExpiresIn!.Value, 11, 12);
    }

    [SuiteFact]
    [Trait("Invariant", "11")]
    public async Task Budget_LeasedAndReturnedByManyGuardsAtOnce_IsNeverOverspentAndNotLost()
    {
        var (s, first) = await ReadyAsync();
        var second = await SecondGuardAsync(s);
        var token = await BoundedAsync(s, 60);
        var nodes = await NodesAsync();
        foreach (var node in nodes)
            await node.SeeRegistryAsync();
        var (used, seed) = (0L, System.Security.Cryptography.RandomNumberGenerator.GetInt32(int.MaxValue));
        await Task.WhenAll(Enumerable.Range(0, 8).Select(async i =>
        {
            var (guard, random, client) = (i % 2 == 0 ? first : second, new Random(seed + i), nodes[i % nodes.Count].Client());
            for (var n = 0; n < 12; n++)
            {
                var got = await guard.SpendAsync(token.Jti(), "read_file", upTo: 16, client: client);
                var unused = got.Lease is null ? 0 : random.Next(got.Granted);
                if (unused > 0)
                    Assert.Equal(unused, await guard.ReturnAsync(got.Lease!, unused, client));
                Interlocked.Add(ref used, got.Granted - unused);
            }
        })).WaitAsync(TimeSpan.FromSeconds(120));
        // What ran is what is counted, and with this many calls all of it ran.
        Assert.True(used == await SpentAsync(token.Task()) && used == 60, $"{used} of 60 ran, {await SpentAsync(token.Task())} counted (seed {seed})");
    }

    [SuiteFact]
    public async Task Returns_WrongBody_Is400()
    {
        var (_, guard) = await ReadyAsync();
        foreach (var body in new JsonNode[]
        {
            new JsonObject(), new JsonArray(), new JsonObject { ["leases"] = new JsonArray() }, new JsonObject { ["leases"] = new JsonArray((JsonNode?)null) },
            Leases(new JsonObject { ["lease"] = null, ["unused"] = 1 }), Leases(new JsonObject { ["lease"] = "bls_1", ["unused"] = -1 }),
            Leases([.. Enumerable.Range(0, 101).Select(i => new JsonObject { ["lease"] = $"bls_{i}", ["unused"] = 1 })]),
        })
            await (await guard.CallAsync(Names.Paths.GuardBudgetReturns, body)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);

        static JsonObject Leases(params JsonObject[] leases) => new() { ["leases"] = new JsonArray([.. leases]) };
    }

    /// <summary>Another process of the same tool server.</summary>
    private async Task<TestGuard> SecondGuardAsync(Scenario s)
    {
        var secret = $"second-enrolment-secret-{s.Suffix}-0123456789abcdef";
        s.File["tool_servers"]![0]!["enrolment_secrets"] = new JsonArray(secret);
        await Server.ApplyAsync(s.File.ToJsonString());
        var guard = new TestGuard(s);
        await guard.EnrollAsync(guard.EnrollBody(secret));
        await guard.AuthenticateAsync();
        return guard;
    }

    private static (int, string?) Of(BudgetResponse answer) => (answer.Granted, answer.Reason);

    private Task<long> SpentAsync(string task) => Server.ScalarAsync($"select cast(coalesce(sum(spent), 0) as bigint) from budgets where task_id = '{task}'");

    private async Task<(Scenario, TestGuard)> ReadyAsync()
    {
        var s = await Server.ScenarioAsync();
        await s.Agent.AttestAsync();
        return (s, await TestGuard.OfAsync(s));
    }

    private static JsonArray Bounded(Scenario s, int calls, string? task = null) =>
        s.Details(["read_file"], task is null ? null : new JsonObject { ["id"] = task }).With("read_file", new JsonObject { ["max_calls"] = calls });

    /// <summary>A token of a new task with so many calls.</summary>
    private static async Task<TokenResponse> BoundedAsync(Scenario s, int calls, string? parent = null)
    {
        var task = await (await s.Agent.BeginTaskRawAsync(Bounded(s, calls), change: b => b["parent_task"] = parent)).ReadAsync(ProtocolJson.Default.TaskView);
        return await (await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(details: Bounded(s, calls, task.Id)))).ReadAsync(ProtocolJson.Default.TokenResponse);
    }
}

public sealed class BudgetOnSqliteTests(TestServer server) : BudgetSuite, IClassFixture<TestServer>
{
    protected override TestServer Server => server;
}

[NeedsPostgres]
public sealed class BudgetOnPostgresTests(PostgresServer postgres) : BudgetSuite, IClassFixture<PostgresServer>
{
    protected override TestServer Server => postgres.Server;

    private protected override async Task<IReadOnlyList<TestServer>> NodesAsync() => [Server, await postgres.AnotherAsync()];
}
