using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;
using McpAuthServer.Tests.Policies;

namespace McpAuthServer.Tests.AuthZen;

/// <summary>The server as a decision point: one question.</summary>
public abstract class EvaluationSuite
{
    private const string Path = Names.Paths.AccessEvaluation;

    protected abstract TestServer Server { get; }

    private protected virtual Task<TestServer> AnotherAsync() => Task.FromResult(Server);

    [SuiteFact]
    [Trait("Spec", "AuthZEN-6.2")]
    public async Task Question_IsAnsweredByTheToolServersPolicies_WhoeverAsks()
    {
        var (w, other) = (await PolicyWorld.OfAsync(Server), await AnotherAsync());
        await w.ActivateAsync("""@id("small") permit(principal is Mcp::User, action == Mcp::Action::"read_file", resource) when { context.input has size && context.input.size <= 10 };""");
        var itself = await IntrospectingServer.OfAsync(w.S);
        JsonObject yes = w.Question(w.S.User, "read_file", """{"path":"/a","size":10}"""), no = w.Question(w.S.User, "read_file", """{"path":"/a","size":11}""");
        foreach (var node in new[] { Server, other })
        {
            Assert.True(await w.AllowsAsync(yes, node));
            Assert.False(await w.AllowsAsync(no, node));
            Assert.Equal("""{"decision":true}""", (await (await itself.AskAsync(node, Path, yes)).AnswerAsync()).ToJsonString());
            Assert.Equal("""{"decision":false}""", (await (await itself.AskAsync(node, Path, no)).AnswerAsync()).ToJsonString());
        }
        // Whoever administers learns why; so does nobody else.
        var hash = (await w.FetchAsync()).Hash;
        Assert.Equal($$$"""{"decision":true,"context":{"policy_hash":"{{{hash}}}","reasons":["small"]}}""", (await (await w.AskAsAdministratorAsync(Path, yes, other)).AnswerAsync()).ToJsonString());
        Assert.Equal(
            $$$"""{"decision":false,"context":{"reason":"not_permitted","policy_hash":"{{{hash}}}","reasons":[]}}""", (await (await w.AskAsAdministratorAsync(Path, no, other)).AnswerAsync()).ToJsonString());
        // The id of the tool server is as good as its address.
        Assert.True(await w.AllowsAsync(w.Question(w.S.User, "read_file", """{"path":"/a","size":1}""", resource: w.S.ToolServer)));
    }

    [SuiteFact]
    public async Task Question_WhereNoPoliciesAreActive_IsAnsweredWithNo()
    {
        var w = await PolicyWorld.OfAsync(Server);
        await w.DraftAsync("permit(principal, action, resource);");
        Assert.False(await w.AllowsAsync(w.Question(w.S.User, "read_file", """{"path":"/a"}""")));
        Assert.Equal("no_policies", await w.ReasonAsync(w.Question(w.S.User, "read_file", """{"path":"/a"}""")));
    }

    [SuiteFact]
    public async Task Answer_FollowsThePolicies_AtAnotherNodeAtOnce()
    {
        var (w, other) = (await PolicyWorld.OfAsync(Server), await AnotherAsync());
        var question = w.Question(w.S.User, "read_file", """{"path":"/a"}""");
        for (var i = 0; i < 4; i++)
        {
            await w.ActivateAsync(i % 2 == 0 ? "permit(principal, action, resource);" : "forbid(principal, action, resource);");
            Assert.Equal(i % 2 == 0, await w.AllowsAsync(question, other));
        }
    }

