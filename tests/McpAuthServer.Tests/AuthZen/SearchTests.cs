using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;
using McpAuthServer.Tests.Policies;

namespace McpAuthServer.Tests.AuthZen;

/// <summary>The server as a decision point: who may, where, and what.</summary>
public abstract class SearchSuite
{
    protected abstract TestServer Server { get; }

    [SuiteFact]
    [Trait("Spec", "AuthZEN-8.1")]
    public async Task Search_FindsExactlyWhatAnEvaluationAllows()
    {
        PolicyWorld w = await PolicyWorld.OfAsync(Server), other = await PolicyWorld.OfAsync(Server), none = await PolicyWorld.OfAsync(Server);
        await w.ActivateAsync($$"""
            permit(principal == Mcp::User::"{{w.S.User}}", action in [Mcp::Action::"read_file", Mcp::Action::"list_files"], resource);
            permit(principal == Mcp::Agent::"{{w.S.Agent.Id}}", action == Mcp::Action::"read_file", resource) when { context.input.path == "/a" };
            permit(principal == Mcp::Client::"{{w.S.ServiceClient}}", action == Mcp::Action::"read_file", resource);
            permit(principal, action == Mcp::Action::"resource:read", resource) when { context.input.uri == "file:///a" };
            """);
        await other.ActivateAsync($$"""permit(principal == Mcp::User::"{{w.S.User}}", action == Mcp::Action::"read_file", resource);""");

        // 1. Subjects of each kind.
        foreach (var (type, id) in new[] { ("user", w.S.User), ("agent", w.S.Agent.Id), ("client", w.S.ServiceClient) })
        {
            Assert.Equal([id], await FindAsync(w, Names.Paths.SearchSubject, SubjectsOf(w, type, "read_file", "/a"), "id"));
            Assert.Equal(type == "agent" ? [] : new[] { id }, await FindAsync(w, Names.Paths.SearchSubject, SubjectsOf(w, type, "read_file", "/b"), "id"));
        }
        Assert.Empty(await FindAsync(w, Names.Paths.SearchSubject, SubjectsOf(w, "robot", "read_file", "/a"), "id"));

        // 2. Tool servers; an id that stands there all the same is passed over (§8.5).
        var where = w.Question(w.S.User, "read_file", """{"path":"/a"}""");
        string[] mine = [w.S.Resource, other.S.Resource, none.S.Resource];
        Assert.Equal(new[] { w.S.Resource, other.S.Resource }.Order(StringComparer.Ordinal), (await FindAsync(w, Names.Paths.SearchResource, where, "id")).Where(r => mine.Contains(r)));
        // The guard finds its own alone.
        Assert.Equal([w.S.Resource], (await (await w.AskAsGuardAsync(Names.Paths.SearchResource, where)).AnswerAsync())["results"]!.AsArray().Select(r => (string)r!["id"]!));
        Assert.Empty((await (await none.AskAsGuardAsync(Names.Paths.SearchResource, where)).AnswerAsync())["results"]!.AsArray());

        // 3. Tools.
        foreach (var (subject, input, tools) in new[]
        {
            (w.S.User, """{"path":"/a"}""", new[] { "list_files", "read_file" }), (w.S.Agent.Id, """{"path":"/a"}""", ["read_file"]), (w.S.Agent.Id, """{"path":"/b"}""", []),
            (w.S.Agent.Id, """{"uri":"file:///a"}""", ["resource:read"]), ("usr_none", """{"path":"/a"}""", []),
        })
        {
            var question = w.Question(subject, "", input);
            question.Remove("action");
            Assert.Equal(tools, await FindAsync(w, Names.Paths.SearchAction, question, "name"));
            // §8.1: what was found is allowed, and what was not is not.
            foreach (var tool in new[] { "delete_file", "list_files", "read_file", "resource:read", "prompt:get" })
                Assert.Equal(tools.Contains(tool), await w.AllowsAsync(w.Question(subject, tool, input)));
        }
    }

