using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace McpGuard.Sdk.Tests;

/// <summary>Nobody overlooks that tools run at which nobody has looked.</summary>
public sealed class DeveloperModeTests : IAsyncLifetime
{
    private const string Mode = "Developer mode: every tool", Approved = "Developer mode: approved, and nobody has looked at them: ";

    private readonly ToolSet set = new();
    private FakeAuthorizationServer server = null!;

    public async Task InitializeAsync() => server = await FakeAuthorizationServer.StartAsync();

    public async Task DisposeAsync() => await server.DisposeAsync();

    [Fact]
    public async Task DeveloperMode_IsLoggedAtTheStart_AndWheneverToolsAreApproved_AndToldByHealth()
    {
        server.Develops = true;
        set.Replace([Tool("one", "1"), Tool("two", "1")]);
        await using ToolHost host = await Start();

        Assert.Single(host.Logged, l => l.Contains(Mode, StringComparison.Ordinal));
        Assert.Single(host.Logged, l => l.Contains(Approved + "one, two", StringComparison.Ordinal));
        Assert.True((bool?)(await Health(host))["development"]);
        Assert.True(host.Services.IsMcpGuardInDevelopment());
        Assert.Null((await Call(host, "two")).Denial);

        set.Replace([Tool("one", "1"), Tool("two", "2")]);
        for (int i = 0; i < 200 && !host.Logged.Any(l => l.EndsWith(Approved + "two", StringComparison.Ordinal)); i++) await Task.Delay(20);
        Assert.Single(host.Logged, l => l.EndsWith(Approved + "two", StringComparison.Ordinal));
        Assert.Single(host.Logged, l => l.Contains(Mode, StringComparison.Ordinal));
        Assert.Null((await Call(host, "two")).Denial);
    }

    [Fact]
    public async Task DeveloperMode_TurnedOnLater_IsLoggedThen_AndOffIsToldByHealth()
    {
        set.Replace([Tool("one", "1")]);
        await using ToolHost host = await Start();
        Assert.Null((await Health(host))["development"]);
        Assert.False(host.Services.IsMcpGuardInDevelopment());
        Assert.DoesNotContain(host.Logged, l => l.Contains("Developer mode", StringComparison.Ordinal));

        server.Develops = true;
        server.Changed();
        for (int i = 0; i < 200 && (await Health(host))["development"] is null; i++) await Task.Delay(20);
        Assert.True((bool?)(await Health(host))["development"]);
        Assert.Single(host.Logged, l => l.Contains(Mode, StringComparison.Ordinal));

        server.Develops = false;
        server.Changed();
        for (int i = 0; i < 200 && (await Health(host))["development"] is not null; i++) await Task.Delay(20);
        Assert.Null((await Health(host))["development"]);
    }

    [Fact]
    public void Answer_OfAServerThatKnowsNoSuchMode_IsReadAsNone()
    {
        ManifestResponse answer = JsonSerializer.Deserialize("""{"manifest":1,"tools":[]}""", ProtocolJson.Default.ManifestResponse)!;
        Assert.Null(answer.Development);
        Assert.Equal("""{"manifest":1,"tools":[]}""", JsonSerializer.Serialize(answer, ProtocolJson.Default.ManifestResponse));
    }

    private Task<ToolHost> Start() => ToolHost.StartAsync(server, o => o.ToolSet = set, pipeline: app =>
    {
        app.UseMcpGuard("/mcp");
        app.Map("/mcp", () => Results.Text("""{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"ran"}]}}""", "application/json"));
    });

    /// <summary>The mode is told whether it is ready or not.</summary>
    private static async Task<JsonNode> Health(ToolHost host)
    {
        using HttpResponseMessage response = await host.Http.GetAsync(host.Url(Names.Paths.HealthReady));
        return JsonNode.Parse(await response.Content.ReadAsStringAsync())!;
    }

    private Task<Answer> Call(ToolHost host, string tool) => host.CallTool(tool, "{}", server.Token(new TokenShape { Scope = $"tools:read tool:{tool}" }));

    private static JsonElement Tool(string name, string description) =>
        JsonElement.Parse($$"""{"name":"{{name}}","description":"{{description}}","inputSchema":{"type":"object"} }""");
}
