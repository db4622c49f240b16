using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.GuardFeed;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace McpAuthServer.Tests.GuardFeed;

/// <summary>Streams, snapshot and poll (RFC 8936, RFC 8417), on either database.</summary>
public abstract class RevocationFeedSuite
{
    private static readonly JwtRules SetRules = new("SET", [Names.Types.SecurityEvent], TypeRequired: true, ["ES256"]);

    protected abstract TestServer Server { get; }

    [SuiteFact]
    [Trait("Spec", "RFC8417-2.2")]
    public async Task Poll_AfterRevocations_SignedSetsInCommitOrder()
    {
        var (s, guard, stream) = await ReadyAsync();
        var first = await s.Agent.BeginTaskAsync("read_file");
        var token = await s.Agent.TaskTokenAsync(first, "read_file");
        var second = await s.Agent.BeginTaskAsync("read_file");
        await RevokeAsync(s.Agent, token.AccessToken);
        await MoveAsync(s.Agent, second, "complete");
        await s.Agent.CallAsync(HttpMethod.Delete, $"/agents/instances/{s.Agent.Instance}");
        s.File["agents"]![0]!["state"] = "suspended";
        s.File["users"]![0]!["enabled"] = false;
        await Server.ApplyAsync(s.File.ToJsonString());

        var answer = await guard.PollAsync(stream.Stream, stream.Cursor);
        var keys = VerificationKey.FromJwks(JsonElement.Parse(await Server.Client().GetStringAsync(Names.Paths.Jwks))).Value;
        var sets = new List<(string Kind, string Subject, string Reason)>();
        foreach (var (jti, seq) in answer.Seq.OrderBy(p => p.Value))
        {
            Assert.True(seq > stream.Cursor && seq <= answer.HighWater);
            var jwt = StrictJwt.Read(answer.Sets[jti], SetRules).Value;
            Assert.Contains(keys, k => k.KeyId == jwt.KeyId && k.Verify(jwt));
            // RFC 8417 §2.2: iss, iat, jti, events; §4.1: no exp; the subject stands in sub_id, so no sub.
            Assert.Equal((TestServer.Issuer, s.Resource, jti), (jwt.Text("iss"), Assert.Single(jwt.Audiences), jwt.Text("jti")));
            Assert.NotNull(jwt.Time("iat"));
            Assert.NotNull(jwt.Text("txn"));
            Assert.False(jwt.Payload.TryGetProperty("sub", out _) || jwt.Payload.TryGetProperty("exp", out _));
            var e = Assert.Single(jwt.Payload.GetProperty("events").EnumerateObject());
            Assert.Equal(RevocationEvents.Revoked, e.Name);
            var subject = jwt.Payload.GetProperty("sub_id");
            var isUser = subject.GetProperty("format").GetString() == "iss_sub";
            sets.Add((e.Value.GetProperty("kind").GetString()!, subject.GetProperty(isUser ? "sub" : "id").GetString()!, e.Value.GetProperty("reason").GetString()!));
            Assert.Equal(isUser, e.Value.TryGetProperty("before", out _));
            Assert.True(e.Value.GetProperty("until").GetInt64() >= Server.Time.GetUtcNow().AddMinutes(5).ToUnixTimeMilliseconds());
        }
        Assert.Equal(
            [
                ("grant", token.Grant(), "revoked_by_client"), ("task", second, "completed"), ("task", first, "failed"),
                ("instance", s.Agent.Instance!, "ended_by_agent"),
                ("user", "usr_" + s.Suffix, "user_disabled"), ("agent", s.Agent.Id, "agent_suspended"),
            ], sets);
        Assert.False(answer.MoreAvailable);
        Assert.Empty((await guard.PollAsync(stream.Stream, answer.HighWater)).Sets);
    }

    [SuiteFact]
    [Trait("Spec", "RFC8936-2.4")]
    public async Task Poll_FewerThanThereAre_SaysMoreAvailable()
    {
        var (s, guard, stream) = await ReadyAsync();
        for (var i = 0; i < 5; i++)
            await MoveAsync(s.Agent, await s.Agent.BeginTaskAsync("read_file"), "complete");
        var seen = new List<long>();
        var after = stream.Cursor;
        foreach (var more in new[] { true, true, false })
        {
            var answer = await guard.PollAsync(stream.Stream, after, max: 2);
            Assert.Equal(more, answer.MoreAvailable);
            seen.AddRange(answer.Seq.Values.Order());
            after = seen[^1];
            Assert.True(answer.HighWater >= after);
        }
        Assert.Equal(5, seen.Count);
        Assert.Equal(seen.Order().Distinct(), seen);
    }

