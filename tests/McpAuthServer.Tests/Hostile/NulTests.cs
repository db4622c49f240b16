using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Testing;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Approvals;
using McpAuthServer.Tests.AuthZen;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Hostile;

/// <summary>U+0000 is a character of JSON that PostgreSQL stores in no text: what names nothing is no failure of the store, and is answered the same whatever the store.</summary>
public abstract class NulSuite
{
    protected abstract TestServer Server { get; }

    [SuiteFact]
    public async Task Nul_InWhatIsLookedUp_IsAnAnswer_AndNoFailure()
    {
        var w = await ApprovalWorld.OfAsync(Server);
        await w.Policies.ActivateAsync("permit(principal, action, resource);");
        w.Hash = (await w.Policies.FetchAsync()).Hash;
        var question = w.Policies.Question(w.S.User, "read_file", """{"path":"/a"}""");
        question["subject"]!["id"] = "usr_\0";
        var task = w.Policies.Question(w.S.User, "read_file", """{"path":"/a"}""", """{"task":"tsk_\u0000"}""");
        var answers = new List<(string, HttpStatusCode)>
        {
            ("evaluation subject", (await w.Policies.AskAsGuardAsync(Names.Paths.AccessEvaluation, question)).StatusCode),
            ("evaluation task", (await w.Policies.AskAsGuardAsync(Names.Paths.AccessEvaluation, task)).StatusCode),
            ("approval jti", (await w.HoldRawAsync(w.Body(jti: "at_\0"))).StatusCode),
            ("approval decision", (await w.HoldRawAsync(w.Body(decision: "dec_\0"))).StatusCode),
            ("approval policy", (await w.HoldRawAsync(w.Body(arguments: """{"path":"/n"}""", change: b => b["policy_hash"] = "sha-256:\0"))).StatusCode),
            ("budget jti", (await w.Guard.CallAsync(Names.Paths.GuardBudgets, new JsonObject { ["jti"] = "\0", ["tool"] = "read_file", ["calls"] = 1 })).StatusCode),
            ("stream", (await w.Guard.PollRawAsync("str_\0", 0)).StatusCode),
            ("admin filter", (await w.Policies.Ops.SendAsync(HttpMethod.Get, "/approvals?task=%00", null)).StatusCode),
            ("admin revoke", (await w.Policies.Ops.SendAsync(HttpMethod.Post, "/revocations", new JsonObject { ["level"] = "task", ["id"] = "tsk_\0", ["reason"] = "x" })).StatusCode),
            ("draft", (await w.Policies.Ops.SendAsync(HttpMethod.Post, $"/tool-servers/{w.S.ToolServer}/policies", new JsonObject { ["policies"] = "permit(principal, action, resource);", ["note"] = "a\0b" })).StatusCode),
            ("draft text", (await w.Policies.Ops.SendAsync(HttpMethod.Post, $"/tool-servers/{w.S.ToolServer}/policies", new JsonObject { ["policies"] = "// \0\npermit(principal, action, resource);" })).StatusCode),
        };
        var e = w.Guard.Event("at_\0");
        answers.Add(("audit jti", (await w.Guard.CallAsync(Names.Paths.GuardAudit, new JsonObject { ["entries"] = new JsonArray(w.Guard.Spool(e)) })).StatusCode));
        Assert.Equal([], answers.Where(a => a.Item2 != HttpStatusCode.BadRequest));
        // Whoever sends it does not fill the log.
        Assert.DoesNotContain(Server.Logs.Lines, line => line.Contains(nameof(UnstorableTextException), StringComparison.Ordinal));
    }
}

public sealed class NulOnSqliteTests(TestServer server) : NulSuite, IClassFixture<TestServer>
{
    protected override TestServer Server => server;
}

[NeedsPostgres]
public sealed class NulOnPostgresTests(PostgresServer postgres) : NulSuite, IClassFixture<PostgresServer>
{
    protected override TestServer Server => postgres.Server;
}
