using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Policies;

/// <summary>What is wrong with policies is said, kept and decides nothing.</summary>
public sealed class PolicyVersionTests(TestServer server) : IClassFixture<TestServer>
{
    private const string Small = """
        @id("small") permit(principal, action == Mcp::Action::"read_file", resource) when { context.input has size && context.input.size <= 10 };
        @id("support") permit(principal in Mcp::Group::"support", action == Mcp::Action::"delete_file", resource) when { context.session has approval };
        """;

    [Theory]
    [InlineData("permit(principal, action, resource", "unexpected_end")]
    [InlineData("""permit(principal, action == Mcp::Action::"read_file", resource) when { context.input.pth == "x" };""", "unknown_attribute")]
    [InlineData("""permit(principal, action == Mcp::Action::"read_file", resource) when { context.input.size > 1 };""", "unsafe_attribute")]
    [InlineData("""permit(principal, action == Mcp::Action::"reed_file", resource);""", "unknown_action")]
    [InlineData("""permit(principal, action == Mcp::Action::"read_file", resource) when { context.input.path == "a" && false };""", "impossible_policy")]
    [InlineData("""permit(principal == Mcp::Server::"x", action == Mcp::Action::"read_file", resource);""", "inapplicable_scope")]
    [InlineData("""permit(principal == ?principal, action, resource);""", "template")]
    [InlineData("", "no_policies")]
    public async Task Version_ThatIsWrong_IsKeptWithWhatIsWrong_AndCannotDecide(string policies, string code)
    {
        var w = await PolicyWorld.OfAsync(server);
        var draft = await w.DraftAsync(policies);
        Assert.Equal((false, "draft", policies), ((bool?)draft["sound"], (string?)draft["state"], (string?)draft["policies"]));
        var finding = draft["findings"]!.AsArray().First(f => (string?)f!["severity"] == "error")!;
        Assert.True(code == (string?)finding["code"], draft.ToString());
        foreach (var verb in new[] { "activate", "shadow" })
        {
            var mark = await server.NowAsync();
            var problem = await (await w.MoveAsync(draft, verb)).ProblemAsync(HttpStatusCode.UnprocessableEntity, "faults");
            Assert.Contains(problem["faults"]!.AsArray(), f => (string?)f!["code"] == code);
            Assert.Equal([AuditTypes.AdminRefused], (await server.SinceAsync(mark)).Select(e => e.Type));
        }
        Assert.Equal("draft", (string?)(await w.ShowAsync(draft))["state"]);
        Assert.Null((await w.FetchAsync()).Release.Policies);
    }

    [Fact]
    public async Task Tests_AreRun_AndOneThatFailsStopsTheVersion()
    {
        var w = await PolicyWorld.OfAsync(server);
        JsonObject Test(string name, string expect, Action<JsonObject> change)
        {
            var test = new JsonObject { ["name"] = name, ["expect"] = expect, ["user"] = "usr_x", ["tool"] = "read_file", ["arguments"] = new JsonObject { ["path"] = "/a", ["size"] = 3 } };
            change(test);
            return test;
        }
        var right = new JsonArray(
            Test("small files are read", "allow", t => t["by"] = new JsonArray("small")),
            Test("large files are not", "deny", t => t["arguments"] = new JsonObject { ["path"] = "/a", ["size"] = 30 }),
            Test("deleting needs a person", "deny", t => (t["tool"], t["groups"]) = ("delete_file", new JsonArray("support"))),
            Test("with whose yes it goes", "allow", t => (t["tool"], t["groups"], t["approved_by"]) = ("delete_file", new JsonArray("support"), "usr_y")),
            Test("what cannot be read is denied", "deny", t => t["arguments"] = new JsonObject { ["path"] = "/a", ["size"] = 1.5 }),
            Test("no resources", "deny", t => { t.Remove("tool"); t.Remove("arguments"); t["resource"] = "file:///a"; }));
        var draft = await w.DraftAsync(Small, right);
        Assert.True((bool?)draft["sound"], draft.ToString());
        Assert.Equal(6, draft["results"]!.AsArray().Count);
        Assert.True((await w.MoveAsync(draft, "activate")).IsSuccessStatusCode);

        var wrong = await w.DraftAsync(Small, new JsonArray(Test("everybody deletes", "allow", t => t["tool"] = "delete_file"), Test("by another", "allow", t => t["by"] = new JsonArray("support"))));
        Assert.Equal([false, false], wrong["results"]!.AsArray().Select(r => (bool)r!["passed"]!));
        var problem = await (await w.MoveAsync(wrong, "activate")).ProblemAsync(HttpStatusCode.UnprocessableEntity, "faults");
        Assert.Equal(["test_failed", "test_failed"], problem["faults"]!.AsArray().Select(f => (string)f!["code"]!));
        Assert.Equal(1, (await w.FetchAsync()).Release.Policies!.Version);
    }

