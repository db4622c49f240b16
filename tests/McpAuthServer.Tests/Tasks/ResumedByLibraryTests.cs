using System.Text.Json;
using McpAuth.Client;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Delegation;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Tasks;

/// <summary>Resumable tasks as a program has them that uses the library: begun by one instance, gone on with by the next.</summary>
public sealed class ResumedByLibraryTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Invariant", "3")]
    public async Task OwnTask_WhoseInstanceEnded_IsGoneOnWithByTheNextInstanceOfTheAgentAlone()
    {
        var s = await server.ScenarioAsync(o => o.FurtherAgents = 1);
        var guard = await TestGuard.OfAsync(s);
        string id, left, token;
        await using (var first = await AttestAsync(s.Agent))
        {
            var task = await first.BeginTask("count", Details(s), resumable: true);
            Assert.True(task.View.Resumable);
            (id, left) = (task.Id, (await (await first.BeginTask("count", Details(s))).GetToken(s.Resource)).Value);
            token = (await task.GetToken(s.Resource)).Value;
            Assert.True(await guard.IsActiveAsync(token));
        }
        // The session ended without a word about its tasks: one waits, the other failed.
        Assert.Equal("suspended", (await server.TextsAsync($"select state from tasks where id = '{id}'"))[0]);
        Assert.False(await guard.IsActiveAsync(token) || await guard.IsActiveAsync(left));

        await using (var other = await AttestAsync(s.Agents[1]))
            Assert.Equal(404, (await Assert.ThrowsAsync<OAuthErrorException>(() => other.ResumeTask(id))).Status);
        await using var second = await AttestAsync(s.Agent);
        await using var resumed = await second.ResumeTask(id, "a new copy");

        Assert.Equal(("active", "count", id), (resumed.View.State, resumed.View.Purpose, resumed.Id));
        Assert.Equal(second.Instance, (await server.TextsAsync($"select instance_id from tasks where id = '{id}'"))[0]);
        Assert.True(await guard.IsActiveAsync((await resumed.GetToken(s.Resource)).Value));
        Assert.False(await guard.IsActiveAsync(token));
        await resumed.Complete();
        Assert.Equal(Names.Reasons.TaskEnded, (await Assert.ThrowsAsync<OAuthErrorException>(() => second.ResumeTask(id))).Reason);
    }

    [Fact]
    [Trait("Invariant", "3")]
    public async Task TaskForAPerson_GoesOnForThatPersonWithinWhatTheyAllowed()
    {
        var s = await server.ScenarioAsync();
        var person = new PersonFlow(s);
        string id;
        await using (var first = await AttestAsync(s.Agent))
        {
            var question = await first.AskPerson(new Uri(s.RedirectUri), "sort", Details(s, "list_files", "read_file"));
            var (_, location) = await person.AnswerAsync(question.Address.Query[1..], $"{s.Resource} tool:list_files");
            await using var task = await question.BeginTask(new Uri(location!), resumable: true);
            id = task.Id;
            await task.GetToken(s.Resource);
        }
        // Disposed before its session: suspended, not failed.
        Assert.Equal(AuditTypes.TaskSuspended, (await server.EventsAsync($"task = '{id}'"))[^1].Type);

        await using var second = await AttestAsync(s.Agent);
        await using var resumed = await second.ResumeTask(id);
        var token = await resumed.GetToken(s.Resource);

        var claims = Answers.Claims(token.Value);
        Assert.Equal((s.User, s.Agent.Id, "tool:read_file", second.Instance), (
            claims.GetProperty("sub").GetString(), claims.GetProperty("act").GetProperty("sub").GetString(), token.Scope, claims.GetProperty("agent_ctx").GetProperty("instance").GetString()));
    }

    [Fact]
    [Trait("Invariant", "12")]
    public async Task TaskThatAPersonStopped_IsNotGoneOnWith()
    {
        var s = await server.ScenarioAsync();
        string id;
        await using (var first = await AttestAsync(s.Agent))
            id = (await first.BeginTask("count", Details(s), resumable: true)).Id;
        var stop = new SuspendOrResumeTask(id, suspend: true, null, new Initiator(null, null, null, Rank.User, s.User), null, server.Time.GetUtcNow(), "test");
        Assert.True((await server.Services.GetRequiredService<ICommitLog>().Commit(stop)).Applied);
        await using var second = await AttestAsync(s.Agent);
        Assert.Equal(Names.Reasons.ActorUnauthorized, (await Assert.ThrowsAsync<OAuthErrorException>(() => second.ResumeTask(id))).Reason);
    }

    [Fact]
    public async Task OwnTask_OnlyDisposed_IsTheNextCopysAndOutlivesTheFirst()
    {
        var s = await server.ScenarioAsync();
        await using var first = await AttestAsync(s.Agent);
        await using var second = await AttestAsync(s.Agent);
        var left = await first.BeginTask("count", Details(s), resumable: true);
        var stale = await first.OpenTask(left.Id);
        Assert.Equal(Names.Reasons.HeldByAnother, (await Assert.ThrowsAsync<OAuthErrorException>(() => second.ResumeTask(left.Id))).Reason);
        await left.DisposeAsync();

        await using var resumed = await second.ResumeTask(left.Id);

        // Neither what the first copy forgot to dispose nor its end stops the second one.
        await stale.DisposeAsync();
        Assert.Equal(Names.Reasons.HeldByAnother, (await Assert.ThrowsAsync<OAuthErrorException>(() => stale.Complete())).Reason);
        await first.EndAsync();
        Assert.Equal("active", (await server.TextsAsync($"select state from tasks where id = '{left.Id}'"))[0]);
        Assert.True(await (await TestGuard.OfAsync(s)).IsActiveAsync((await resumed.GetToken(s.Resource)).Value));
        Assert.Equal("completed", (await resumed.Complete()).State);
    }

    [Fact]
    public async Task TaskForAPerson_OnlyDisposed_GivesTheNextCopyItsTokens()
    {
        var s = await server.ScenarioAsync();
        await using var first = await AttestAsync(s.Agent);
        await using var second = await AttestAsync(s.Agent);
        var question = await first.AskPerson(new Uri(s.RedirectUri), "sort", Details(s, "list_files", "read_file"));
        var (_, location) = await new PersonFlow(s).AnswerAsync(question.Address.Query[1..]);
        string id;
        await using (var task = await question.BeginTask(new Uri(location!), resumable: true))
            id = task.Id;

        await using var resumed = await second.ResumeTask(id);

        var token = await resumed.GetToken(s.Resource);
        Assert.Equal(second.Instance, Answers.Claims(token.Value).GetProperty("agent_ctx").GetProperty("instance").GetString());
        Assert.True(await (await TestGuard.OfAsync(s)).IsActiveAsync(token.Value));
    }

    [Fact]
    public async Task TaskForAPerson_WhoseToolWasRetiredSinceTheAnswer_IsResumableWithoutIt()
    {
        var s = await server.ScenarioAsync();
        await using var first = await AttestAsync(s.Agent);
        var question = await first.AskPerson(new Uri(s.RedirectUri), "sort", Details(s, "list_files", "read_file"));
        var (_, location) = await new PersonFlow(s).AnswerAsync(question.Address.Query[1..]);
        s.File["tool_servers"]![0]!["tools"]![0]!["state"] = "retired";
        await server.ApplyAsync(s.File.ToJsonString());

        await using var task = await question.BeginTask(new Uri(location!), resumable: true);

        Assert.True(task.View.Resumable);
        Assert.Equal("tool:read_file", (await task.GetToken(s.Resource)).Scope);
        // So for the copy that goes on with it.
        await task.Suspend();
        await using var second = await AttestAsync(s.Agent);
        await using var resumed = await second.ResumeTask(task.Id);
        Assert.Equal("tool:read_file", (await resumed.GetToken(s.Resource)).Scope);
    }

    private Task<AgentSession> AttestAsync(TestAgent agent) => AgentSession.AttestAsync(
        TestServer.Issuer, ClientAuthentication.PrivateKeyJwt(agent.ClientId, agent.ClientKey), options: new ConnectionOptions { Handler = server.Handler(), Time = server.Time });

    private static JsonElement Details(Scenario s, params string[] tools) => JsonElement.Parse(s.Details(tools.Length == 0 ? ["read_file"] : tools).ToJsonString());
}
