using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Testing;
using McpGuard.Sdk.Tests;

namespace McpGuard.Gateway.Tests;

/// <summary>Several upstreams in one gateway have the port and the log in common, and nothing else; and the program itself.</summary>
public sealed class SeveralUpstreamsTests : IAsyncLifetime
{
    private FakeAuthorizationServer server = null!;

    public async Task InitializeAsync()
    {
        server = await GatewayFixture.ServerAsync();
        server.ManyGuards = true;
    }

    public async Task DisposeAsync() => await server.DisposeAsync();

    [Fact]
    public async Task Upstreams_HaveAGuardEach_AndAnswerForTheirOwnResource()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(server, change: (g, file) =>
        {
            JsonObject other = g.Scripted();
            Directory.CreateDirectory(g["other"]);
            other["stdio"]!["args"]![1] = g["other"];
            file["upstreams"]!["other"] = g.With(other, "other");
        });
        string mine = server.Token(), others = server.Token(new() { Aud = gateway.Address("other") });
        string first = (await gateway.CallTool("who", token: mine)).Text, second = (await gateway.CallTool("who", token: others, resource: gateway.Address("other"))).Text;
        Assert.NotEqual(first, second);
        // A token for one is none for the other.
        Assert.Equal(401, (await gateway.CallTool("who", token: mine, resource: gateway.Address("other"))).Status);
        Assert.Equal(401, (await gateway.CallTool("who", token: others)).Status);
        Assert.Equal(404, (await gateway.CallTool("who", token: mine, resource: gateway.Address("third"))).Status);

        foreach (string name in new[] { "fake", "other" })
        {
            (int status, string body) = await gateway.Get($"{Names.Paths.ProtectedResource}/{name}");
            Assert.Equal(200, status);
            Assert.Equal(gateway.Address(name), JsonDocument.Parse(body).RootElement.GetProperty("resource").GetString());
        }
        // Whose would it be?
        Assert.Equal(404, (await gateway.Get(Names.Paths.ProtectedResource)).Status);

        // One is gone, and the other one goes on.
        await File.WriteAllTextAsync(gateway["fake/broken"], "");
        await gateway.CallTool("die", token: mine);
        await gateway.Ready(false);
        Assert.Equal(503, (await gateway.Get(Names.Paths.HealthReady + "/fake")).Status);
        Assert.Equal(200, (await gateway.Get(Names.Paths.HealthReady + "/other")).Status);
        Assert.Equal(404, (await gateway.Get(Names.Paths.HealthReady + "/third")).Status);
        Assert.Equal(second, (await gateway.CallTool("who", token: others, resource: gateway.Address("other"))).Text);
        // Told once all of it is put away, and that is after it is no longer ready.
        await TestGateway.Until(() => Task.FromResult(gateway.Logged.Any(l => l.Contains("It ended, and is started again", StringComparison.Ordinal))), "the end in the log");
    }

    [Fact]
    public async Task Upstream_ThatIsAlone_HasItsMetadataAtTheRootToo()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(server);
        Assert.Equal(await gateway.Get(Names.Paths.ProtectedResource), await gateway.Get(Names.Paths.ProtectedResource + "/fake"));
        Assert.Equal(200, (await gateway.Get(Names.Paths.HealthLive)).Status);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Program_ThatIsStoppedOrKilled_LeavesNoUpstreamBehind(bool killed)
    {
        using var directory = new TempDirectory();
        Directory.CreateDirectory(directory["fake"]);
        string address = string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{FreePort.Next()}");
        server.Resource = address + "/mcp";
        directory.Write("secret", FakeAuthorizationServer.Secret + "\n");
        string file = directory.Write("gateway.json", new JsonObject
        {
            ["listen"] = address, ["authorization_server"] = server.Issuer,
            ["upstreams"] = new JsonObject
            {
                ["fake"] = new JsonObject
                {
                    ["resource"] = server.Resource, ["enrolment_secret"] = new JsonObject { ["file"] = "secret" },
                    ["stdio"] = new JsonObject { ["command"] = ChildProcess.Dotnet, ["args"] = new JsonArray(TestGateway.Fake, directory["fake"]) },
                },
            },
        }.ToJsonString());
        await using ChildProcess gateway = ConfigurationTests.Run("--config", file);
        await gateway.WaitForHealthAsync(new Uri(address + Names.Paths.HealthReady), TimeSpan.FromSeconds(60));
        int upstream = int.Parse((await File.ReadAllTextAsync(directory["fake/starts"])).Trim(), CultureInfo.InvariantCulture);
        if (killed) gateway.Kill();
        else Assert.True(await gateway.StopAsync(TimeSpan.FromSeconds(60)), gateway.Text);
        await TestGateway.Until(() => Task.FromResult(!LifecycleTests.Runs(upstream)), "the upstream's process has ended");
        if (!killed) Assert.Equal(0, gateway.ExitCode);
        // The key and the record are there for the next start, which needs no secret.
        Assert.True(File.Exists(directory["state/fake/guard.json"]));
    }
}