    [SuiteFact]
    public async Task Poll_NothingNew_WaitsASecondAndAnswersEmpty()
    {
        var (_, guard, stream) = await ReadyAsync();
        var start = Server.Time.GetTimestamp();
        var poll = guard.PollAsync(stream.Stream, stream.Cursor, immediately: false);
        for (var i = 0; i < 200 && !poll.IsCompleted; i++)
        {
            await Task.Delay(25);
            if (!poll.IsCompleted)
                Server.Time.Advance(TimeSpan.FromMilliseconds(100));
        }
        Assert.Empty((await poll.WaitAsync(TimeSpan.FromSeconds(30))).Sets);
        Assert.True(Server.Time.GetElapsedTime(start) >= TimeSpan.FromSeconds(1), "it did not wait");
    }

    [SuiteFact]
    public async Task Poll_ACommitWhileItWaits_WakesIt()
    {
        var (s, guard, stream) = await ReadyAsync();
        var task = await s.Agent.BeginTaskAsync("read_file");
        var waiting = Server.Time.Waiting;
        var poll = guard.PollAsync(stream.Stream, stream.Cursor, immediately: false);
        await UntilItWaitsAsync(Server, waiting);
        Assert.False(poll.IsCompleted);
        // The clock stands still: only the commit can end the wait.
        await MoveAsync(s.Agent, task, "complete");
        Assert.Single((await poll.WaitAsync(TimeSpan.FromSeconds(30))).Sets);
    }

    [SuiteFact]
    public async Task Feed_SuspendedAndResumed_DeniesAndLifts()
    {
        var (s, guard, stream) = await ReadyAsync();
        var task = await s.Agent.BeginTaskAsync("read_file");
        await MoveAsync(s.Agent, task, "suspend");
        Assert.Contains((await guard.OpenStreamAsync()).Snapshot, d => d is { Kind: "task" } && d.Id == task);
        await MoveAsync(s.Agent, task, "resume");
        Assert.DoesNotContain((await guard.OpenStreamAsync()).Snapshot, d => d.Id == task);

        var answer = await guard.PollAsync(stream.Stream, stream.Cursor);
        var kinds = answer.Seq.OrderBy(p => p.Value).Select(p => Assert.Single(Answers.Claims(answer.Sets[p.Key]).GetProperty("events").EnumerateObject()).Name);
        Assert.Equal([RevocationEvents.Revoked, RevocationEvents.Lifted], kinds);

        s.File["agents"]![0]!["state"] = "suspended";
        await Server.ApplyAsync(s.File.ToJsonString());
        Assert.Contains((await guard.OpenStreamAsync()).Snapshot, d => d.Id == s.Agent.Id);
        s.File["agents"]![0]!["state"] = "active";
        await Server.ApplyAsync(s.File.ToJsonString());
        Assert.DoesNotContain((await guard.OpenStreamAsync()).Snapshot, d => d.Id == s.Agent.Id);
    }

    /// <summary>By it a guard knows that its own clock is wrong.</summary>
    [SuiteFact]
    public async Task StreamAndPoll_TellTheServersTime()
    {
        var (_, guard, stream) = await ReadyAsync();
        var opened = Server.Time.GetUtcNow().ToUnixTimeMilliseconds();
        Assert.InRange((await guard.OpenStreamAsync()).Time!.Value, opened, Server.Time.GetUtcNow().ToUnixTimeMilliseconds());
        Server.Time.Advance(TimeSpan.FromMinutes(1));
        var polled = Server.Time.GetUtcNow().ToUnixTimeMilliseconds();
        Assert.InRange((await guard.PollAsync(stream.Stream, stream.Cursor)).Time!.Value, polled, Server.Time.GetUtcNow().ToUnixTimeMilliseconds());
    }

