using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Tests.Harness;
using McpAuthServer.Tests.Policies;

namespace McpAuthServer.Tests.AuthZen;

/// <summary>The form of questions and answers: one, several, what is wrong, and what stands around them.</summary>
public sealed class EvaluationFormTests(TestServer server) : IClassFixture<TestServer>
{
    private const string Path = Names.Paths.AccessEvaluation, Several = Names.Paths.AccessEvaluations;

    [Theory]
    [Trait("Spec", "AuthZEN-6.1")]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{")]
    [InlineData("{}")]
    [InlineData("""{"subject":{"type":"user","id":"usr_1"},"action":{"name":"a"}}""")]
    [InlineData("""{"subject":{"type":"user","id":"usr_1"},"resource":{"type":"tool_server","id":"x"}}""")]
    [InlineData("""{"action":{"name":"a"},"resource":{"type":"tool_server","id":"x"}}""")]
    [InlineData("""{"subject":"usr_1","action":{"name":"a"},"resource":{"type":"tool_server","id":"x"}}""")]
    [InlineData("""{"subject":{"type":"user"},"action":{"name":"a"},"resource":{"type":"tool_server","id":"x"}}""")]
    [InlineData("""{"subject":{"type":"user","id":7},"action":{"name":"a"},"resource":{"type":"tool_server","id":"x"}}""")]
    [InlineData("""{"subject":{"type":"user","id":""},"action":{"name":"a"},"resource":{"type":"tool_server","id":"x"}}""")]
    [InlineData("""{"subject":{"type":"user","id":"usr_1","properties":[]},"action":{"name":"a"},"resource":{"type":"tool_server","id":"x"}}""")]
    [InlineData("""{"subject":{"type":"user","id":"usr_1"},"action":"a","resource":{"type":"tool_server","id":"x"}}""")]
    [InlineData("""{"subject":{"type":"user","id":"usr_1"},"action":{"name":["a"]},"resource":{"type":"tool_server","id":"x"}}""")]
    [InlineData("""{"subject":{"type":"user","id":"usr_1"},"action":{"name":"a"},"resource":{"id":"x"}}""")]
    [InlineData("""{"subject":{"type":"user","id":"usr_1"},"action":{"name":"a"},"resource":{"type":"tool_server","id":"x"},"context":[]}""")]
    [InlineData("""{"subject":{"type":"user","id":"usr_1"},"action":{"name":"a"},"resource":{"type":"tool_server","id":"x"},"context":{"input":[]}}""")]
    [InlineData("""{"subject":{"type":"user","id":"usr_1"},"action":{"name":"a"},"resource":{"type":"tool_server","id":"x"},"context":{"session":"tsk_1"}}""")]
    [InlineData("""{"subject":{"type":"user","id":"usr_1"},"action":{"name":"a"},"resource":{"type":"tool_server","id":"x"},"context":{"session":{"task":7}}}""")]
    [InlineData("""{"subject":{"type":"user","id":"usr_1"},"subject":{"type":"user","id":"usr_2"},"action":{"name":"a"},"resource":{"type":"tool_server","id":"x"}}""")]
    public async Task Question_ThatIsNone_Is400_AndRecorded(string text)
    {
        var w = await PolicyWorld.OfAsync(server);
        foreach (var path in new[] { Path, Several })
        {
            var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));
            var response = await Asking.SendAsync(server, path, null, "DPoP " + w.Guard.Token, w.Guard.Proof(path, w.Guard.Token), "r-1", text);
            await response.ProblemAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
            Assert.Equal(["r-1"], response.Headers.GetValues("X-Request-ID"));
            Assert.Equal((w.Guard.Id, w.S.Resource), (await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.EvaluationRefused, null)) is var e ? (e.Client, e.Resource) : default);
        }
    }

    [Fact]
    public async Task Body_ThatIsTooLong_OrOfAnotherType_IsRefused()
    {
        var w = await PolicyWorld.OfAsync(server);
        var tooLong = w.Question(w.S.User, "read_file", $$"""{"path":"{{new string('x', 300_000)}}"}""");
        await (await w.AskAsGuardAsync(Path, tooLong)).ProblemAsync(HttpStatusCode.RequestEntityTooLarge, Names.Errors.InvalidRequest);
        using var form = new FormUrlEncodedContent([KeyValuePair.Create("subject", "usr_1")]);
        await (await w.Guard.SendAsync(Path, form)).ProblemAsync(HttpStatusCode.UnsupportedMediaType, Names.Errors.InvalidRequest);
    }

    [Fact]
    public async Task Members_ThatNobodyKnows_ArePassedOver()
    {
        var w = await PolicyWorld.OfAsync(server);
        await w.ActivateAsync("permit(principal, action, resource);");
        var question = w.Question(w.S.User, "read_file", """{"path":"/a"}""", """{"mood":"good"}""");
        (question["more"], question["subject"]!["more"], question["action"]!["more"], question["resource"]!["more"], question["context"]!["more"]) = (1, true, "x", new JsonArray(), new JsonObject());
        Assert.True(await w.AllowsAsync(question));
    }

    [Fact]
    [Trait("Spec", "AuthZEN-10.1.3")]
    public async Task RequestId_StandsInTheAnswer_WhateverThatIs()
    {
        var w = await PolicyWorld.OfAsync(server);
        var question = w.Question(w.S.User, "read_file", """{"path":"/a"}""");
        foreach (var id in new[] { "bfe9eb29-ab87-4ca3-be83-a1d5d8305716", "an id, with a comma; and more ~", new string('i', 256) })
        {
            Assert.Equal([id], (await w.AskAsGuardAsync(Path, question, id: id)).Headers.GetValues("X-Request-ID"));
            var refused = await Asking.SendAsync(server, Path, question, null, null, id);
            Assert.Equal((HttpStatusCode.Unauthorized, id), (refused.StatusCode, refused.Headers.GetValues("X-Request-ID").Single()));
        }
        Assert.False((await w.AskAsGuardAsync(Path, question)).Headers.Contains("X-Request-ID"));
        await (await w.AskAsGuardAsync(Path, question, id: new string('i', 257))).ProblemAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
        // Elsewhere it means nothing.
        using var elsewhere = new HttpRequestMessage(HttpMethod.Get, Names.Paths.Jwks);
        elsewhere.Headers.Add("X-Request-ID", "r-2");
        Assert.False((await server.Client().SendAsync(elsewhere)).Headers.Contains("X-Request-ID"));
    }

    [Fact]
    [Trait("Spec", "AuthZEN-7.1.1")]
    public async Task Several_TakeWhatTheyDoNotSayFromAbove_AndAreAnsweredInOrder()
    {
        var w = await PolicyWorld.OfAsync(server);
        await w.ActivateAsync("""
            permit(principal is Mcp::User, action == Mcp::Action::"read_file", resource) when { context.input.path like "/public/*" };
            permit(principal is Mcp::Agent, action == Mcp::Action::"list_files", resource);
            """);
        var body = w.Question(w.S.User, "read_file", """{"path":"/public/a"}""");
        body["evaluations"] = JsonNode.Parse($$$$"""
            [ {},
              {"context":{"input":{"path":"/private/a"}}},
              {"subject":{"type":"agent","id":"{{{{w.S.Agent.Id}}}}"}},
              {"subject":{"type":"agent","id":"{{{{w.S.Agent.Id}}}}"},"action":{"name":"list_files"}},
              {"resource":{"type":"tool_server","id":"https://other.test/mcp"}},
              {"subject":{"type":"user"}},
              {"context":{}} ]
            """);
        var answer = await (await w.AskAsGuardAsync(Several, body)).AnswerAsync();
        Assert.Equal(["evaluations"], answer.Select(m => m.Key));
        var all = answer["evaluations"]!.AsArray();
        Assert.Equal([true, false, false, true, false, false, false], all.Select(a => (bool)a!["decision"]!));
        // §7.2.1: the one that is wrong says so, and only it.
        Assert.Equal(400, (int?)all[5]!["context"]!["error"]!["status"]);
        Assert.All(all.Where((_, i) => i != 5), a => Assert.Single(a!.AsObject()));
    }

    [Theory]
    [Trait("Spec", "AuthZEN-7.1.2")]
    [InlineData(null, "TFTF")]
    [InlineData("execute_all", "TFTF")]
    [InlineData("deny_on_first_deny", "TF")]
    [InlineData("permit_on_first_permit", "T")]
    public async Task Several_GoAsFarAsTheSemanticSays(string? semantic, string decisions)
    {
        var w = await PolicyWorld.OfAsync(server);
        await w.ActivateAsync("""permit(principal, action == Mcp::Action::"read_file", resource);""");
        var body = w.Question(w.S.User, "read_file", """{"path":"/a"}""");
        body["evaluations"] = JsonNode.Parse("""[{},{"action":{"name":"list_files"}},{},{"action":{}}]""");
        if (semantic is not null)
            body["options"] = new JsonObject { ["evaluations_semantic"] = semantic, ["another"] = 1 };
        var all = (await (await w.AskAsGuardAsync(Several, body)).AnswerAsync())["evaluations"]!.AsArray();
        Assert.Equal(decisions, string.Concat(all.Select(a => (bool)a!["decision"]! ? 'T' : 'F')));
        // What is wrong ends it as a denial does.
        body["evaluations"] = JsonNode.Parse("""[{"action":{}},{}]""");
        all = (await (await w.AskAsGuardAsync(Several, body)).AnswerAsync())["evaluations"]!.AsArray();
        Assert.Equal(semantic == "deny_on_first_deny" ? 1 : 2, all.Count);
    }

    [Fact]
    [Trait("Spec", "AuthZEN-7.1")]
    public async Task Several_WithoutAny_AreOne()
    {
        var w = await PolicyWorld.OfAsync(server);
        await w.ActivateAsync("permit(principal, action, resource);");
        var body = w.Question(w.S.User, "read_file", """{"path":"/a"}""");
        Assert.Equal("""{"decision":true}""", (await (await w.AskAsGuardAsync(Several, body)).AnswerAsync()).ToJsonString());
        body["evaluations"] = new JsonArray();
        Assert.Equal("""{"decision":true}""", (await (await w.AskAsGuardAsync(Several, body)).AnswerAsync()).ToJsonString());
    }

    [Theory]
    [InlineData("""{"evaluations":{}}""")]
    [InlineData("""{"evaluations":[1]}""")]
    [InlineData("""{"evaluations":[{}],"options":[]}""")]
    [InlineData("""{"evaluations":[{}],"options":{"evaluations_semantic":"all"}}""")]
    [InlineData("""{"evaluations":[{}],"options":{"evaluations_semantic":null}}""")]
    public async Task Several_ThatAreNone_Are400(string text)
    {
        var w = await PolicyWorld.OfAsync(server);
        await (await w.AskAsGuardAsync(Several, JsonNode.Parse(text)!)).ProblemAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
        await (await w.AskAsGuardAsync(Several, new JsonObject { ["evaluations"] = new JsonArray([.. Enumerable.Range(0, 101).Select(_ => new JsonObject())]) }))
            .ProblemAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
    }

    [Fact]
    [Trait("Spec", "AuthZEN-9.2")]
    public async Task Metadata_NamesWhatThereIs_AndEachOfItAnswers()
    {
        var response = await server.Client().GetAsync(Names.Paths.AuthZenMetadata);
        Assert.Equal((HttpStatusCode.OK, "application/json"), (response.StatusCode, response.Content.Headers.ContentType?.MediaType));
        Assert.True(response.Headers.CacheControl?.Public);
        var metadata = JsonNode.Parse(await response.Content.ReadAsStringAsync())!.AsObject();
        Assert.Equal(TestServer.Issuer, (string?)metadata["policy_decision_point"]);
        Assert.Equal(
            ["access_evaluation_endpoint", "access_evaluations_endpoint", "policy_decision_point", "search_action_endpoint", "search_resource_endpoint", "search_subject_endpoint"],
            metadata.Select(m => m.Key).Order(StringComparer.Ordinal));
        var w = await PolicyWorld.OfAsync(server);
        foreach (var (name, address) in metadata.Where(m => m.Key.EndsWith("_endpoint", StringComparison.Ordinal)))
            Assert.True((await w.AskAsAdministratorAsync(new Uri((string)address!).AbsolutePath, w.Question(w.S.User, "read_file"))).IsSuccessStatusCode, name);
    }
}