    [SuiteFact]
    [Trait("Spec", "AuthZEN-5.1")]
    public async Task Claims_OfTheQuestion_OverwriteNothing()
    {
        var w = await PolicyWorld.OfAsync(Server, o => (o.Agent["tool_class"], o.Agent["review_at"]) = ("files", "2030-01-01T00:00:00Z"));
        await Server.ApplyAsync(new JsonObject
        {
            ["groups"] = new JsonArray(new JsonObject { ["id"] = "grp_support_" + w.S.Suffix, ["name"] = "Support" }),
            ["users"] = new JsonArray(
                new JsonObject { ["id"] = "usr_in_" + w.S.Suffix, ["name"] = "In", ["groups"] = new JsonArray("grp_support_" + w.S.Suffix) }, new JsonObject { ["id"] = "usr_out_" + w.S.Suffix, ["name"] = "Out" }),
        }.ToJsonString());
        await w.ActivateAsync($$"""
            permit(principal in Mcp::Group::"grp_support_{{w.S.Suffix}}", action in Mcp::Action::"sensitivity:read", resource);
            permit(principal is Mcp::Agent, action == Mcp::Action::"list_files", resource) when { principal has class && principal.class == "files" && principal has owner && principal.owner == Mcp::User::"{{w.S.User}}" };
            permit(principal, action, resource) when { context.session.scopes.contains("everything") || context.session has approval || context.session has attestation };
            """);
        JsonObject Claiming(string subject, string action)
        {
            var question = w.Question(subject, action, """{"path":"/a"}""", """{"scopes":["everything"],"approval":{"id":"apr_1","by":"usr_1"},"attestation":{"assurance":"hardware"},"time":"1970-01-01T00:00:00Z"}""");
            question["subject"]!["properties"] = new JsonObject { ["groups"] = new JsonArray("grp_support_" + w.S.Suffix), ["class"] = "files", ["owner"] = w.S.User, ["id"] = "usr_in_" + w.S.Suffix, ["type"] = "user" };
            question["action"]!["properties"] = new JsonObject { ["sensitivity"] = "read" };
            question["resource"]!["properties"] = new JsonObject { ["sensitivity"] = "read" };
            return question;
        }
        Assert.True(await w.AllowsAsync(Claiming("usr_in_" + w.S.Suffix, "read_file")));
        Assert.False(await w.AllowsAsync(Claiming("usr_out_" + w.S.Suffix, "read_file")));
        Assert.False(await w.AllowsAsync(Claiming("usr_in_" + w.S.Suffix, "delete_file")));
        Assert.True(await w.AllowsAsync(Claiming(w.S.Agent.Id, "list_files")));
        Assert.False(await w.AllowsAsync(Claiming(w.S.ServiceClient, "list_files")));
        // What is in the registry counts as soon as it is there.
        w.S.File["agents"]![0]!["tool_class"] = "mail";
        await Server.ApplyAsync(w.S.File.ToJsonString());
        Assert.False(await w.AllowsAsync(Claiming(w.S.Agent.Id, "list_files")));
    }

    [SuiteFact]
    public async Task Task_IsWhatShowsWhoActsForWhom()
    {
        var w = await PolicyWorld.OfAsync(Server);
        await w.S.Agent.AttestAsync();
        await w.ActivateAsync($$"""
            permit(principal is Mcp::User, action, resource) when { context.session has agent && context.session.agent == Mcp::Agent::"{{w.S.Agent.Id}}" && context.session has task };
            permit(principal is Mcp::Agent, action, resource) when { context.session has task && context.session has client && context.session.client == "{{w.S.Agent.ClientId}}" };
            """);
        var delegated = (await w.S.Agent.TakeOverAsync((await new PersonFlow(w.S).DelegateAsync("read", "read_file")).AccessToken)).Task();
        var own = await w.S.Agent.BeginTaskAsync("read_file");
        JsonObject Of(string subject, string? session) => w.Question(subject, "read_file", """{"path":"/a"}""", session);

        Assert.True(await w.AllowsAsync(Of(w.S.User, $$"""{"task":"{{delegated}}"}""")));
        Assert.True(await w.AllowsAsync(Of(w.S.User, $$$"""{"task":{"id":"{{{delegated}}}"},"agent":{"id":"{{{w.S.Agent.Id}}}"}}""")));
        Assert.True(await w.AllowsAsync(Of(w.S.Agent.Id, $$"""{"task":"{{own}}"}""")));
        Assert.Equal("not_permitted", await w.ReasonAsync(Of(w.S.User, null)));
        // Another's task, none at all, and an agent that no task shows.
        Assert.Equal("unverified_task", await w.ReasonAsync(Of(w.S.User, $$"""{"task":"{{own}}"}""")));
        Assert.Equal("unverified_task", await w.ReasonAsync(Of(w.S.Agent.Id, $$"""{"task":"{{delegated}}"}""")));
        Assert.Equal("unverified_task", await w.ReasonAsync(Of(w.S.User, """{"task":"tsk_none"}""")));
        Assert.Equal("unverified_agent", await w.ReasonAsync(Of(w.S.User, $$"""{"agent":"{{w.S.Agent.Id}}"}""")));
        Assert.Equal("unverified_agent", await w.ReasonAsync(Of(w.S.User, $$"""{"task":"{{delegated}}","agent":"agt_other"}""")));
        // It ends.
        await w.S.Agent.CallAsync(HttpMethod.Post, $"/tasks/{own}/complete");
        Assert.Equal("unverified_task", await w.ReasonAsync(Of(w.S.Agent.Id, $$"""{"task":"{{own}}"}""")));
        w.S.File["agents"]![0]!["state"] = "suspended";
        await Server.ApplyAsync(w.S.File.ToJsonString());
        Assert.False(await w.AllowsAsync(Of(w.S.User, $$"""{"task":"{{delegated}}"}""")));
    }

