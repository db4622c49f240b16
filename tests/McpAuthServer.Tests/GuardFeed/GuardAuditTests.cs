using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.GuardFeed;

/// <summary>A guard's spool: in sequence, once, believed about its own tool server only.</summary>
public abstract class GuardAuditSuite
{
    protected abstract TestServer Server { get; }

    [SuiteFact]
    public async Task Audit_WhateverTheGuardClaims_IdentityIsTheTokens()
    {
        var (s, token, guard) = await ReadyAsync();
        var claimed = guard.Event(token.Jti());
        foreach (var name in new[] { "user", "agent", "instance", "client", "task", "parent_task", "grant", "resource", "node" })
            claimed[name] = "claimed_" + name;
        claimed["chain"] = new JsonArray("claimed_chain");
        claimed["seq"] = 1;
        claimed["args_digest"] = "v1:digest";
        var mark = await Server.NowAsync();
        Assert.Equal(1, await guard.DeliverAsync(guard.Spool(claimed)));
        var e = Assert.Single(await Server.SinceAsync(mark));
        Assert.Equal(
            (AuditTypes.CallDecided, null, s.Agent.Id, s.Agent.Instance, s.Agent.ClientId, token.Task(), token.Grant()), (e.Type, e.User, e.Agent, e.Instance, e.Client, e.Task, e.Grant));
        Assert.Equal((s.Resource, guard.Id, null, "v1:digest", "allow"), (e.Resource, e.Node, e.ParentTask, e.ArgsDigest, e.Outcome));
        Assert.Null(e.Chain);

        // Without a token there is nobody to name.
        mark = await Server.NowAsync();
        var anonymous = guard.Event(null, AuditTypes.CallRefused);
        anonymous["agent"] = s.Agent.Id;
        anonymous["task"] = token.Task();
        await guard.DeliverAsync(guard.Spool(anonymous));
        e = Assert.Single(await Server.SinceAsync(mark));
        Assert.Equal((null, null, s.Resource, guard.Id), (e.Agent, e.Task, e.Resource, e.Node));
    }

    [SuiteFact]
    public async Task Audit_DeliveredAgainInWholeOrInPart_IsStoredOnce()
    {
        var (_, token, guard) = await ReadyAsync();
        var entries = Enumerable.Range(0, 5).Select(_ => guard.Spool(guard.Event(token.Jti()))).ToArray();
        var mark = await Server.NowAsync();
        Assert.Equal(3, await guard.DeliverAsync(entries[..3]));
        Assert.Equal(3, await guard.DeliverAsync(entries[..3]));
        Assert.Equal(3, await guard.DeliverAsync(entries[..2]));
        Assert.Equal(5, await guard.DeliverAsync(entries[1..]));
        Assert.Equal(5, await guard.DeliverAsync(entries));
        Assert.Equal(entries.Select(e => (string)e["event"]!["id"]!), (await Server.SinceAsync(mark)).Select(e => e.Id));
    }