    [SuiteFact]
    public async Task Snapshot_HoldsWhatIsDenied_UntilNoTokenCanNameIt()
    {
        var (s, guard, _) = await ReadyAsync();
        var task = await s.Agent.BeginTaskAsync("read_file");
        await MoveAsync(s.Agent, task, "complete");
        var stream = await guard.OpenStreamAsync();
        var denied = Assert.Single(stream.Snapshot, d => d.Id == task);
        Assert.Empty((await guard.PollAsync(stream.Stream, stream.Cursor)).Sets);
        Assert.True(denied.Until >= Server.Time.GetUtcNow().AddMinutes(5).ToUnixTimeMilliseconds());
        Server.Time.Advance(TimeSpan.FromMinutes(7));
        await guard.AuthenticateAsync();
        Assert.DoesNotContain((await guard.OpenStreamAsync()).Snapshot, d => d.Id == task);
    }

    [SuiteFact]
    public async Task Poll_ForeignOrUnknownStream_Is404()
    {
        var (_, guard, stream) = await ReadyAsync();
        var (_, other, _) = await ReadyAsync();
        foreach (var id in new[] { stream.Stream, "str_unknown" })
        {
            var e = await Server.RefusedAsync(() => other.PollRawAsync(id, 0), HttpStatusCode.NotFound, "not_found", null, AuditTypes.GuardRefused, "not_found");
            Assert.Equal(other.Id, e.Client);
        }
        await guard.PollAsync(stream.Stream, 0);
    }

    /// <summary>A guard that has seen more than the record holds has seen another one: with that cursor it would miss what comes next.</summary>
    [SuiteFact]
    [Trait("Invariant", "6")]
    public async Task Poll_AfterMoreThanTheRecordHolds_Is404()
    {
        var (_, guard, stream) = await ReadyAsync();
        var end = (await guard.PollAsync(stream.Stream, stream.Cursor)).HighWater;
        await Server.RefusedAsync(() => guard.PollRawAsync(stream.Stream, end + 1000), HttpStatusCode.NotFound, "not_found", null, AuditTypes.GuardRefused, "not_found");
    }

    /// <summary>How far the record goes is known also when nothing in it matters any more, and to a process that starts then.</summary>
    [SuiteFact]
    public async Task Record_OfWhatHasExpired_KeepsItsPlace()
    {
        var (s, guard, stream) = await ReadyAsync();
        await MoveAsync(s.Agent, await s.Agent.BeginTaskAsync("read_file"), "complete");
        var end = (await guard.PollAsync(stream.Stream, stream.Cursor)).HighWater;
        // What ends in that time is revoked too, and is over with the second.
        for (var i = 0; i < 2; i++)
        {
            Server.Time.Advance(TimeSpan.FromDays(2));
            await Server.Services.GetServices<IHostedService>().OfType<StoreUpkeep>().Single().Purge(default);
        }
        using var started = new RevocationTail(Server.Services.GetRequiredService<IReadStore>(), Server.Time);
        Assert.True((await started.AsOfNowAsync(default)).HighWater >= end);
    }

    /// <summary>What came long ago is no longer in memory, and is told all the same.</summary>
    [SuiteFact]
    public async Task Poll_AfterThousandsOfEvents_TellsEach()
    {
        const int Many = 2500;
        var (_, guard, stream) = await ReadyAsync();
        var before = (await guard.PollAsync(stream.Stream, stream.Cursor)).HighWater;
        await Server.Services.GetRequiredService<ICommitLog>().Commit(new ManyRevocations(Many, Server.Time.GetUtcNow().ToUnixTimeMilliseconds()));
        var seen = new List<long>();
        for (var (after, more) = (before, true); more; after = seen[^1])
        {
            var answer = await guard.PollAsync(stream.Stream, after, max: 1000);
            seen.AddRange(answer.Seq.Values.Order());
            more = answer.MoreAvailable;
        }
        Assert.True(seen.Count >= Many && seen.Distinct().Count() == seen.Count && seen.SequenceEqual(seen.Order()));
        // From the middle of what is in memory, and from its end.
        Assert.Equal(seen[2000..2010], (await guard.PollAsync(stream.Stream, seen[1999], max: 10)).Seq.Values.Order());
        Assert.Empty((await guard.PollAsync(stream.Stream, seen[^1])).Sets);
    }

