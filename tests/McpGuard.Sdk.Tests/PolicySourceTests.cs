using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;

namespace McpGuard.Sdk.Tests;

/// <summary>Where policies come from: what is not believed denies every call, and the reason is told to whoever may know.</summary>
public sealed class PolicySourceTests : IAsyncLifetime
{
    private const string All = "permit(principal, action, resource);", None = "forbid(principal, action, resource);";

    private FakeAuthorizationServer server = null!;

    public async Task InitializeAsync()
    {
        server = await FakeAuthorizationServer.StartAsync();
        server.Approve("echo", "read");
    }

    public async Task DisposeAsync() => await server.DisposeAsync();

    public static TheoryData<string, string> Spoilt => new()
    {
        { "another key", "policy_corrupt" }, { "another audience", "policy_corrupt" }, { "another issuer", "policy_corrupt" }, { "another type", "policy_corrupt" },
        { "another text", "policy_corrupt" }, { "no text", "policy_corrupt" }, { "an older release", "policy_rolled_back" }, { "text that is no policy", "policy_corrupt" },
        { "an answer of before", "policy_unavailable" },
    };

    [Theory, MemberData(nameof(Spoilt))]
    [Trait("Attack", "145")]
    public async Task Policies_ThatAreNotToBeBelieved_DenyEveryCall(string how, string code)
    {
        server.Activate(All);
        await using ToolHost host = await ToolHost.StartAsync(server);
        Assert.Null((await host.CallTool("echo", """{"text":"1"}""", server.Token())).Denial);

        using SigningKey stranger = SigningKey.Create();
        server.SpoilPolicy = good => how switch
        {
            "another key" => server.Release(99, 99, by: stranger),
            "another audience" => server.Release(99, 99, audience: "https://other.example/mcp"),
            "another issuer" => server.Release(99, 99, issuer: "https://other.example"),
            "another type" => server.Release(99, 99, typ: "JWT"),
            "another text" => good with { Release = With(None).Release },
            "no text" => good with { Release = System.Text.Json.JsonDocument.Parse("{}").RootElement },
            "an older release" => server.Release(1, 99),
            "text that is no policy" => With("permit(principal"),
            _ => server.Release(99, 0),
        };
        server.Changed();
        await host.Ready(false);
        Answer answer = await host.CallTool("echo", """{"text":"2"}""", server.Token());
        Assert.Equal((200, "guard_unavailable"), (answer.Status, answer.Denial));
        await server.Event(e => e is { Type: AuditTypes.CallDecided, Decision: "deny" } && e.Reason == "guard_unavailable: " + code);
        using HttpResponseMessage ready = await host.Http.GetAsync(host.Url(Names.Paths.HealthReady));
        Assert.Contains(code, await ready.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Contains(host.Logged, l => l.Contains(code, StringComparison.Ordinal));

        server.SpoilPolicy = null;
        await host.Ready();
        Assert.Null((await host.CallTool("echo", """{"text":"3"}""", server.Token())).Denial);

        PolicyResponse With(string policies)
        {
            string? was = server.Policies;
            try
            {
                server.Activate(policies);
                return server.Release(99, 99);
            }
            finally
            {
                server.Activate(was);
            }
        }
    }

    [Fact]
    public async Task Policies_ThatNeverCame_AreMissing()
    {
        server.PolicyDown = true;
        await using ToolHost host = await ToolHost.StartAsync(server, wait: false);
        for (int i = 0; i < 400 && server.PolicyFetches == 0; i++) await Task.Delay(25);
        Answer answer = await host.CallTool("echo", """{"text":"1"}""", server.Token());
        Assert.Equal("guard_unavailable", answer.Denial);
        await server.Event(e => e.Reason == "guard_unavailable: policy_missing");
        server.PolicyDown = false;
        await host.Ready();
    }

    [Fact]
    public async Task Policies_ThatAgeWithoutNewOnes_ExpireAndAreFetchedAnewBefore()
    {
        server.PolicyLife = TimeSpan.FromSeconds(2); // and the clock's skew
        server.Activate(All);
        await using ToolHost host = await ToolHost.StartAsync(server);
        int before = server.PolicyFetches;
        for (int i = 0; i < 400 && server.PolicyFetches == before; i++) await Task.Delay(25);
        Assert.True(server.PolicyFetches > before, "It did not ask again before half the life was over.");
        Assert.Null((await host.CallTool("echo", """{"text":"1"}""", server.Token())).Denial);
    }

    [Fact]
    public async Task Release_NotSeenToChange_IsNotSentAgain()
    {
        server.Activate(All);
        await using ToolHost host = await ToolHost.StartAsync(server);
        (int reports, int fetches) = (server.ManifestReports, server.PolicyFetches);
        Assert.Equal(1, fetches);
        server.Approve("refund", "write");
        for (int i = 0; i < 400 && server.ManifestReports == reports; i++) await Task.Delay(25);
        await host.Ready();
        Assert.Equal(2, server.PolicyFetches);
    }

    /// <summary>The newest release is remembered over restarts: a server that was set back, or an attacker in its place, cannot bring an older one.</summary>
    [Fact]
    public async Task Restart_RemembersTheNewestRelease()
    {
        using var state = new TempDirectory();
        server.Activate(None);
        server.PolicyVersion = 7;
        string resource;
        await using (ToolHost first = await ToolHost.StartAsync(server, state: state))
        {
            resource = first.Resource;
            Assert.Equal("policy_denied", (await first.CallTool("echo", """{"text":"1"}""", server.Token())).Denial);
        }
        if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(state["policy.json"]));
        server.Activate(All);
        server.PolicyVersion = 6;
        await using (ToolHost second = await ToolHost.StartAsync(server, o => (o.Resource, o.EnrolmentSecret) = (resource, null), state: state, wait: false))
        {
            server.Resource = resource;
            for (int i = 0; i < 400 && server.PolicyFetches < 2; i++) await Task.Delay(25);
            Assert.Equal("guard_unavailable", (await second.CallTool("echo", """{"text":"2"}""", server.Token())).Denial);
            server.PolicyVersion = 8;
            server.Changed();
            await second.Ready();
            Assert.Null((await second.CallTool("echo", """{"text":"3"}""", server.Token())).Denial);
        }
        // A file that was damaged is as if it were not there.
        await File.WriteAllTextAsync(state["policy.json"], "{\"signed\":\"x\",\"release\":{}}");
        await using ToolHost third = await ToolHost.StartAsync(server, o => (o.Resource, o.EnrolmentSecret) = (resource, null), state: state);
    }
}
