using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Policies;

/// <summary>The policies that decide calls decide at the token endpoint, too: where no call could be allowed there is no token.</summary>
public sealed class IssuancePolicyTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    public async Task Token_ForAToolThatPolicyNeverAllows_IsRefused()
    {
        var w = await PolicyWorld.OfAsync(server);
        await w.S.Agent.AttestAsync();
        var task = await w.S.Agent.BeginTaskAsync("read_file", "delete_file");
        await w.ActivateAsync($$"""
            permit(principal, action == Mcp::Action::"read_file", resource) when { context.input.path like "/public/*" };
            permit(principal, action == Mcp::Action::"delete_file", resource) when { context.session.agent != Mcp::Agent::"{{w.S.Agent.Id}}" };
            """.Replace("context.session.agent !=", "context.session has agent && context.session.agent !=", StringComparison.Ordinal));

        var mark = await server.NowAsync();
        var token = await w.S.Agent.TaskTokenAsync(task, "read_file");
        var issued = (await server.SinceAsync(mark)).Single(e => e.Type == AuditTypes.TokenIssued);
        Assert.Equal((await w.FetchAsync()).Hash, issued.PolicyHash);
        Assert.NotEmpty(token.AccessToken);

        var form = w.S.Agent.ExchangeForm(details: w.S.Details(["read_file", "delete_file"], new JsonObject { ["id"] = task }));
        await server.RefusedAsync(() => w.S.Agent.ExchangeRawAsync(form), HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails, Names.Denials.PolicyDenied, AuditTypes.TokenRefused, Names.Denials.PolicyDenied);
    }

    [Fact]
    public async Task Token_SaysOfTheAgentWhatPoliciesRead()
    {
        var w = await PolicyWorld.OfAsync(server, o => (o.Agent["tool_class"], o.Agent["review_at"]) = ("files", "2027-01-01T00:00:00Z"));
        await w.S.Agent.AttestAsync();
        await w.ActivateAsync($$"""
            permit(principal == Mcp::Agent::"{{w.S.Agent.Id}}", action, resource == Mcp::Server::"{{w.S.Resource}}") when {
              principal has class && principal.class == "files" && principal has owner && principal.owner == Mcp::User::"{{w.S.User}}" && principal has review
              && principal.review > context.session.time && context.session has task && context.session has attestation };
            """);
        var task = await w.S.Agent.BeginTaskAsync("read_file");
        var claims = Answers.Claims((await w.S.Agent.TaskTokenAsync(task, "read_file")).AccessToken).GetProperty("agent_ctx");
        Assert.Equal((w.S.User, "files", 1_798_761_600), (claims.GetProperty("owner").GetString(), claims.GetProperty("class").GetString(), claims.GetProperty("review_at").GetInt64()));
    }

    [Fact]
    public async Task Scope_OfEveryToolThatReads_NeedsOneThatCouldBeAllowed()
    {
        var w = await PolicyWorld.OfAsync(server);
        await w.ActivateAsync($$"""permit(principal == Mcp::Client::"{{w.S.ServiceClient}}", action == Mcp::Action::"read_file", resource);""");
        Assert.True((await w.S.ServiceTokenAsync("tools:read")).IsSuccessStatusCode);
        Assert.True((await w.S.ServiceTokenAsync("tool:read_file")).IsSuccessStatusCode);
        await (await w.S.ServiceTokenAsync("tool:list_files")).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidScope, Names.Denials.PolicyDenied);
        await (await w.S.ServiceTokenAsync("tools:read tool:list_files")).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidScope, Names.Denials.PolicyDenied);
        await w.ActivateAsync("""permit(principal is Mcp::User, action, resource);""");
        await (await w.S.ServiceTokenAsync("tools:read")).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidScope, Names.Denials.PolicyDenied);
    }

    [Fact]
    public async Task Shadow_RefusesNoToken()
    {
        var w = await PolicyWorld.OfAsync(server);
        var draft = await w.DraftAsync("forbid(principal, action, resource);");
        Assert.True((await w.MoveAsync(draft, "shadow")).IsSuccessStatusCode);
        Assert.True((await w.S.ServiceTokenAsync("tools:read")).IsSuccessStatusCode);
    }

    /// <summary>Its arguments are not known, so policies cannot be about it.</summary>
    [Fact]
    public async Task Token_ForAToolWithoutADefinition_IsRefusedWhereThereArePolicies()
    {
        var w = await PolicyWorld.OfAsync(server);
        var entry = await w.Ops.GetAsync($"/tool-servers/{w.S.ToolServer}");
        entry["tools"]!.AsArray().Add(new JsonObject { ["name"] = "unreported", ["sensitivity"] = "read" });
        await w.Ops.PutAsync($"/tool-servers/{w.S.ToolServer}", entry);
        await w.ActivateAsync("permit(principal, action, resource);");
        Assert.Equal(["unreported"], (await w.Ops.GetAsync($"/tool-servers/{w.S.ToolServer}/policy-schema"))["undefined_tools"]!.AsArray().Select(t => (string)t!));
        await (await w.S.ServiceTokenAsync("tool:read_file")).ReadAsync(ProtocolJson.Default.TokenResponse);
    }
}