    private sealed class ManyRevocations(int count, long now) : Unit<int>
    {
        private static readonly Sql Insert = new(
            "insert into revocations (kind, subject, op, reason, before, at, until) values ('task', @subject, 'deny', 'ended', null, @now, @until)");

        public override StateLock Lock => StateLock.Exclusive;

        public override int Apply(WriteTx tx) => Enumerable.Range(0, count).Sum(i => tx.Run(Insert.With($"tsk_many_{i}", now, now + 60_000)));
    }

    [SuiteFact]
    public async Task Poll_WrongBody_Is400()
    {
        var (_, guard, stream) = await ReadyAsync();
        foreach (var body in new JsonNode[]
        {
            new JsonObject(), new JsonArray(), new JsonObject { ["stream"] = null, ["after"] = 0 }, new JsonObject { ["stream"] = stream.Stream },
            new JsonObject { ["stream"] = stream.Stream, ["after"] = -1 }, new JsonObject { ["stream"] = stream.Stream, ["after"] = "0" },
            new JsonObject { ["stream"] = stream.Stream, ["after"] = 0, ["maxEvents"] = 0 }, new JsonObject { ["stream"] = stream.Stream, ["after"] = 0, ["maxEvents"] = 1001 },
        })
            await (await guard.CallAsync(Names.Paths.GuardRevocations, body)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
    }

    /// <summary>Until the poll has looked, found nothing and set its timer, which nobody moves on.</summary>
    /// <param name="before">How many timers waited before it was sent.</param>
    protected static async Task UntilItWaitsAsync(TestServer at, int before)
    {
        for (var i = 0; i < 3000 && at.Time.Waiting <= before; i++)
            await Task.Delay(10);
        Assert.True(at.Time.Waiting > before, "The poll does not wait.");
    }

    private async Task<(Scenario, TestGuard, StreamResponse)> ReadyAsync()
    {
        var s = await Server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var guard = await TestGuard.OfAsync(s);
        return (s, guard, await guard.OpenStreamAsync());
    }

    private static async Task MoveAsync(TestAgent agent, string task, string verb) =>
        await (await agent.CallAsync(HttpMethod.Post, $"/tasks/{task}/{verb}")).ReadAsync(ProtocolJson.Default.TaskView);

    private static async Task RevokeAsync(TestAgent agent, string token)
    {
        var form = agent.AssertionForm();
        form["token"] = token;
        Assert.Equal(HttpStatusCode.OK, (await agent.PostFormAsync(Names.Paths.Revoke, form, proof: null)).StatusCode);
    }
}

public sealed class RevocationFeedOnSqliteTests(TestServer server) : RevocationFeedSuite, IClassFixture<TestServer>
{
    protected override TestServer Server => server;
}

[NeedsPostgres]
public sealed class RevocationFeedOnPostgresTests(PostgresServer postgres) : RevocationFeedSuite, IClassFixture<PostgresServer>
{
    protected override TestServer Server => postgres.Server;

    [SuiteFact]
    public async Task Poll_ACommitOnAnotherNode_IsSeenWithinTheLook()
    {
        var s = await Server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var guard = await TestGuard.OfAsync(s);
        var task = await s.Agent.BeginTaskAsync("read_file");
        var other = await postgres.AnotherAsync();
        await other.SeeRegistryAsync();
        var stream = await guard.OpenStreamAsync();
        var waiting = other.Time.Waiting;
        var poll = guard.PollAsync(stream.Stream, stream.Cursor, immediately: false, client: other.Client());
        await UntilItWaitsAsync(other, waiting);
        await (await s.Agent.CallAsync(HttpMethod.Post, $"/tasks/{task}/complete")).ReadAsync(ProtocolJson.Default.TaskView);
        // That node looks every 100 ms of its own clock; the wait of a second is not over.
        for (var i = 0; i < 8 && !poll.IsCompleted; i++)
        {
            other.Time.Advance(TimeSpan.FromMilliseconds(100));
            await Task.WhenAny(poll, Task.Delay(TimeSpan.FromSeconds(1))); // a busy machine may not have set its timer yet
        }
        Assert.Single((await poll.WaitAsync(TimeSpan.FromSeconds(10))).Sets);
    }
}