    [SuiteFact]
    public async Task Subject_ThatMayNotAct_IsAnsweredWithNo()
    {
        var w = await PolicyWorld.OfAsync(Server);
        await w.ActivateAsync("permit(principal, action, resource);");
        Task<string?> WhyAsync(string subject) => w.ReasonAsync(w.Question(subject, "read_file", """{"path":"/a"}"""));
        foreach (var subject in new[] { w.S.User, w.S.Agent.Id, w.S.ServiceClient })
            Assert.Null(await WhyAsync(subject));
        foreach (var subject in new[] { "usr_none", "agt_none", "nobody", w.S.Agent.ClientId })
            Assert.Equal("unknown_subject", await WhyAsync(subject));
        foreach (var type in new[] { "identity", "User", "group" })
        {
            var question = w.Question(w.S.User, "read_file", """{"path":"/a"}""");
            question["subject"]!["type"] = type;
            Assert.Equal("unknown_subject", await w.ReasonAsync(question));
        }
        w.S.File["users"]![0]!["enabled"] = false;
        w.S.File["agents"]![0]!["state"] = "suspended";
        w.S.File["clients"]!.AsArray().Single(c => (string?)c!["id"] == w.S.ServiceClient)!["state"] = "suspended";
        await Server.ApplyAsync(w.S.File.ToJsonString());
        foreach (var subject in new[] { w.S.User, w.S.Agent.Id, w.S.ServiceClient })
            Assert.Equal("unknown_subject", await WhyAsync(subject));
    }

    [SuiteFact]
    public async Task Action_IsATool_AResourceOrAPrompt()
    {
        var w = await PolicyWorld.OfAsync(Server);
        await w.ActivateAsync("""
            permit(principal, action == Mcp::Action::"resource:read", resource) when { context.input.uri like "file:///public/*" };
            permit(principal, action == Mcp::Action::"prompt:get", resource) when { context.input.name == "greet" };
            permit(principal, action == Mcp::Action::"read_file", resource);
            """);
        Task<bool> AsksAsync(string action, string? input) => w.AllowsAsync(w.Question(w.S.User, action, input));
        Assert.True(await AsksAsync("resource:read", """{"uri":"file:///public/a"}"""));
        Assert.False(await AsksAsync("resource:read", """{"uri":"file:///private/a"}"""));
        Assert.True(await AsksAsync("prompt:get", """{"name":"greet"}"""));
        Assert.True(await AsksAsync("read_file", """{"path":"/a"}"""));
        Assert.False(await AsksAsync("nothing", "{}"));
        var unknown = w.Question(w.S.User, "read_file", """{"path":"/a"}""");
        unknown["resource"]!["type"] = "todo";
        Assert.Equal("unknown_resource", await w.ReasonAsync(unknown));
    }

