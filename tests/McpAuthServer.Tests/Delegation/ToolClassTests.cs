using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Delegation;

/// <summary>Tools of two exclusive classes never meet in one token.</summary>
public sealed class ToolClassTests(TestServer server) : IClassFixture<TestServer>
{
    /// <summary>A server with tools of two exclusive classes, of one that is not, and of none.</summary>
    private async Task<Scenario> SceneAsync(string? ofAgent = null, int furtherAgents = 0)
    {
        var s = await server.ScenarioAsync(o =>
        {
            o.Tools.Clear();
            foreach (var tool in new[] { "plan", "mend", "look", "plain" })
                o.Tools[tool] = "read";
            o.FurtherAgents = furtherAgents;
        });
        var (planning, mending) = ($"planning-{s.Suffix}", $"mending-{s.Suffix}");
        foreach (var tool in s.File["tool_servers"]![0]!["tools"]!.AsArray())
            tool!["class"] = (string)tool["name"]! switch { "plan" => planning, "mend" => mending, "look" => "looking", _ => null };
        foreach (var tool in s.File["tool_servers"]![0]!["tools"]!.AsArray().Select(t => t!.AsObject()).Where(t => t["class"] is null).ToList())
            tool.Remove("class");
        if (ofAgent is not null)
            s.File["agents"]!.AsArray()[^1]!["tool_class"] = ofAgent == "planning" ? planning : ofAgent;
        s.File["tool_classes"] = new JsonArray(
            new JsonObject { ["name"] = planning, ["exclusive"] = true }, new JsonObject { ["name"] = mending, ["exclusive"] = true }, new JsonObject { ["name"] = "looking" });
        await server.ApplyAsync(s.File.ToJsonString());
        return s;
    }

    private static Task<HttpResponseMessage> AskAsync(Scenario s, params string[] tools) =>
        s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(details: s.Details(tools, new JsonObject { ["purpose"] = "p" })));

    [Fact]
    public async Task Token_WithToolsOfTwoExclusiveClasses_IsRefused()
    {
        var s = await SceneAsync();
        await s.Agent.AttestAsync();
        await server.RefusedAsync(() => AskAsync(s, "plan", "mend"), HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails, null, AuditTypes.TokenRefused,
            Names.Errors.InvalidAuthorizationDetails);
        foreach (var tools in new string[][] { ["plan", "look", "plain"], ["mend", "look"], ["look", "plain"] })
            Assert.Equal(HttpStatusCode.OK, (await AskAsync(s, tools)).StatusCode);
    }

    [Fact]
    public async Task AgentOfAnExclusiveClass_GetsNoToolOfAnother()
    {
        var s = await SceneAsync(ofAgent: "planning");
        await s.Agent.AttestAsync();
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(s, "plan", "look")).StatusCode);
        await server.RefusedAsync(() => AskAsync(s, "mend"), HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails, null, AuditTypes.TokenRefused,
            Names.Errors.InvalidAuthorizationDetails);
    }

    [Fact]
    public async Task AgentOfAnExclusiveClass_InheritsNoToolOfAnotherByAHandOff()
    {
        var s = await SceneAsync(ofAgent: "planning", furtherAgents: 1);
        foreach (var agent in s.Agents)
            await agent.AttestAsync();
        var mending = await (await AskAsync(s, "mend")).ReadAsync(ProtocolJson.Default.TokenResponse);
        await server.RefusedAsync(() => s.Agents[1].TakeOverRawAsync(mending.AccessToken), HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails, null,
            AuditTypes.TokenRefused, Names.Errors.InvalidAuthorizationDetails);
    }

    [Fact]
    public async Task TokenByScope_WithToolsOfTwoExclusiveClasses_IsRefused()
    {
        var s = await SceneAsync();
        Assert.Equal(HttpStatusCode.OK, (await s.ServiceTokenAsync("tool:plan tool:look")).StatusCode);
        await server.RefusedAsync(() => s.ServiceTokenAsync("tool:plan tool:mend"), HttpStatusCode.BadRequest, Names.Errors.InvalidScope, null, AuditTypes.TokenRefused, Names.Errors.InvalidScope);
    }

    /// <summary>A class that becomes exclusive holds for what is continued, too.</summary>
    [Fact]
    public async Task Token_ContinuedAfterItsClassesBecameExclusive_IsRefused()
    {
        var s = await SceneAsync();
        var classes = s.File["tool_classes"]!.DeepClone().AsArray();
        await server.ApplyAsync(new JsonObject { ["tool_classes"] = new JsonArray([.. classes.Select(c => new JsonObject { ["name"] = (string)c!["name"]! })]) }.ToJsonString());
        await s.Agent.AttestAsync();
        var mixed = await (await AskAsync(s, "plan", "mend")).ReadAsync(ProtocolJson.Default.TokenResponse);

        await server.ApplyAsync(new JsonObject { ["tool_classes"] = classes }.ToJsonString());

        await server.RefusedAsync(() => s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(mixed.AccessToken)), HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails, null,
            AuditTypes.TokenRefused, Names.Errors.InvalidAuthorizationDetails);
    }
}
