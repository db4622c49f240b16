using System.Diagnostics;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;

namespace McpGuard.Sdk.Tests;

/// <summary>What ends at the server ends here, within the bound, and never by guessing.</summary>
public sealed class RevocationTests : IAsyncLifetime
{
    private FakeAuthorizationServer server = null!;
    private ToolHost host = null!;

    public async Task InitializeAsync()
    {
        server = await FakeAuthorizationServer.StartAsync();
        server.Approve("echo", "read");
        server.Approve("refund", "write");
        server.Approve("wait", "read");
        server.Snapshot.Add(new Denied("task", "tsk_before", DateTimeOffset.UtcNow.AddMinutes(10).ToUnixTimeMilliseconds()));
        host = await ToolHost.StartAsync(server);
    }

    public async Task DisposeAsync()
    {
        await host.DisposeAsync();
        await server.DisposeAsync();
    }

    [Theory]
    [Trait("Attack", "147")]
    [Trait("Invariant", "6")]
    [InlineData("at_x", "jti")]
    [InlineData("grt_5", null)]
    [InlineData("grt_4", null)]
    [InlineData("tsk_1", null)]
    [InlineData("tsk_0", null)]
    [InlineData("ins_2", null)]
    [InlineData("ins_3", null)]
    [InlineData("agt_42", null)]
    [InlineData("agt_inner", null)]
    [InlineData("https://agent.example/client.json", null)]
    [InlineData("usr_7", "user")]
    public async Task Revocation_OfAnythingTheTokenNames_EndsItWithinTheBound(string id, string? kind)
    {
        string token = server.Token(new() { Jti = "at_x", Actors = ["agt_42", "agt_inner"] });
        string other = server.Token(new() { Sub = "usr_8", Client = "c2", Grant = "grt_other", Lineage = [], Task = "tsk_other", Instance = null });
        Assert.Equal(200, await Call(token)); // primed: the token is cached as valid
        long revoked = Stopwatch.GetTimestamp();
        server.Revoke(id, kind);
        while (await Call(token) != 401) Assert.True(Stopwatch.GetElapsedTime(revoked) < 5 * Limits.RevocationBound, "Still allowed long after the bound.");
        Assert.Equal(200, await Call(other));
    }

    /// <summary>Calls are looked for in the deny table a second time while they run; this holds the first time, before any decision.</summary>
    [Fact]
    [Trait("Attack", "147")]
    [Trait("Invariant", "6")]
    public async Task Revocation_OfTheTokensTask_IsRefusedBeforeAnythingIsDecidedOrRuns()
    {
        int ran = host.Runs.All.Count;
        Assert.Equal(401, await Call(server.Token(new() { Jti = "at_gate", Task = "tsk_before" })));
        await server.Event(e => e is { Type: AuditTypes.CallRefused, Jti: "at_gate", Reason: Names.Reasons.Revoked });
        // The record is delivered in order: a decision before the refusal would be there by now.
        Assert.DoesNotContain(server.Events(), e => e is { Type: AuditTypes.CallDecided, Jti: "at_gate" });
        Assert.Equal(ran, host.Runs.All.Count);
    }

    [Fact]
    public async Task Revocation_InTheSnapshot_HoldsFromTheFirstCall() => Assert.Equal(401, await Call(server.Token(new() { Task = "tsk_before" })));

    [Fact]
    public async Task Revocation_OfAUserBeforeATime_SparesLaterTokens()
    {
        long now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        server.Revoke("usr_7", "user", before: now - 60);
        await Until(() => Call(server.Token(new() { IssuedAt = DateTimeOffset.UtcNow.AddSeconds(-90) })), 401);
        Assert.Equal(200, await Call(server.Token()));
    }

    [Fact]
    [Trait("Attack", "120")]
    [Trait("Invariant", "6")]
    public async Task Revocation_OfEverythingBeforeATime_EndsEveryTokenIssuedUpToThen()
    {
        string[] tokens = [server.Token(new() { IssuedAt = Earlier }), server.Token(new() { Sub = "usr_8", Client = "c2", Grant = "grt_other", Lineage = [], Task = "tsk_other", Instance = null, IssuedAt = Earlier })];
        foreach (string token in tokens) Assert.Equal(200, await Call(token)); // primed: both are cached as valid
        server.Revoke("*", "everything", before: DateTimeOffset.UtcNow.ToUnixTimeSeconds() - 60);
        foreach (string token in tokens) await Until(() => Call(token), 401);
        Assert.Equal(200, await Call(server.Token()));
    }

    [Fact]
    [Trait("Attack", "120")]
    [Trait("Invariant", "6")]
    public async Task Revocation_OfThisToolServerBeforeATime_EndsItsTokens_OfAnotherNone()
    {
        string token = server.Token(new() { IssuedAt = Earlier });
        Assert.Equal(200, await Call(token));
        long before = DateTimeOffset.UtcNow.ToUnixTimeSeconds() - 60;
        server.Revoke("aud=https://another.example/mcp", "tool_server", before);
        server.Revoke("tsk_marker", null);
        string marker = server.Token(new() { Task = "tsk_marker" });
        await Until(() => Call(marker), 401); // what came before it was applied
        Assert.Equal(200, await Call(token));
        server.Revoke("aud=" + server.Resource, "tool_server", before);
        await Until(() => Call(token), 401);
        Assert.Equal(200, await Call(server.Token()));
    }

