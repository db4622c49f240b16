using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Testing;
using McpGuard.Sdk.Tests;

namespace McpGuard.Gateway.Tests;

/// <summary>Upstreams that start, change, hang, die and come back.</summary>
public sealed class LifecycleTests : IAsyncLifetime
{
    private FakeAuthorizationServer server = null!;

    public async Task InitializeAsync() => server = await GatewayFixture.ServerAsync();

    public async Task DisposeAsync() => await server.DisposeAsync();

    [Fact]
    public async Task Upstream_ThatDies_FailsItsCalls_TurnsReadinessFalse_AndIsStartedAgain()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(server, change: (_, file) => file["upstreams"]!["fake"]!["limits"] = new JsonObject { ["restart_seconds"] = 2 });
        string first = (await gateway.CallTool("who")).Text, jti = Id.New(Id.AccessToken, DateTimeOffset.UtcNow);
        Task<Answer> beside = gateway.CallTool("hang");
        await gateway.FileHolds("stdin", "\"hang\"");
        // It will not come back before it may.
        await File.WriteAllTextAsync(gateway["fake/broken"], "");
        Answer died = await gateway.CallTool("die", token: server.Token(new() { Jti = jti }));
        foreach (Answer answer in new[] { died, await beside })
        {
            Assert.True(answer.IsError);
            Assert.Contains("ended before it answered", answer.Text, StringComparison.Ordinal);
        }
        Assert.Equal("error", (await server.Event(e => e.Type == AuditTypes.CallFinished && e.Jti == jti)).Outcome);
        await gateway.Ready(false);
        Assert.Contains("upstream_down", (await gateway.Get(Names.Paths.HealthReady + "/fake")).Body, StringComparison.Ordinal);
        // The guard is up: it decides, and what it allows is told why it did not run.
        Answer meanwhile = await gateway.CallTool("echo", """{"text":"x"}""");
        Assert.Contains("not running right now", meanwhile.Text, StringComparison.Ordinal);
        Assert.Equal("not_in_task", (await gateway.CallTool("nothing")).Denial);
        File.Delete(gateway["fake/broken"]);
        await gateway.Ready();
        Assert.NotEqual(first, (await gateway.CallTool("who")).Text);
        Assert.Equal("again", (await gateway.CallTool("echo", """{"text":"again"}""")).Text);
    }

    [Fact]
    public async Task DeveloperMode_IsToldByHealth_AndLogged()
    {
        server.Develops = true;
        await using TestGateway gateway = await TestGateway.StartAsync(server);
        Assert.True((bool?)JsonNode.Parse((await gateway.Get(Names.Paths.HealthReady)).Body)!["upstreams"]!["fake"]!["development"]);
        Assert.Contains(gateway.Logged, l => l.Contains("Developer mode: approved, and nobody has looked at them: ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Upstream_ThatNeverStarts_LeavesTheGuardUp_AndIsTriedMoreAndMoreSeldom()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(server, ready: false, before: g => File.WriteAllText(g["fake/broken"], ""), change: (_, file) => file["upstreams"]!["fake"]!["limits"] = new JsonObject { ["restart_seconds"] = 600 });
        await TestGateway.Until(() => Task.FromResult(Starts(gateway).Length >= 2), "two starts");
        Assert.Equal(401, (await gateway.CallTool("echo", "{}", "no.token.atall")).Status);
        await TestGateway.Until(async () => (await gateway.CallTool("echo", """{"text":"x"}""")).Denial == "guard_unavailable", "denied for want of tools");
        Assert.Contains("manifest_unknown", (await gateway.Get(Names.Paths.HealthReady)).Body, StringComparison.Ordinal);
        Assert.Equal(0, server.ManifestReports);
        Assert.InRange(Starts(gateway).Length, 2, 8);
        File.Delete(gateway["fake/broken"]);
        await gateway.Ready();
        Assert.Equal("x", (await gateway.CallTool("echo", """{"text":"x"}""")).Text);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Tool_ThatChanges_IsDeniedUntilItIsApprovedAgain_AndTheOthersGoOn(bool announced)
    {
        await using TestGateway gateway = await TestGateway.StartAsync(server, change: (_, file) => file["upstreams"]!["fake"]!["limits"] = new JsonObject { ["relist_seconds"] = announced ? 600 : 1 });
        Assert.Equal("x", (await gateway.CallTool("echo", """{"text":"x"}""")).Text);
        using var stop = new CancellationTokenSource();
        Task<int> others = Task.Run(async () =>
        {
            int calls = 0;
            for (; !stop.IsCancellationRequested; calls++)
            {
                Answer answer = await gateway.CallTool("who");
                Assert.False(answer.IsError, answer.Body);
            }
            return calls;
        });
        if (announced) await gateway.CallTool("change");
        else await File.WriteAllTextAsync(gateway["fake/description"], "Sends it to somebody else.");
        if (announced) Assert.Equal("tool_drifted", await DeniedOrChanged(gateway));
        await TestGateway.Until(async () => (await gateway.CallTool("echo", """{"text":"x"}""")).Denial == "tool_drifted", "the tool is drifted");
        Assert.DoesNotContain("echo", (await gateway.Do("tools/list", "", server.Token())).Result.GetProperty("tools").EnumerateArray().Select(t => t.GetProperty("name").GetString()));
        server.ApproveAgain("echo");
        await TestGateway.Until(async () => (await gateway.CallTool("echo", """{"text":"y"}""")).Denial is null, "the tool is approved again");
        Assert.Equal("y", (await gateway.CallTool("echo", """{"text":"y"}""")).Text);
        Assert.Contains("somebody else", (await gateway.Do("tools/list", "", server.Token())).Body, StringComparison.Ordinal);
        await stop.CancelAsync();
        Assert.True(await others > 0);

        // Right behind the announcement: the call is decided by what was known, and then the change is seen, or it is decided by the change.
        static async Task<string?> DeniedOrChanged(TestGateway gateway)
        {
            Answer answer = await gateway.CallTool("echo", """{"text":"too late"}""");
            Assert.DoesNotContain("too late", gateway.Read("stdin"), StringComparison.Ordinal);
            return answer.Denial ?? (answer.Body.Contains("has changed since", StringComparison.Ordinal) || answer.Error == -32600 ? "tool_drifted" : answer.Body);
        }
    }

    [Fact]
    public async Task Tool_ThatChangesOverARestart_IsDrifted_AndOneThatVanishesIsUnknown()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(server);
        await File.WriteAllTextAsync(gateway["fake/description"], "Another program.");
        await File.WriteAllTextAsync(gateway["fake/gone-fails"], "");
        await gateway.CallTool("die");
        await TestGateway.Until(async () => !(await gateway.CallTool("who")).IsError, "back again");
        Assert.Equal("tool_drifted", (await gateway.CallTool("echo", """{"text":"x"}""")).Denial);
        Assert.Equal("not_in_task", (await gateway.CallTool("fails")).Denial);
        await gateway.CallTool("leave");
        await TestGateway.Until(async () => (await gateway.CallTool("who")).Denial == "not_in_task", "who left");
    }

    [Fact]
    public async Task Modern_UpstreamsChanges_AreHeardToo()
    {
        server.Approve("grow", "read");
        server.Approve("grown", "read");
        var upstream = new JsonObject { ["stdio"] = new JsonObject { ["command"] = ChildProcess.Dotnet, ["args"] = new JsonArray(TestGateway.Fake, "--modern") } };
        await using TestGateway gateway = await TestGateway.StartAsync(server, upstream);
        Assert.Equal("m", (await gateway.CallTool("echo", """{"text":"m"}""")).Text);
        Assert.Equal("not_in_task", (await gateway.CallTool("grown")).Denial);
        Assert.False((await gateway.CallTool("grow")).IsError);
        await TestGateway.Until(async () => (await gateway.CallTool("grown")).Denial is null, "the new tool is here");
        Assert.Equal("grown", (await gateway.CallTool("grown", version: Names.Mcp.V20250618)).Text);
    }

    [Fact]
    public async Task ListWithoutAnEnd_IsNotFollowedForEver()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(server, ready: false, before: g => File.WriteAllText(g["fake/endless"], ""));
        await TestGateway.Until(() => Task.FromResult(gateway.Logged.Any(l => l.Contains("has no end", StringComparison.Ordinal))), "the list is given up");
        Assert.InRange(gateway.Read("stdin").Split("tools/list").Length - 1, 1, 64 * Starts(gateway).Length);
    }

    [Fact]
    public async Task Call_ThatTakesTooLong_IsAnsweredAndCancelled_AndTooManyAtOnceAreRefused()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(server, change: (_, file) =>
            file["upstreams"]!["fake"]!["limits"] = new JsonObject { ["call_seconds"] = 3, ["concurrent_calls"] = 1 });
        Task<Answer> hanging = gateway.CallTool("hang");
        await gateway.FileHolds("stdin", "\"hang\"");
        Answer refused = await gateway.CallTool("who");
        Assert.True(refused.IsError);
        Assert.Contains("too many calls", refused.Text, StringComparison.Ordinal);
        Answer late = await hanging;
        Assert.True(late.IsError);
        Assert.Contains("did not answer in time", late.Text, StringComparison.Ordinal);
        await gateway.FileHolds("cancelled", "requestId");
        Assert.False((await gateway.CallTool("who")).IsError);
    }

    [Fact]
    public async Task Revocation_EndsACallThatIsAtTheUpstream()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(server);
        string jti = Id.New(Id.AccessToken, DateTimeOffset.UtcNow);
        Task<Answer> hanging = gateway.CallTool("hang", token: server.Token(new() { Jti = jti }));
        await gateway.FileHolds("stdin", "\"hang\"");
        server.Revoke(jti, "jti");
        try
        {
            Assert.Equal(401, (await hanging).Status);
        }
        catch (HttpRequestException)
        {
            // The answer had begun, so the connection ended.
        }
        await gateway.FileHolds("cancelled", "requestId");
    }

    [Fact]
    public async Task Stop_EndsTheUpstreamsProcess()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(server);
        int process = int.Parse((await gateway.CallTool("who")).Text, CultureInfo.InvariantCulture);
        await gateway.StopAsync();
        Assert.False(Runs(process));
        Assert.True(File.Exists(gateway["fake/ended"]));
    }

    [Fact]
    public async Task Stop_EndsAnUpstreamThatHearsNothing()
    {
        // A shell that ignores both the end of its input and SIGTERM, and a child of its own.
        var upstream = new JsonObject { ["stdio"] = new JsonObject { ["command"] = "/bin/sh", ["args"] = new JsonArray("-c", "trap '' TERM; echo $$ > pid; while :; do sleep 1; done"), ["working_directory"] = "fake" } };
        await using TestGateway gateway = await TestGateway.StartAsync(server, upstream, ready: false);
        await TestGateway.Until(() => Task.FromResult(gateway.Read("pid").EndsWith('\n')), "it runs");
        int process = int.Parse(gateway.Read("pid"), CultureInfo.InvariantCulture);
        Assert.True(Runs(process));
        await gateway.StopAsync();
        Assert.False(Runs(process));
    }

    private static string[] Starts(TestGateway gateway) => gateway.Read("starts").Split('\n', StringSplitOptions.RemoveEmptyEntries);

    internal static bool Runs(int process)
    {
        try
        {
            using var found = Process.GetProcessById(process);
            return !found.HasExited;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }
}
