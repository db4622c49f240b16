using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Approvals;

/// <summary>A person's yes is to one exact call, for one decision, at whatever node it is asked for.</summary>
public abstract class ApprovalSuite
{
    protected abstract TestServer Server { get; }

    private protected virtual Task<TestServer> AnotherAsync() => Task.FromResult(Server);

    [SuiteFact]
    public async Task Approval_AskedApprovedAndUsed_TellsItsStory()
    {
        var w = await ApprovalWorld.OfAsync(Server);
        string first = Id.New(Id.Decision, Server.Time.GetUtcNow()), second = Id.New(Id.Decision, Server.Time.GetUtcNow());
        var asked = await w.HoldAsync(decision: first);
        Assert.Equal((ApprovalStates.Waiting, $"{TestServer.Issuer}/approvals/{asked.Id}", 600, true), (asked.State, asked.Url, asked.ExpiresIn, asked.Own));
        Assert.Equal(asked.Id, (await w.HoldAsync()).Id);
        Assert.True((await w.StateAsync(asked.Id!)).Sealed);

        Assert.Equal(Names.Paths.AccountAnswered, (await ApprovalWorld.AnswerAsync(await w.BrowserAsync(), asked.Id!)).Location);
        Assert.Equal(("approved", false), await w.StateAsync(asked.Id!));

        var used = await w.HoldAsync(decision: second);
        Assert.Equal((ApprovalStates.Used, asked.Id, w.S.User, Server.Time.GetUtcNow().ToUnixTimeMilliseconds()), (used.State, used.Id, used.By, used.At));
        var another = await w.HoldAsync();
        Assert.Equal(ApprovalStates.Waiting, another.State);
        Assert.NotEqual(asked.Id, another.Id);

        var told = (await w.EventsAsync()).Where(e => e.Approval == asked.Id).ToList();
        Assert.Equal([AuditTypes.ApprovalAsked, AuditTypes.ApprovalApproved, AuditTypes.ApprovalUsed], told.Select(e => e.Type));
        Assert.Equal([first, told[0].Id, second], told.Select(e => e.Cause));
        Assert.All(told, e => Assert.Equal(
            (w.S.User, w.S.Agent.Id, w.S.Agent.Instance, w.Task, w.S.Resource, ApprovalWorld.Tool, w.Hash), (e.User, e.Agent, e.Instance, e.Task, e.Resource, e.Tool, e.PolicyHash)));
        Assert.All(told.Skip(1), e => Assert.Equal(w.S.User, (string?)e.Data!["by"]));
    }