    private static DateTimeOffset Earlier => DateTimeOffset.UtcNow.AddSeconds(-90);

    [Fact]
    public async Task Suspension_Lifted_LetsTheAgentOnAgain()
    {
        server.Revoke("agt_42");
        string token = server.Token(new() { Actors = ["agt_42"] });
        await Until(() => Call(token), 401);
        server.Lift("agt_42");
        await Until(() => Call(token), 200);
    }

    [Theory]
    [Trait("Spec", "RFC8417-2")]
    [InlineData("signature")]
    [InlineData("type")]
    [InlineData("audience")]
    public async Task SecurityEvent_ThatCannotBeVerified_IsNotSkipped_TheWholeIsReadAgain(string broken)
    {
        using var other = SigningKey.Create();
        server.Deliver("set_bad", server.Set(
            "set_bad", RevocationEvents.Lifted, "tsk_before", null, null, by: broken == "signature" ? other : null, typ: broken == "type" ? "at+jwt" : Names.Types.SecurityEvent,
            audience: broken == "audience" ? "https://other.example" : null));
        await Task.Delay(Limits.GuardStale + TimeSpan.FromSeconds(1));
        Assert.Equal(401, await Call(server.Token(new() { Task = "tsk_before" })));
        Assert.Equal(200, await Call(server.Token()));
    }

    /// <summary>A cut connection is no word of the server's: the stream stands, and what came meanwhile comes by the next poll.</summary>
    [Fact]
    [Trait("Invariant", "6")]
    public async Task Feed_Cut_GoesOnWithItsStream()
    {
        string token = server.Token(new() { Task = "tsk_meanwhile" });
        await UntilNotAsked(token);
        int opened = server.StreamsOpened;
        server.BreakPolls();
        server.Revoke("tsk_meanwhile");
        long cut = Stopwatch.GetTimestamp();
        await Until(() => Call(token), 401);
        Assert.True(Stopwatch.GetElapsedTime(cut) < 5 * Limits.RevocationBound);
        Assert.Equal(opened, server.StreamsOpened);
    }

    /// <summary>A guard that has come further than the record of a server that was put back would miss what has its places now: it reads the whole again.</summary>
    [Fact]
    [Trait("Invariant", "6")]
    public async Task Feed_OfAServerThatWasPutBack_IsOpenedAnew()
    {
        string first = server.Token(new() { Task = "tsk_before_the_copy" }), token = server.Token(new() { Task = "tsk_after_it" });
        await UntilNotAsked(token);
        server.Revoke("tsk_before_the_copy");
        await Until(() => Call(first), 401);
        int opened = server.StreamsOpened;
        server.PutBack();
        await UntilOpenedAgain(opened);
        // At a place that it had passed already.
        server.Revoke("tsk_after_it");
        await Until(() => Call(token), 401);
        Assert.Equal(opened + 1, server.StreamsOpened);
    }

    /// <summary>A network that fails again and again is not a server to be spared: each time the guard is back well within the bound.</summary>
    [Fact]
    [Trait("Invariant", "6")]
    public async Task Feed_CutAgainAndAgain_IsBackAtOnceEachTime()
    {
        const int AtOnce = 6, Cuts = 12;
        int soon = 0;
        for (int i = -AtOnce; i < Cuts; i++)
        {
            // First so often that it waits longer and longer; then long enough for a stream that works, too short for a poll to be answered.
            if (i >= 0) await Task.Delay(400);
            int opened = server.StreamsOpened;
            long cut = Stopwatch.GetTimestamp();
            server.BreakPolls();
            // The next poll too: what is cut once is only asked again.
            await UntilOpenedAgain(opened, server.BreakPolls);
            if (i >= 0 && Stopwatch.GetElapsedTime(cut) < Limits.RevocationBound / 2) soon++;
        }
        Assert.InRange(soon, Cuts * 2 / 3, Cuts);
    }

    /// <param name="again">Done each time that it was not yet.</param>
    private async Task UntilOpenedAgain(int opened, Action? again = null)
    {
        long began = Stopwatch.GetTimestamp();
        while (server.StreamsOpened == opened)
        {
            Assert.True(Stopwatch.GetElapsedTime(began) < TimeSpan.FromSeconds(20), "The stream was not opened again.");
            await Task.Delay(5);
            again?.Invoke();
        }
    }

