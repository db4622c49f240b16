using System.Text.Json.Nodes;
using McpGuard.Sdk.Tests;

namespace McpGuard.Gateway.Tests;

/// <summary>One gateway before the scripted upstream, for tests that leave it as it was.</summary>
public sealed class GatewayFixture : IAsyncLifetime
{
    internal static readonly string[] Tools = ["echo", "who", "progress", "ask", "die", "hang", "big", "odd", "malformed", "fails", "loud", "change", "rpc_error", "noise", "leave"];

    internal FakeAuthorizationServer Server { get; private set; } = null!;
    internal TestGateway Gateway { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        Server = await ServerAsync();
        Gateway = await TestGateway.StartAsync(Server, change: (_, file) =>
            file["upstreams"]!["fake"]!["limits"] = new JsonObject { ["result_bytes"] = 64 << 10, ["relist_seconds"] = 600 });
    }

    public async Task DisposeAsync()
    {
        await Gateway.DisposeAsync();
        await Server.DisposeAsync();
    }

    /// <summary>All tools of the scripted upstream are approved for reading, as they are first reported.</summary>
    internal static async Task<FakeAuthorizationServer> ServerAsync()
    {
        FakeAuthorizationServer server = await FakeAuthorizationServer.StartAsync();
        server.Pins = true;
        foreach (string tool in Tools) server.Approve(tool, "read");
        return server;
    }
}