    [SuiteFact]
    [Trait("Invariant", "11")]
    public async Task OneYes_TwentyRetriesAtOnce_AtTwoNodes_IsUsedByExactlyOne()
    {
        var (w, other) = (await ApprovalWorld.OfAsync(Server), await AnotherAsync());
        var id = await w.ApprovedAsync();
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => w.HoldAsync(at: i % 2 == 0 ? Server : other))).WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal(id, Assert.Single(answers, a => a.State == ApprovalStates.Used).Id);
        // The others wait for one new answer, all for the same.
        var waiting = Assert.Single(answers.Where(a => a.State != ApprovalStates.Used).Select(IdOf).Distinct());
        Assert.Equal((ApprovalStates.Waiting, true), (waiting.Item1, waiting.Item2 != id));
        Assert.Single((await w.EventsAsync()), e => e.Type == AuditTypes.ApprovalUsed);
    }

    /// <summary>The guard did not hear the answer: the decision is the same, so the call still runs once.</summary>
    [SuiteFact]
    public async Task Guard_ThatAsksAgainForTheSameDecision_GetsTheSameAnswer()
    {
        var w = await ApprovalWorld.OfAsync(Server);
        var id = await w.ApprovedAsync();
        var decision = Id.New(Id.Decision, Server.Time.GetUtcNow());
        for (var i = 0; i < 2; i++)
            Assert.Equal((ApprovalStates.Used, id), IdOf(await w.HoldAsync(decision: decision)));
        Assert.Equal(ApprovalStates.Waiting, (await w.HoldAsync("""{"path":"/other"}""", decision: decision)).State);
        Assert.Single(await w.EventsAsync(), e => e.Type == AuditTypes.ApprovalUsed);
    }

    [SuiteFact]
    public async Task AnythingElse_ThanWhatWasApproved_NeedsAnAnswerOfItsOwn()
    {
        var w = await ApprovalWorld.OfAsync(Server);
        var id = await w.ApprovedAsync();
        var other = await w.WorkAsync("Something else");
        await w.S.Agent.RenewKeyAsync();
        var instance = await w.WorkAsync("A third thing");

        var answers = new[]
        {
            await w.HoldAsync("""{"path":"/a/b "}"""),
            await w.HoldAsync("""{"path":"/a/b","size":1}"""),
            await w.HoldAsync(change: b => b["policy_hash"] = "sha-256:other"),
            await w.HoldAsync(jti: ApprovalWorld.JtiOf(other)),
            await w.HoldAsync(jti: ApprovalWorld.JtiOf(instance)),
        };
        Assert.All(answers, a => Assert.Equal((ApprovalStates.Waiting, true), (a.State, a.Id != id)));
        Assert.Equal(answers.Length, answers.Select(a => a.Id).Distinct().Count());
        Assert.Equal((ApprovalStates.Refused, Names.Denials.ToolDrifted), ReasonOf(await w.HoldAsync(change: b => b["def_digest"] = "sha-256:other")));
        Assert.Equal(("approved", false), await w.StateAsync(id));
        // And what was approved still is.
        Assert.Equal((ApprovalStates.Used, id), IdOf(await w.HoldAsync()));
    }

    [SuiteFact]
    public async Task Binding_IsToTheInstance_AlsoWithinOneTask()
    {
        var w = await ApprovalWorld.OfAsync(Server);
        var task = await w.S.Agent.BeginTaskAsync(ApprovalWorld.Tool);
        await w.Policies.ActivateAsync($$"""
            permit(principal, action, resource);
            permit(principal == Mcp::User::"{{w.S.User}}", action == Mcp::Action::"approval:give", resource);
            """);
        w.Hash = (await w.Policies.FetchAsync()).Hash;
        var first = await w.S.Agent.TaskTokenAsync(task, ApprovalWorld.Tool);
        var id = await w.AskAsync(jti: ApprovalWorld.JtiOf(first));
        await ApprovalWorld.AnswerAsync(await w.BrowserAsync(), id);
        await w.S.Agent.RenewKeyAsync();
        var second = await w.S.Agent.TaskTokenAsync(task, ApprovalWorld.Tool);
        Assert.Equal(task, ApprovalWorld.TaskOf(second));
        var answer = await w.HoldAsync(jti: ApprovalWorld.JtiOf(second));
        Assert.Equal((ApprovalStates.Waiting, true), (answer.State, answer.Id != id));
        Assert.Equal(ApprovalStates.Used, (await w.HoldAsync(jti: ApprovalWorld.JtiOf(first))).State);
    }

    /// <summary>A token lives five minutes, a person may take ten.</summary>
    [SuiteFact]
    public async Task Retry_WithAFreshTokenOfTheSameWork_UsesTheYes()
    {
        var w = await ApprovalWorld.OfAsync(Server);
        var id = await w.AskAsync();
        Server.Time.Advance(TimeSpan.FromMinutes(6));
        await w.Guard.AuthenticateAsync();
        var form = w.S.Agent.AssertionForm();
        (form["grant_type"], form["refresh_token"]) = ("refresh_token", w.Token.RefreshToken!);
        var fresh = await (await w.S.Agent.PostFormAsync(Names.Paths.Token, form)).ReadAsync(ProtocolJson.Default.TokenResponse);
        Assert.NotEqual(w.Jti, ApprovalWorld.JtiOf(fresh));
        Assert.Equal(id, (await w.HoldAsync(jti: ApprovalWorld.JtiOf(fresh))).Id);
        await ApprovalWorld.AnswerAsync(await w.BrowserAsync(), id);
        Assert.Equal((ApprovalStates.Used, id), IdOf(await w.HoldAsync(jti: ApprovalWorld.JtiOf(fresh))));
    }

    [SuiteFact]
    public async Task Approval_AfterTenMinutes_IsOver_AnsweredOrNot()
    {
        var w = await ApprovalWorld.OfAsync(Server);
        string waiting = await w.AskAsync("""{"path":"/never"}"""), approved = await w.ApprovedAsync();
        var browser = await w.BrowserAsync();
        var page = await browser.GetAsync(ApprovalWorld.Path(waiting));
        Server.Time.Advance(Limits.Approval);
        await w.Guard.AuthenticateAsync();
        Assert.Equal(HttpStatusCode.NotFound, (await browser.PostFormAsync(page, new() { ["decision"] = "approve" })).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await browser.GetAsync(ApprovalWorld.Path(waiting))).Status);
        var again = await w.HoldAsync();
        Assert.Equal((ApprovalStates.Waiting, true), (again.State, again.Id != approved));
        await w.SweepAsync();
        Assert.Equal((("expired", false), ("expired", false)), (await w.StateAsync(waiting), await w.StateAsync(approved)));
        var told = (await w.EventsAsync()).Where(e => e.Type == AuditTypes.ApprovalExpired).ToList();
        Assert.Equal(["not_answered", "not_used"], told.Select(e => e.Reason).Order(StringComparer.Ordinal));
    }

    [SuiteFact]
    public async Task No_IsHeard_AndTheSameIsNotAskedAgainForAWhile()
    {
        var w = await ApprovalWorld.OfAsync(Server);
        var id = await w.AskAsync();
        Assert.Equal(HttpStatusCode.SeeOther, (await ApprovalWorld.AnswerAsync(await w.BrowserAsync(), id, "refuse")).Status);
        Assert.Equal(("refused", false), await w.StateAsync(id));
        Assert.Equal((ApprovalStates.Refused, Names.Reasons.DeniedLately), ReasonOf(await w.HoldAsync()));
        Assert.Equal(ApprovalStates.Waiting, (await w.HoldAsync("""{"path":"/another"}""")).State);
        Server.Time.Advance(Limits.Approval);
        await w.Guard.AuthenticateAsync();
        Assert.NotEqual(id, await w.AskAsync());
        var no = Assert.Single(await w.EventsAsync(), e => e.Type == AuditTypes.ApprovalRefused);
        Assert.Equal((w.S.User, id, "refused_by_person"), ((string?)no.Data!["by"], no.Approval, no.Reason));
    }

    [SuiteFact]
    public async Task SixthCallOfATask_IsNotAskedAbout()
    {
        var w = await ApprovalWorld.OfAsync(Server);
        var asked = new List<string>();
        for (var i = 0; i < Limits.ApprovalsWaiting; i++)
            asked.Add(await w.AskAsync($$"""{"path":"/{{i}}"}"""));
        Assert.Equal((ApprovalStates.Refused, Names.Reasons.TooManyWaiting), ReasonOf(await w.HoldAsync()));
        Assert.Equal(Names.Reasons.TooManyWaiting, Assert.Single(await w.EventsAsync(), e => e.Type == AuditTypes.ApprovalNotAsked).Reason);
        Assert.Equal(ApprovalStates.Waiting, (await w.HoldAsync(jti: ApprovalWorld.JtiOf(await w.WorkAsync("Another task")))).State);
        await ApprovalWorld.AnswerAsync(await w.BrowserAsync(), asked[0]);
        await w.AskAsync();
    }

    [SuiteFact]
    public async Task SixCallsAtOnce_AtTwoNodes_AreFiveQuestions()
    {
        var (w, other) = (await ApprovalWorld.OfAsync(Server), await AnotherAsync());
        var answers = await Task.WhenAll(Enumerable.Range(0, 12).Select(i => w.HoldAsync($$"""{"path":"/{{i}}"}""", at: i % 2 == 0 ? Server : other)));
        Assert.Equal((5, 7), (answers.Count(a => a.State == ApprovalStates.Waiting), answers.Count(a => a.Reason == Names.Reasons.TooManyWaiting)));
    }

    [SuiteFact]
    public async Task WorkThatEnds_TakesItsApprovalsWithIt()
    {
        foreach (var what in new[] { "task", "instance", "user" })
            await EndAsync(what);
    }

    private async Task EndAsync(string what)
    {
        var w = await ApprovalWorld.OfAsync(Server);
        string waiting = await w.AskAsync("""{"path":"/w"}"""), approved = await w.ApprovedAsync();
        var browser = await w.BrowserAsync();
        var page = await browser.GetAsync(ApprovalWorld.Path(waiting));
        await w.Policies.Ops.SendAsync(HttpMethod.Post, "/revocations", new JsonObject
        {
            ["level"] = what, ["id"] = what switch { "task" => w.Task, "instance" => w.S.Agent.Instance!, _ => w.S.User }, ["reason"] = "enough",
        });
        Assert.Equal((ApprovalStates.Refused, Names.Reasons.TaskEnded), ReasonOf(await w.HoldAsync()));
        Assert.NotEqual(Names.Paths.AccountAnswered, (await browser.PostFormAsync(page, new() { ["decision"] = "approve" })).Location);
        await w.SweepAsync();
        Assert.Equal((("ended", false), ("ended", false)), (await w.StateAsync(waiting), await w.StateAsync(approved)));
        Assert.Equal(2, (await w.EventsAsync()).Count(e => e.Type == AuditTypes.ApprovalEnded));
    }

    [SuiteFact]
    public async Task TaskThatIsSuspended_CanUseNoYes_UntilItGoesOn()
    {
        var w = await ApprovalWorld.OfAsync(Server);
        await w.ApprovedAsync();
        await w.Policies.Ops.SendAsync(HttpMethod.Post, $"/tasks/{w.Task}/suspend", new JsonObject { ["reason"] = "looking" });
        Assert.Equal(ApprovalStates.Refused, (await w.HoldAsync()).State);
        await w.SweepAsync();
        await w.Policies.Ops.SendAsync(HttpMethod.Post, $"/tasks/{w.Task}/resume", new JsonObject { ["reason"] = "fine" });
        Assert.Equal(ApprovalStates.Used, (await w.HoldAsync()).State);
    }

    [SuiteFact]
    public async Task AnswersAtOnce_AtTwoNodes_CountOnce()
    {
        var (w, other) = (await ApprovalWorld.OfAsync(Server), await AnotherAsync());
        var id = await w.AskAsync();
        var pages = new List<(TestBrowser Browser, TestPage Page)>();
        for (var i = 0; i < 8; i++)
        {
            var browser = await w.BrowserAsync(at: i % 2 == 0 ? Server : other);
            pages.Add((browser, await browser.GetAsync(ApprovalWorld.Path(id))));
        }
        var answers = await Task.WhenAll(pages.Select((p, i) => p.Browser.PostFormAsync(p.Page, new() { ["decision"] = i % 2 == 0 ? "approve" : "refuse" })));
        Assert.Single(answers, a => a.Status == HttpStatusCode.SeeOther);
        Assert.Single(await w.EventsAsync(), e => e.Type is AuditTypes.ApprovalApproved or AuditTypes.ApprovalRefused && e.Approval == id);
    }

    [SuiteFact]
    public async Task Guard_OfWhichTheWordIsWrong_GetsNothing()
    {
        ApprovalWorld w = await ApprovalWorld.OfAsync(Server), other = await ApprovalWorld.OfAsync(Server);
        var before = await Server.ScalarAsync("select count(*) from approvals");
        foreach (var (jti, reason) in new[] { (other.Jti, Names.Reasons.Foreign), (w.Guard.Id, Names.Reasons.Foreign), ("at_none", Names.Reasons.Foreign) })
            Assert.Equal((ApprovalStates.Refused, reason), ReasonOf(await w.HoldAsync(jti: jti)));
        foreach (var change in new Action<JsonObject>[]
                 {
                     b => b["args_digest"] = "v1:AAAA",
                     b => b["arguments"] = w.Body("""{"path":"/shown"}""")["arguments"]!.DeepClone(),
                     b => b["decision"] = Id.New(Id.Decision, Server.Time.GetUtcNow()),
                     b => b["decision"] = "evt_1",
                     b => b["arguments"] = new SealedRequest(w.Guard.Enrolled.ArgsKey).Seal((string)b["decision"]!, "{}"u8),
                     b => Sealed(w, b, """{ "path":"/a/b"}"""),
                     b => Sealed(w, b, """["/a/b"]"""),
                 })
            await (await w.HoldRawAsync(w.Body(change: change))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
        Assert.Equal(before, await Server.ScalarAsync("select count(*) from approvals"));
    }

    private static (string, string?) IdOf(ApprovalResponse answer) => (answer.State, answer.Id);

    private static (string, string?) ReasonOf(ApprovalResponse answer) => (answer.State, answer.Reason);

    /// <summary>What is shown must be what has the digest, to the byte.</summary>
    private static void Sealed(ApprovalWorld w, JsonObject body, string arguments)
    {
        var bytes = System.Text.Encoding.UTF8.GetBytes(arguments);
        body["args_digest"] = new ArgumentDigest(w.Guard.Enrolled.ArgsKey).Of(bytes);
        body["arguments"] = new SealedRequest(w.Guard.Enrolled.ArgsKey, SealedRequest.ForApproval).Seal((string)body["decision"]!, bytes);
    }

    [SuiteFact]
    public async Task Record_OfADecision_NamesTheYesItUsed_AndNoOther()
    {
        var w = await ApprovalWorld.OfAsync(Server);
        var id = await w.ApprovedAsync();
        JsonObject used = w.Guard.Event(w.Jti), lying = w.Guard.Event(w.Jti);
        await w.HoldAsync(decision: (string)used["id"]!);
        (used["approval"], lying["approval"]) = (id, id);
        await w.Guard.DeliverAsync(w.Guard.Spool(used), w.Guard.Spool(lying));
        var told = await Server.EventsAsync($"type = 'call.decided' and jti = '{w.Jti}'");
        Assert.Equal([id, null], told.Select(e => e.Approval));
        Assert.Single(await Server.EventsAsync("type = 'guard.refused'"), e => e.Reason == "unknown_approval" && e.Client == w.Guard.Id);
    }
}

public sealed class ApprovalOnSqliteTests(TestServer server) : ApprovalSuite, IClassFixture<TestServer>
{
    protected override TestServer Server => server;
}

[NeedsPostgres]
public sealed class ApprovalOnPostgresTests(PostgresServer postgres) : ApprovalSuite, IClassFixture<PostgresServer>
{
    protected override TestServer Server => postgres.Server;

    private protected override Task<TestServer> AnotherAsync() => postgres.AnotherAsync();
}
