using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol.Audit;
using McpAuth.Testing;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Approvals;
using McpAuthServer.Tests.Harness;
using McpAuthServer.Tests.Policies;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace McpAuthServer.Tests.Storage;

/// <summary>What nobody can need any more does not stay; the record of it does.</summary>
public abstract class GrowthSuite
{
    protected abstract TestServer Server { get; }

    [SuiteFact]
    public async Task Streams_OfWhoPollsNoLonger_Go_AndWhoPollsKeepsTheirs()
    {
        var guard = await TestGuard.OfAsync(await Server.ScenarioAsync());
        var (silent, polled) = (await guard.OpenStreamAsync(), await guard.OpenStreamAsync());
        for (var day = 0; day < 16; day++)
        {
            Server.Time.Advance(TimeSpan.FromHours(13));
            await guard.AuthenticateAsync();
            Assert.Equal(HttpStatusCode.OK, (await guard.PollRawAsync(polled.Stream, polled.Cursor)).StatusCode);
        }
        await PurgeAsync();

        Assert.Equal([polled.Stream], await Server.TextsAsync($"select id from guard_streams where guard_id = '{guard.Id}'"));
        Assert.Equal(HttpStatusCode.OK, (await guard.PollRawAsync(polled.Stream, polled.Cursor)).StatusCode);
        // A guard that is told so opens another one.
        Assert.Equal(HttpStatusCode.NotFound, (await guard.PollRawAsync(silent.Stream, silent.Cursor)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await guard.PollRawAsync((await guard.OpenStreamAsync()).Stream, polled.Cursor)).StatusCode);
    }

    /// <summary>However old or new the guard says that it is.</summary>
    [SuiteFact]
    public async Task Differences_AreForgottenInTime_AndTheirCountStays()
    {
        var w = await PolicyWorld.OfAsync(Server);
        await w.ActivateAsync("permit(principal, action, resource);");
        var shadow = await w.DraftAsync("forbid(principal, action, resource);");
        await w.MoveAsync(shadow, "shadow");
        foreach (var time in new long?[] { null, 0, 253_402_300_799_999 })
        {
            var e = w.Guard.Event(null);
            e["time"] = time ?? (long)e["time"]!;
            e["data"] = new JsonObject { ["policy"] = "allow", ["shadow"] = new JsonObject { ["version"] = (long)shadow["version"]!, ["decision"] = "deny" } };
            await w.Guard.DeliverAsync(w.Guard.Spool(e));
        }
        Task<long> Differences() => Server.ScalarAsync($"select count(*) from policy_differences where tool_server = '{w.S.ToolServer}'");
        Server.Time.Advance(TimeSpan.FromDays(29));
        await PurgeAsync();
        Assert.Equal(3, await Differences());

        Server.Time.Advance(TimeSpan.FromDays(2));
        await PurgeAsync();

        Assert.Equal(0, await Differences());
        Assert.Equal(3, await Server.ScalarAsync($"select differing from policy_comparisons where tool_server = '{w.S.ToolServer}'"));
    }

    [SuiteFact]
    public async Task Approvals_ThatAreOver_AreForgottenInTime_AndTheRecordStays()
    {
        var w = await ApprovalWorld.OfAsync(Server);
        var used = await w.ApprovedAsync();
        Assert.Equal("used", (await w.HoldAsync()).State);
        var unanswered = await w.AskAsync("""{"path":"/other"}""");
        await Server.Services.GetRequiredService<ICommitLog>().Commit(new Notify(unanswered, Server.Time.GetUtcNow().ToUnixTimeMilliseconds()));
        Task<List<string>> Kept() => Server.TextsAsync($"select id from approvals where task_id = '{w.Task}' order by state desc");
        Server.Time.Advance(TimeSpan.FromDays(29));
        await w.SweepAsync();
        await PurgeAsync();
        Assert.Equal([used, unanswered], await Kept());

        Server.Time.Advance(TimeSpan.FromDays(2));
        await PurgeAsync();

        Assert.Empty(await Kept());
        Assert.Equal(0, await Server.ScalarAsync($"select count(*) from approval_notices where approval = '{unanswered}'"));
        Assert.Equal(
            [AuditTypes.ApprovalAsked, AuditTypes.ApprovalApproved, AuditTypes.ApprovalUsed, AuditTypes.ApprovalAsked, AuditTypes.ApprovalExpired], (await w.EventsAsync()).Select(e => e.Type));
    }

    private Task PurgeAsync() => Server.Services.GetServices<IHostedService>().OfType<StoreUpkeep>().Single().Purge(default);

    /// <summary>Word that nobody takes any more: its channel is not configured.</summary>
    private sealed class Notify(string approval, long now) : Unit<int>
    {
        private static readonly Sql Insert = new("insert into approval_notices (approval, webhook, attempts, next_at) values (@approval, 'gone', 0, @now)");

        public override int Apply(WriteTx tx) => tx.Run(Insert.With(approval, now));
    }
}

public sealed class GrowthOnSqliteTests(TestServer server) : GrowthSuite, IClassFixture<TestServer>
{
    protected override TestServer Server => server;

    [Theory]
    [InlineData("00:00:00", 30)]
    [InlineData("40.00:00:00", 40)]
    public async Task WhatDecisionsLeave_StaysAsLongAsWhatTheyWereMadeOn_AndForThirtyDaysAtLeast(string retention, int days)
    {
        await using var nodes = Nodes.OnSqlite();
        var node = await nodes.StartAsync(configure: settings => settings["McpAuth:DecisionRetention"] = retention);
        Assert.Equal(TimeSpan.FromDays(days), node.Services.GetRequiredService<StoreOptions>().KeepDecided);
    }
}

[NeedsPostgres]
public sealed class GrowthOnPostgresTests(PostgresServer postgres) : GrowthSuite, IClassFixture<PostgresServer>
{
    protected override TestServer Server => postgres.Server;
}
