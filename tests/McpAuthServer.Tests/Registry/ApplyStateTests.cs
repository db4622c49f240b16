using McpAuth.Protocol.Audit;
using McpAuthServer.Registry;

namespace McpAuthServer.Tests.Registry;

/// <summary>Suspending, retiring, disabling and their reversal by an apply file, as guards hear of it.</summary>
public sealed class ApplyStateTests : IAsyncLifetime
{
    private RegistryHarness registry = null!;

    public async Task InitializeAsync()
    {
        registry = await RegistryHarness.Create();
        await registry.Applied(ApplyFile.Full().With("agents[0].state", null).With("clients[0].state", null).With("users[0].enabled", null));
    }

    public async Task DisposeAsync() => await registry.DisposeAsync();

    [Theory]
    [InlineData("agents[0].state", "\"suspended\"", "admin.agent_suspended", "agent|agt_refunds|deny|agent_suspended|null")]
    [InlineData("agents[0].state", "\"retired\"", "admin.agent_retired", "agent|agt_refunds|deny|agent_suspended|null")]
    [InlineData("clients[0].state", "\"suspended\"", "admin.client_suspended", "client|refunds-client|deny|revoked|null")]
    [InlineData("clients[0].state", "\"retired\"", "admin.client_retired", "client|refunds-client|deny|revoked|null")]
    [InlineData("users[0].enabled", "false", "admin.user_disabled", "user|usr_ada|deny|user_disabled|1795348800")]
    public async Task Apply_Stopped_IsDeniedInTheFeedAndAudited(string place, string json, string type, string feed)
    {
        var events = await registry.EventsOf(async () => Assert.Equal(1, await registry.Applied(ApplyFile.With(place, json))));

        Assert.Equal([feed], await registry.Query("select kind, subject, op, reason, before from revocations"));
        Assert.Equal([AuditTypes.AdminChanged, type, AuditTypes.AdminApplied], events.Select(e => e.Type));
        Assert.Equal(feed.Split('|')[1], (string)events[1].Data!["id"]!);
    }

    [Fact]
    public async Task Apply_SuspendedAgent_IsNoLongerActiveInTheSnapshotOfThatVersion()
    {
        var before = await registry.Snapshot();
        await registry.Applied(ApplyFile.With("agents[0].state", "\"suspended\""));

        var after = await registry.Snapshot();
        Assert.True(before.Agents["agt_refunds"].Active);
        Assert.Equal(("suspended", false, before.Version + 1), (after.Agents["agt_refunds"].State, after.Agents["agt_refunds"].Active, after.Version));
    }

    [Theory]
    [InlineData("agents[0].state", "\"suspended\"")]
    [InlineData("clients[0].state", "\"suspended\"")]
    [InlineData("users[0].enabled", "false")]
    public async Task Apply_FileWithoutState_LiftsNoSuspension(string place, string json)
    {
        await registry.Applied(ApplyFile.With(place, json));
        var before = await registry.Dump();

        Assert.Equal(0, await registry.Applied(ApplyFile.With(place, null)));
        Assert.Equal(before, await registry.Dump());
    }

    [Fact]
    public async Task Apply_AgentActiveAgain_LiftsTheDenial()
    {
        await registry.Applied(ApplyFile.With("agents[0].state", "\"suspended\""));
        var events = await registry.EventsOf(() => registry.Applied(ApplyFile.With("agents[0].state", "\"active\"")));

        Assert.Equal(["deny", "lift"], await registry.Query("select op from revocations where kind = 'agent' and subject = 'agt_refunds' order by seq"));
        Assert.Contains(AuditTypes.AgentResumed, events.Select(e => e.Type));
    }

    [Fact]
    public async Task Apply_ClientActiveAgain_LiftsTheDenial()
    {
        await registry.Applied(ApplyFile.With("clients[0].state", "\"suspended\""));
        var events = await registry.EventsOf(() => registry.Applied(ApplyFile.Full()));

        Assert.Equal(["deny", "lift"], await registry.Query("select op from revocations where kind = 'client' and subject = 'refunds-client' order by seq"));
        Assert.Contains(AuditTypes.ClientResumed, events.Select(e => e.Type));
    }

    [Fact]
    public async Task Apply_UserEnabledAgain_BringsBackNoOldToken()
    {
        await registry.Applied(ApplyFile.With("users[0].enabled", "false"));
        registry.Time.Advance(TimeSpan.FromSeconds(5));
        var events = await registry.EventsOf(() => registry.Applied(ApplyFile.With("users[0].enabled", "true")));

        // What was issued up to the moment of disabling stays denied; what is issued now is after it.
        Assert.Equal(["deny|1795348800"], await registry.Query("select op, before from revocations"));
        Assert.Contains(AuditTypes.UserEnabled, events.Select(e => e.Type));
        Assert.Equal(["1"], await registry.Query("select enabled from users where id = 'usr_ada'"));
    }

    [Fact]
    public async Task Apply_SuspendedThenRetired_IsDeniedOnce()
    {
        await registry.Applied(ApplyFile.With("agents[0].state", "\"suspended\""));
        var events = await registry.EventsOf(() => registry.Applied(ApplyFile.With("agents[0].state", "\"retired\"")));

        Assert.Equal(["deny"], await registry.Query("select op from revocations"));
        Assert.Contains(AuditTypes.AgentRetired, events.Select(e => e.Type));
    }

    [Fact]
    public async Task Apply_CreatedSuspended_NeedsNoDenial()
    {
        await registry.Applied(ApplyFile.With("agents[2]", """{"id":"agt_late","name":"Late","owner":"usr_ada","purpose":"p","ceiling":[],"state":"suspended"}"""));

        Assert.Empty(await registry.Query("select op from revocations"));
        Assert.Equal(RegistryState.Suspended, (await registry.Snapshot()).Agents["agt_late"].State);
    }

    [Fact]
    public async Task Apply_RefusedFileThatSuspends_SuspendsNobody()
    {
        var outcome = await registry.File(ApplyFile.With("agents[0].state", "\"suspended\"").With("agents[1].owner", "\"usr_nobody\""));

        Assert.False(outcome.Applied);
        Assert.Empty(await registry.Query("select op from revocations"));
        Assert.True((await registry.Snapshot()).Agents["agt_refunds"].Active);
    }

    [Fact]
    public async Task Apply_ToolServerSuspended_IsInactive()
    {
        await registry.Applied(ApplyFile.With("tool_servers[0].state", "\"suspended\""));

        Assert.False((await registry.Snapshot()).ToolServers["srv_files"].Active);
    }
}