    [Theory]
    [InlineData("""{}""")]
    [InlineData("""{"policies":1}""")]
    [InlineData("""{"policies":"","tests":{}}""")]
    [InlineData("""{"policies":"","tests":[null]}""")]
    [InlineData("""{"policies":"","tests":[{"name":"a"}]}""")]
    [InlineData("""{"policies":"","tests":[{"name":"a","expect":"maybe","user":"u","tool":"t"}]}""")]
    [InlineData("""{"policies":"","tests":[{"name":"a","expect":"allow","user":"u"}]}""")]
    [InlineData("""{"policies":"","tests":[{"name":"a","expect":"allow","tool":"t"}]}""")]
    [InlineData("""{"policies":"","tests":[{"name":"a","expect":"allow","user":"u","tool":"t","resource":"r"}]}""")]
    [InlineData("""{"policies":"","tests":[{"name":"a","expect":"allow","user":"u","tool":"t","arguments":[]}]}""")]
    [InlineData("""{"policies":"","tests":[{"name":"a","expect":"allow","user":"u","tool":"t","address":"here"}]}""")]
    [InlineData("""{"policies":"","tests":[{"name":"a","expect":"allow","user":"u","tool":"t","usr":"x"}]}""")]
    [InlineData("""{"policies":"","state":"active"}""")]
    public async Task Draft_ThatIsNone_IsRefusedAndNothingIsKept(string body)
    {
        var w = await PolicyWorld.OfAsync(server);
        await (await w.Ops.SendAsync(HttpMethod.Post, $"/tool-servers/{w.S.ToolServer}/policies", JsonNode.Parse(body))).ProblemAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
        Assert.Empty((await w.GetAsync(""))["items"]!.AsArray());
    }

    [Fact]
    public async Task Version_OrToolServerThatIsNotThere_IsNotFound()
    {
        var w = await PolicyWorld.OfAsync(server);
        foreach (var (method, path) in new[]
                 {
                     (HttpMethod.Get, $"/tool-servers/{w.S.ToolServer}/policies/1"), (HttpMethod.Post, $"/tool-servers/{w.S.ToolServer}/policies/1/activate"),
                     (HttpMethod.Get, $"/tool-servers/{w.S.ToolServer}/policies/x/differences"), (HttpMethod.Get, "/tool-servers/srv_none/policies"),
                     (HttpMethod.Post, "/tool-servers/srv_none/policies"), (HttpMethod.Get, "/tool-servers/srv_none/policy-schema"),
                 })
            await (await w.Ops.SendAsync(method, path, method == HttpMethod.Post ? new JsonObject { ["policies"] = "" } : null)).ProblemAsync(HttpStatusCode.NotFound, "not_found");
    }

    /// <summary>To try a version beside is not to end what it forbids.</summary>
    [Fact]
    public async Task Shadow_OfTheVersionThatDecides_LeavesItDeciding()
    {
        var w = await PolicyWorld.OfAsync(server);
        var version = await w.ActivateAsync("""@id("never") forbid(principal, action, resource);""");
        var moved = await w.MoveAsync(version, "shadow");
        Assert.Equal((long)version["version"]!, (await w.FetchAsync()).Release.Policies?.Version);
        await moved.ProblemAsync(HttpStatusCode.Conflict, "conflict");
    }

    [Fact]
    public async Task Withdrawing_WhatDoesNothing_IsAConflict_AndWhatDecidesLeavesItToAuthority()
    {
        var w = await PolicyWorld.OfAsync(server);
        var draft = await w.DraftAsync(Small);
        await (await w.MoveAsync(draft, "withdraw")).ProblemAsync(HttpStatusCode.Conflict, "conflict");
        await w.MoveAsync(draft, "activate");
        await w.MoveAsync(draft, "withdraw");
        Assert.Equal("retired", (string?)(await w.ShowAsync(draft))["state"]);
        Assert.Null((await w.FetchAsync()).Release.Policies);
    }

    [Fact]
    public async Task Schema_IsThatOfTheToolsThereAre()
    {
        var w = await PolicyWorld.OfAsync(server, o => o.Tools["unreported"] = "read");
        var told = await w.Ops.GetAsync($"/tool-servers/{w.S.ToolServer}/policy-schema");
        Assert.Contains("action \"read_file\" in [\"tools:all\", \"sensitivity:read\"]", (string?)told["schema"], StringComparison.Ordinal);
        Assert.Empty(told["undefined_tools"]!.AsArray());
    }

    [Fact]
    public async Task Versions_AreListedNewestFirst_PageByPage()
    {
        var w = await PolicyWorld.OfAsync(server);
        for (var i = 0; i < 5; i++)
            await w.DraftAsync($"@id(\"p{i}\") permit(principal, action, resource);");
        var seen = new List<long>();
        var page = await w.GetAsync("?limit=2");
        while (true)
        {
            seen.AddRange(page["items"]!.AsArray().Select(v => (long)v!["version"]!));
            if (page["next"] is not { } next)
                break;
            page = await w.GetAsync($"?limit=2&after={next}");
        }
        Assert.Equal([5, 4, 3, 2, 1], seen);
        Assert.Null(page["items"]![0]!["policies"]);
    }
}