    [SuiteFact]
    [Trait("Spec", "AuthZEN-8.2")]
    public async Task Pages_HoldEveryResultOnce_AndTheLastOneSaysSo()
    {
        var w = await PolicyWorld.OfAsync(Server);
        var ids = Enumerable.Range(0, 23).Select(i => $"usr_page{i:00}_{w.S.Suffix}").ToList();
        await Server.ApplyAsync(new JsonObject { ["users"] = new JsonArray([.. ids.Select(id => new JsonObject { ["id"] = id, ["name"] = id })]) }.ToJsonString());
        await w.ActivateAsync("permit(principal in Mcp::Group::\"none\", action, resource); " + string.Concat(ids.Where((_, i) => i != 7).Select(id => $"permit(principal == Mcp::User::\"{id}\", action, resource);")));
        var (found, pages, token) = (new List<string>(), 0, "");
        var question = SubjectsOf(w, "user", "read_file", "/a");
        do
        {
            question["page"] = new JsonObject { ["limit"] = 5, ["token"] = token };
            var answer = await (await w.AskAsAdministratorAsync(Names.Paths.SearchSubject, question)).AnswerAsync();
            var results = answer["results"]!.AsArray();
            Assert.True(results.Count <= 5);
            Assert.Equal(results.Count, (int?)answer["page"]!["count"]);
            found.AddRange(results.Select(r => (string)r!["id"]!));
            token = (string)answer["page"]!["next_token"]!;
            Assert.True(++pages < 100);
        }
        while (token.Length > 0);
        Assert.Equal(ids.Where((_, i) => i != 7), found.Order(StringComparer.Ordinal));

        // A token belongs to the request it was given to.
        question["page"] = new JsonObject { ["limit"] = 5 };
        var first = (string)(await (await w.AskAsAdministratorAsync(Names.Paths.SearchSubject, question)).AnswerAsync())["page"]!["next_token"]!;
        var other = SubjectsOf(w, "user", "list_files", "/a");
        foreach (var (request, given) in new[] { (other, (JsonNode)first), (question, "!"), (question, "AAAA"), (question, 7) })
        {
            request["page"] = new JsonObject { ["token"] = given.DeepClone() };
            await (await w.AskAsAdministratorAsync(Names.Paths.SearchSubject, request)).ProblemAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
        }
        // The number stays what it was; it may be left out, not changed.
        question["page"] = new JsonObject { ["token"] = first };
        Assert.True((await (await w.AskAsAdministratorAsync(Names.Paths.SearchSubject, question)).AnswerAsync())["results"]!.AsArray().Count <= 5);
        question["page"] = new JsonObject { ["token"] = first, ["limit"] = 6 };
        await (await w.AskAsAdministratorAsync(Names.Paths.SearchSubject, question)).ProblemAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
        question["page"] = new JsonObject { ["limit"] = 0 };
        var empty = await (await w.AskAsAdministratorAsync(Names.Paths.SearchSubject, question)).AnswerAsync();
        Assert.Equal((0, true), (empty["results"]!.AsArray().Count, ((string)empty["page"]!["next_token"]!).Length > 0));
        foreach (var page in new[] { "[]", """{"limit":-1}""", """{"limit":"5"}""", """{"limit":1.5}""" })
        {
            question["page"] = JsonNode.Parse(page);
            await (await w.AskAsAdministratorAsync(Names.Paths.SearchSubject, question)).ProblemAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
        }
    }

    [SuiteFact]
    public async Task Subjects_AreNotForToolServersToList()
    {
        var w = await PolicyWorld.OfAsync(Server);
        await w.ActivateAsync("permit(principal, action, resource);");
        var itself = await IntrospectingServer.OfAsync(w.S);
        var question = SubjectsOf(w, "user", "read_file", "/a");
        await (await w.AskAsGuardAsync(Names.Paths.SearchSubject, question)).ProblemAsync(HttpStatusCode.Forbidden, Names.Errors.UnauthorizedClient);
        await (await itself.AskAsync(Server, Names.Paths.SearchSubject, question)).ProblemAsync(HttpStatusCode.Forbidden, Names.Errors.UnauthorizedClient);
        // What is missing is said of each.
        foreach (var path in new[] { Names.Paths.SearchSubject, Names.Paths.SearchResource, Names.Paths.SearchAction })
            await (await w.AskAsAdministratorAsync(path, new JsonObject())).ProblemAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
    }

    private static JsonObject SubjectsOf(PolicyWorld w, string type, string action, string path)
    {
        var question = w.Question(w.S.User, action, $$"""{"path":"{{path}}"}""");
        question["subject"] = new JsonObject { ["type"] = type };
        return question;
    }

    /// <summary>All pages, as an administrator.</summary>
    private static async Task<List<string>> FindAsync(PolicyWorld w, string path, JsonObject question, string member)
    {
        var (found, token) = (new List<string>(), "");
        do
        {
            question["page"] = new JsonObject { ["token"] = token };
            var answer = await (await w.AskAsAdministratorAsync(path, question)).AnswerAsync();
            found.AddRange(answer["results"]!.AsArray().Select(r => (string)r![member]!));
            token = (string)answer["page"]!["next_token"]!;
        }
        while (token.Length > 0);
        return found;
    }
}

public sealed class SearchOnSqliteTests(TestServer server) : SearchSuite, IClassFixture<TestServer>
{
    protected override TestServer Server => server;
}

[NeedsPostgres]
public sealed class SearchOnPostgresTests(PostgresServer postgres) : SearchSuite, IClassFixture<PostgresServer>
{
    protected override TestServer Server => postgres.Server;
}