    [Fact]
    [Trait("Invariant", "6")]
    public async Task Feed_Stale_AsksAtEveryCallAndNeverRemembers()
    {
        string token = server.Token(new() { Jti = "at_stale" });
        await UntilNotAsked(token);
        server.FeedDown = true;
        await Task.Delay(Limits.GuardStale + TimeSpan.FromSeconds(1));
        int before = server.Introspections;
        Assert.Equal(200, await Call(token));
        Assert.Equal(200, await Call(token));
        Assert.Equal(before + 2, server.Introspections);
        server.Inactive["at_stale"] = true;
        Assert.Equal(401, await Call(token));
        server.FeedDown = false;
        server.Inactive.Clear();
        await UntilNotAsked(token);
    }

    [Fact]
    [Trait("Invariant", "6")]
    public async Task Server_Away_DeniesWhatCannotBeAsked()
    {
        string token = server.Token();
        Assert.Equal(200, await Call(token));
        server.Down = true;
        await Task.Delay(Limits.GuardStale + TimeSpan.FromSeconds(1));
        Answer denied = await host.CallTool("echo", """{"text":"away"}""", token);
        Assert.Equal("guard_unavailable", denied.Denial);
        Assert.Equal(503, (await host.Do("tools/list", "", token)).Status);
        await host.Ready(ready: false);
        Assert.DoesNotContain("echo away", host.Runs.All);
        server.Down = false;
        await host.Ready();
        Assert.Equal(200, await Call(token));
    }

    [Fact]
    public async Task Server_Away_WithGrace_StillAllowsReadsAndOnlyReads()
    {
        await using FakeAuthorizationServer own = await FakeAuthorizationServer.StartAsync();
        own.Approve("echo", "read");
        own.Approve("refund", "write");
        await using ToolHost graceful = await ToolHost.StartAsync(own, o => o.StaleReadGrace = TimeSpan.FromSeconds(60));
        string token = own.Token(new() { Scope = "tools:read tool:refund" });
        own.Down = true;
        await Task.Delay(Limits.GuardStale + TimeSpan.FromSeconds(1));
        Assert.Equal("grace", (await graceful.CallTool("echo", """{"text":"grace"}""", token)).Text);
        Assert.Equal("guard_unavailable", (await graceful.CallTool("refund", """{"order_id":"grace"}""", token)).Denial);
    }

    [Fact]
    [Trait("Attack", "126")]
    public async Task Keys_AwayOrGarbage_KeepWhatIsKnownAndNeverAllowMore()
    {
        server.KeysGarbage = true;
        string unknown = server.Token();
        using SigningKey other = SigningKey.Create();
        Assert.Equal(401, await Call(server.Token(new() { By = other })));
        Assert.Equal(200, await Call(unknown));
    }

    [Fact]
    [Trait("Attack", "126")]
    public async Task Keys_UnknownIds_DoNotBecomeRequestsToTheServer()
    {
        int before = server.KeyFetches;
        long started = Stopwatch.GetTimestamp();
        for (int i = 0; i < 20; i++)
        {
            using SigningKey other = SigningKey.Create();
            Assert.Equal(401, await Call(server.Token(new() { By = other })));
        }
        Assert.InRange(server.KeyFetches - before, 0, 1 + (int)(Stopwatch.GetElapsedTime(started) / Tokens.IssuerKeys.Pause));
    }

    [Theory]
    [Trait("Attack", "147")]
    [InlineData("drifted", "tool_drifted")]
    [InlineData("retired", "not_in_task")]
    [InlineData("new", "not_in_task")]
    public async Task Tool_NoLongerApproved_StopsRunning(string state, string code)
    {
        string token = server.Token();
        Assert.Equal(200, await Call(token));
        server.Approve("echo", "read", state);
        long changed = Stopwatch.GetTimestamp();
        while ((await host.CallTool("echo", """{"text":"gone"}""", token)).Denial != code)
            Assert.True(Stopwatch.GetElapsedTime(changed) < 5 * Limits.RevocationBound, "The tool still runs.");
        Assert.DoesNotContain((await host.Do("tools/list", "", token)).Result.GetProperty("tools").EnumerateArray(), t => t.GetProperty("name").ValueEquals("echo"));
    }

    /// <summary>The status; 0 when the revocation met the call as its answer had begun, and ended it.</summary>
    private async Task<int> Call(string token)
    {
        try
        {
            return (await host.CallTool("echo", """{"text":"a"}""", token)).Status;
        }
        catch (HttpRequestException)
        {
            return 0;
        }
    }

    /// <summary>A fresh feed decides alone; a loaded machine may need a while until it is fresh.</summary>
    private async Task UntilNotAsked(string token)
    {
        for (int i = 0; i < 100; i++)
        {
            int before = server.Introspections;
            Assert.Equal(200, await Call(token));
            if (server.Introspections == before) return;
            await Task.Delay(100);
        }
        Assert.Fail("Every call is asked about though the feed is up.");
    }

    private static async Task Until(Func<Task<int>> call, int status)
    {
        for (int i = 0; i < 100; i++)
        {
            if (await call() == status) return;
            await Task.Delay(50);
        }
        Assert.Equal(status, await call());
    }
}
