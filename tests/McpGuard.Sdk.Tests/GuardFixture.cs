namespace McpGuard.Sdk.Tests;

/// <summary>One authorization server and one guarded tool server for a class of tests.</summary>
public sealed class GuardFixture : IAsyncLifetime
{
    internal FakeAuthorizationServer Server { get; private set; } = null!;
    internal ToolHost Host { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        Server = await FakeAuthorizationServer.StartAsync();
        Server.Approve("echo", "read");
        Server.Approve("refund", "write");
        Server.Approve("region", "read");
        Server.Approve("fail", "read");
        Host = await ToolHost.StartAsync(Server);
    }

    public async Task DisposeAsync()
    {
        await Host.DisposeAsync();
        await Server.DisposeAsync();
    }
}