    [SuiteFact]
    public async Task Audit_SameBatchTenTimesAtOnce_IsStoredOnce()
    {
        var (_, token, guard) = await ReadyAsync();
        var entries = Enumerable.Range(0, 20).Select(_ => guard.Spool(guard.Event(token.Jti()))).ToArray();
        var mark = await Server.NowAsync();
        var answers = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => guard.DeliverRawAsync(entries))).WaitAsync(TimeSpan.FromSeconds(60));
        Assert.All(answers, a => Assert.True(a.StatusCode is HttpStatusCode.OK or HttpStatusCode.Conflict));
        Assert.Contains(answers, a => a.StatusCode == HttpStatusCode.OK);
        Assert.Equal(entries.Select(e => (string)e["event"]!["id"]!), (await Server.SinceAsync(mark)).Select(e => e.Id));
    }

    [SuiteFact]
    public async Task Audit_Chain_IsAsDocumentedAndABreakIsAnAlert()
    {
        var (_, token, guard) = await ReadyAsync();
        var mark = await Server.NowAsync();
        // The chain that the harness computes from the documentation is taken without an alert, entry by entry.
        for (var i = 0; i < 3; i++)
            await guard.DeliverAsync(guard.Spool(guard.Event(token.Jti())));
        Assert.All(await Server.SinceAsync(mark), e => Assert.Equal(AuditTypes.CallDecided, e.Type));

        // A changed entry: the next one does not stand on it. One alert, and the chain goes on from there.
        mark = await Server.NowAsync();
        var changed = guard.Spool(guard.Event(token.Jti()));
        changed["event"]!["outcome"] = "deny";
        await guard.DeliverAsync(changed);
        await guard.DeliverAsync(guard.Spool(guard.Event(token.Jti())), guard.Spool(guard.Event(token.Jti())));
        var events = await Server.SinceAsync(mark);
        Assert.Equal([AuditTypes.CallDecided, AuditTypes.GuardGap, AuditTypes.CallDecided, AuditTypes.CallDecided], events.Select(e => e.Type));
        Assert.Equal(("broken_chain", guard.Id, 5), (events[1].Reason, events[1].Client, (long)events[1].Data!["seq"]!));
    }

    [SuiteFact]
    public async Task Audit_MissingEntries_AreAnAlertAndTheRestIsStored()
    {
        var (_, token, guard) = await ReadyAsync();
        await guard.DeliverAsync(guard.Spool(guard.Event(token.Jti())));
        guard.Spool(guard.Event(token.Jti()));
        guard.Spool(guard.Event(token.Jti()));
        var mark = await Server.NowAsync();
        Assert.Equal(4, await guard.DeliverAsync(guard.Spool(guard.Event(token.Jti()))));
        var events = await Server.SinceAsync(mark);
        Assert.Equal([(AuditTypes.GuardGap, "missing_entries"), (AuditTypes.CallDecided, null)], events.Select(e => (e.Type, e.Reason)));
        Assert.Equal((1, 4), ((long)events[0].Data!["after"]!, (long)events[0].Data!["seq"]!));
    }

    [SuiteFact]
    public async Task Audit_OfATokenThatIsNoneOfItsBusiness_IsNotBelieved()
    {
        var (_, _, guard) = await ReadyAsync();
        var (other, foreign, _) = await ReadyAsync();
        var story = await Server.ScalarAsync($"select count(*) from audit_events where task = '{foreign.Task()}'");
        foreach (var jti in new[] { foreign.Jti(), "at_unknown", Answers.Claims(other.Agent.InstanceToken).GetProperty("jti").GetString()! })
        {
            var mark = await Server.NowAsync();
            await guard.DeliverAsync(guard.Spool(guard.Event(jti)));
            var e = Assert.Single(await Server.SinceAsync(mark));
            Assert.Equal((AuditTypes.GuardRefused, "foreign_jti", guard.Id, null, null), (e.Type, e.Reason, e.Client, e.Agent, e.Task));
        }
        Assert.Equal(story, await Server.ScalarAsync($"select count(*) from audit_events where task = '{foreign.Task()}'"));
    }

    [SuiteFact]
    public async Task Audit_TypesOfTheServersOwnOrARepeatedId_AreNotBelievedAndDoNotBlock()
    {
        var (_, token, guard) = await ReadyAsync();
        var mark = await Server.NowAsync();
        var twice = guard.Event(token.Jti());
        Assert.Equal(6, await guard.DeliverAsync(
            guard.Spool(guard.Event(token.Jti(), AuditTypes.TokenIssued)), guard.Spool(guard.Event(token.Jti(), AuditTypes.AgentResumed)),
            guard.Spool(guard.Event(token.Jti(), id: "not_an_event")), guard.Spool(twice), guard.Spool((JsonObject)twice.DeepClone()), guard.Spool(guard.Event(token.Jti()))));
        Assert.Equal(
            [
                (AuditTypes.GuardRefused, "unknown_type"), (AuditTypes.GuardRefused, "unknown_type"), (AuditTypes.GuardRefused, "unknown_type"),
                (AuditTypes.CallDecided, null), (AuditTypes.GuardRefused, "repeated_id"), (AuditTypes.CallDecided, null),
            ],
            (await Server.SinceAsync(mark)).Select(e => (e.Type, e.Reason)));
        Assert.Equal(1, await Server.ScalarAsync($"select count(*) from audit_events where jti = '{token.Jti()}' and type = 'token.issued'"));
    }

    [SuiteFact]
    public async Task Audit_BodyWithHolesOrOutOfSequence_Is400AndStoresNothing()
    {
        var (_, token, guard) = await ReadyAsync();
        var mark = await Server.NowAsync();
        JsonObject Entry(long seq, Action<JsonObject>? change = null)
        {
            var entry = new JsonObject { ["seq"] = seq, ["prev"] = "", ["event"] = guard.Event(token.Jti()) };
            change?.Invoke(entry);
            return entry;
        }
        foreach (var body in new JsonNode[]
        {
            new JsonObject(), new JsonArray(), new JsonObject { ["entries"] = null }, new JsonObject { ["entries"] = new JsonArray() }, Of(new JsonObject()), Of([null]),
            Of(Entry(1, e => e["event"] = null)), Of(Entry(1, e => e["prev"] = null)), Of(Entry(1, e => e["event"]!["id"] = null)), Of(Entry(1, e => e["event"]!["type"] = null)),
            Of(Entry(1, e => e["event"]!.AsObject().Remove("outcome"))), Of(Entry(1, e => e["seq"] = "1")), Of(Entry(0)), Of(Entry(-1)), Of(Entry(1), Entry(1)),
            Of(Entry(1), Entry(3)), Of(Entry(2), Entry(1)),
        })
            await (await guard.CallAsync(Names.Paths.GuardAudit, body)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
        Assert.Empty(await Server.SinceAsync(mark));
        Assert.Equal(1, await guard.DeliverAsync(guard.Spool(guard.Event(token.Jti()))));

        static JsonObject Of(params JsonObject?[] entries) => new() { ["entries"] = new JsonArray([.. entries]) };
    }

    private async Task<(Scenario, TokenResponse, TestGuard)> ReadyAsync()
    {
        var s = await Server.ScenarioAsync();
        await s.Agent.AttestAsync();
        return (s, await s.Agent.TaskTokenAsync(await s.Agent.BeginTaskAsync("read_file"), "read_file"), await TestGuard.OfAsync(s));
    }
}

public sealed class GuardAuditOnSqliteTests(TestServer server) : GuardAuditSuite, IClassFixture<TestServer>
{
    protected override TestServer Server => server;
}

[NeedsPostgres]
public sealed class GuardAuditOnPostgresTests(PostgresServer postgres) : GuardAuditSuite, IClassFixture<PostgresServer>
{
    protected override TestServer Server => postgres.Server;
}
