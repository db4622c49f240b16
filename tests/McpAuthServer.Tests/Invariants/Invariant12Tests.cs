using System.Net;
using McpAuth.Protocol;
using McpAuthServer.Authorizations;
using McpAuthServer.Delegation;
using McpAuthServer.Registry;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Invariants;

/// <summary>12. A person's stop is a person's to lift.</summary>
public sealed class Invariant12Tests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Spec", "Invariant-12")]
    public async Task Invariant12_WhatAPersonSuspended_NoAgentResumesAndNoTokenIsRenewed()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var work = await s.Agent.TakeOverAsync((await new PersonFlow(s).DelegateAsync("p", "read_file")).AccessToken);
        await MoveAsync(s, new SuspendOrResumeTask(work.Task(), suspend: true, null, Person(s), null, server.Time.GetUtcNow(), "test"));

        using var resumed = await s.Agent.CallAsync(HttpMethod.Post, $"{Names.Paths.Tasks}/{work.Task()}/resume");
        Assert.Equal(HttpStatusCode.Conflict, resumed.StatusCode);
        await (await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(work.AccessToken))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.TaskSuspended);

        await MoveAsync(s, new SuspendOrResumeTask(work.Task(), suspend: false, null, Person(s), null, server.Time.GetUtcNow(), "test"));
        Assert.True((await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(work.AccessToken))).IsSuccessStatusCode);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    [Trait("Spec", "Invariant-12")]
    public async Task Invariant12_WhatAPersonEnded_ARememberedConsentDoesNotRestore(bool delegation)
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var flow = new PersonFlow(s);
        var query = delegation ? s.AuthorizeQuery("p", "read_file") : s.AuthorizeQuery();
        var task = delegation ? (await s.Agent.TakeOverAsync((await flow.DelegateAsync(query)).AccessToken)).Task() : (await flow.RedeemAsync(await flow.CodeAsync(query))).Task();
        Assert.True(await AnswersAsync(s, query), "the consent is remembered");

        await MoveAsync(s, new EndTask(task, TaskState.Revoked, "ended_by_person", Person(s), null, server.Time.GetUtcNow(), "test"));

        Assert.False(await AnswersAsync(s, query), "the person is asked again");
    }

    [Fact]
    [Trait("Spec", "Invariant-12")]
    public async Task Invariant12_WhatTheAgentItselfCompleted_ARememberedConsentMayRepeat()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var flow = new PersonFlow(s);
        var query = s.AuthorizeQuery("p", "read_file");
        var work = await s.Agent.TakeOverAsync((await flow.DelegateAsync(query)).AccessToken);
        using var completed = await s.Agent.CallAsync(HttpMethod.Post, $"{Names.Paths.Tasks}/{work.Task()}/complete");
        Assert.True(completed.IsSuccessStatusCode);

        Assert.True(await AnswersAsync(s, query));
    }

    private static Initiator Person(Scenario s) => new(null, null, null, Rank.User, s.User);

    private static async Task MoveAsync(Scenario s, Unit<Transition> unit) => Assert.True((await s.Server.Services.GetRequiredService<ICommitLog>().Commit(unit)).Applied);

    /// <summary>Whether the request is answered without asking the person.</summary>
    private async Task<bool> AnswersAsync(Scenario s, string query)
    {
        var registry = await server.Services.GetRequiredService<RegistryCache>().Current(default);
        var request = Assert.IsType<ReadRequest.Valid>(await server.Services.GetRequiredService<AuthorizationRequests>().ReadAsync(query, registry, server.Time.GetUtcNow(), default)).Request;
        return await server.Services.GetRequiredService<ConsentStore>().FindFor(s.User, request, default) is { } consent && consent.Answers(request, server.Time.GetUtcNow());
    }
}