    [SuiteFact]
    [Trait("Spec", "AuthZEN-10.1.2")]
    public async Task Caller_WhoIsNobodyThatMayAsk_IsRefused_AndThatIsRecorded()
    {
        var w = await PolicyWorld.OfAsync(Server);
        await w.ActivateAsync("permit(principal, action, resource);");
        await w.S.Agent.AttestAsync();
        var itself = await IntrospectingServer.OfAsync(w.S);
        var question = w.Question(w.S.User, "read_file", """{"path":"/a"}""");

        var bare = await Asking.SendAsync(Server, Path, question, null, null, null);
        await bare.ProblemAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidToken);
        Assert.Equal(["DPoP", "Basic"], bare.Headers.WwwAuthenticate.Select(c => c.Scheme));
        await (await itself.AskAsync(Server, Path, question, "wrong")).ProblemAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidClient);
        await (await Asking.SendAsync(Server, Path, question, "Bearer " + w.Guard.Token, null, null)).ProblemAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidToken);
        await (await Asking.SendAsync(Server, Path, question, "DPoP " + w.S.Agent.InstanceToken, w.S.Agent.Proof(HttpMethod.Post, Path, w.S.Agent.InstanceToken), null))
            .ProblemAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidToken);
        var proof = w.Guard.Proof(Path, w.Guard.Token);
        await (await Asking.SendAsync(Server, Path, question, "DPoP " + w.Guard.Token, proof, null)).AnswerAsync();
        await (await Asking.SendAsync(Server, Path, question, "DPoP " + w.Guard.Token, proof, null)).ProblemAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidDpopProof);

        // A client that is no tool server's is somebody, but may not ask.
        var (mark, before) = (await Server.NowAsync(), await Footprint.OfAsync(Server));
        var service = "Basic " + Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes($"{w.S.ServiceClient}:{w.S.ServiceSecret}"));
        await (await Asking.SendAsync(Server, Path, question, service, null, null)).ProblemAsync(HttpStatusCode.Forbidden, Names.Errors.UnauthorizedClient);
        Assert.Equal(w.S.ServiceClient, (await Server.OnlyARefusalSinceAsync(mark, before, AuditTypes.EvaluationRefused, Names.Errors.UnauthorizedClient)).Client);
    }

    [SuiteFact]
    public async Task ToolServer_OfAnother_IsAnsweredAsOneThatIsNotThere()
    {
        PolicyWorld w = await PolicyWorld.OfAsync(Server), other = await PolicyWorld.OfAsync(Server);
        await other.ActivateAsync("permit(principal, action, resource);");
        var itself = await IntrospectingServer.OfAsync(w.S);
        var about = other.Question(other.S.User, "read_file", """{"path":"/a"}""");
        var (mark, before) = (await Server.NowAsync(), await Footprint.OfAsync(Server));
        Assert.False(await w.AllowsAsync(about));
        var e = await Server.OnlyARefusalSinceAsync(mark, before, AuditTypes.EvaluationRefused, "wrong_resource");
        Assert.Equal((w.Guard.Id, w.S.Resource), (e.Client, e.Resource));
        Assert.Equal("""{"decision":false}""", (await (await itself.AskAsync(Server, Path, about)).AnswerAsync()).ToJsonString());
        Assert.True(await other.AllowsAsync(about));
        Assert.Null(await w.ReasonAsync(about));
    }

    [SuiteFact]
    public async Task Question_ThatIsAnswered_LeavesNoRecord()
    {
        var w = await PolicyWorld.OfAsync(Server);
        await w.ActivateAsync("permit(principal, action, resource);");
        var (mark, before) = (await Server.NowAsync(), await Footprint.OfAsync(Server));
        Assert.True(await w.AllowsAsync(w.Question(w.S.User, "read_file", """{"path":"/a"}""")));
        Assert.False(await w.AllowsAsync(w.Question("usr_none", "read_file", """{"path":"/a"}""")));
        Assert.Empty(await Server.SinceAsync(mark));
        Assert.Equal(before, await Footprint.OfAsync(Server));
    }
}

public sealed class EvaluationOnSqliteTests(TestServer server) : EvaluationSuite, IClassFixture<TestServer>
{
    protected override TestServer Server => server;
}

[NeedsPostgres]
public sealed class EvaluationOnPostgresTests(PostgresServer postgres) : EvaluationSuite, IClassFixture<PostgresServer>
{
    protected override TestServer Server => postgres.Server;

    private protected override Task<TestServer> AnotherAsync() => postgres.AnotherAsync();
}
