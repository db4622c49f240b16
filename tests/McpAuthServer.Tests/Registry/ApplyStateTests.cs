using McpAuth.Protocol.Audit;
using McpAuth.Testing;
using McpAuthServer.Registry;

namespace McpAuthServer.Tests.Registry;

/// <summary>Suspending, retiring, disabling and their reversal by an apply file, as guards hear of it.</summary>
public abstract class ApplyStateTests : RegistrySuite
{
    private protected override Task Arrange() => Registry.Applied(ApplyFile.Full().With("agents[0].state", null).With("clients[0].state", null).With("users[0].enabled", null));

    [SuiteFact]
    public async Task Apply_Stopped_IsDeniedInTheFeedAndAudited()
    {
        var file = ApplyFile.With("agents[0].state", "\"suspended\"").With("agents[1].state", "\"retired\"")
            .With("clients[0].state", "\"suspended\"").With("clients[1].state", "\"retired\"").With("users[0].enabled", "false");

        var events = await Registry.EventsOf(async () => Assert.Equal(5, await Registry.Applied(file)));

        Assert.Equal(
            ["user|usr_ada|deny|user_disabled|1795348800", "agent|agt_refunds|deny|agent_suspended|null", "agent|agt_reader|deny|agent_suspended|null",
                "client|refunds-client|deny|revoked|null", "client|https://batch.example/job|deny|revoked|null"],
            await Registry.Query("select kind, subject, op, reason, before from revocations order by seq"));
        Assert.Equal(
            ["admin.user_disabled usr_ada", "admin.agent_suspended agt_refunds", "admin.agent_retired agt_reader",
                "admin.client_suspended refunds-client", "admin.client_retired https://batch.example/job"],
            events.Where(e => e.Type is not (AuditTypes.AdminChanged or AuditTypes.AdminApplied)).Select(e => $"{e.Type} {e.Data!["id"]}"));
        Assert.Equal(("agt_refunds", null), Actors(events, AuditTypes.AgentSuspended));
        Assert.Equal((null, "refunds-client"), Actors(events, AuditTypes.ClientSuspended));
        Assert.Equal(5, events.Count(e => e.Type == AuditTypes.AdminChanged));
    }

    [SuiteFact]
    public async Task Apply_SuspendedAgent_IsNoLongerActiveInTheSnapshotOfThatVersion()
    {
        var before = await Registry.Snapshot();
        await Registry.Applied(ApplyFile.With("agents[0].state", "\"suspended\""));

        var after = await Registry.Snapshot();
        Assert.True(before.Agents["agt_refunds"].Active);
        Assert.Equal(("suspended", false, before.Version + 1), (after.Agents["agt_refunds"].State, after.Agents["agt_refunds"].Active, after.Version));
    }

    [SuiteFact]
    public async Task Apply_FileWithoutState_LiftsNoSuspension()
    {
        await Registry.Applied(ApplyFile.With("agents[0].state", "\"suspended\"").With("clients[0].state", "\"suspended\"").With("users[0].enabled", "false"));
        var before = await Registry.Dump();

        Assert.Equal(0, await Registry.Applied(ApplyFile.With("agents[0].state", null).With("clients[0].state", null).With("users[0].enabled", null)));
        Assert.Equal(before, await Registry.Dump());
    }

    [SuiteFact]
    public async Task Apply_AgentActiveAgain_LiftsTheDenial()
    {
        await Registry.Applied(ApplyFile.With("agents[0].state", "\"suspended\""));
        var events = await Registry.EventsOf(() => Registry.Applied(ApplyFile.With("agents[0].state", "\"active\"")));

        Assert.Equal(["deny", "lift"], await Registry.Query("select op from revocations where kind = 'agent' and subject = 'agt_refunds' order by seq"));
        Assert.Contains(AuditTypes.AgentResumed, events.Select(e => e.Type));
    }

    [SuiteFact]
    public async Task Apply_ClientActiveAgain_LiftsTheDenial()
    {
        await Registry.Applied(ApplyFile.With("clients[0].state", "\"suspended\""));
        var events = await Registry.EventsOf(() => Registry.Applied(ApplyFile.Full()));

        Assert.Equal(["deny", "lift"], await Registry.Query("select op from revocations where kind = 'client' and subject = 'refunds-client' order by seq"));
        Assert.Contains(AuditTypes.ClientResumed, events.Select(e => e.Type));
    }

    [SuiteFact]
    public async Task Apply_UserEnabledAgain_BringsBackNoOldToken()
    {
        await Registry.Applied(ApplyFile.With("users[0].enabled", "false"));
        Time.Advance(TimeSpan.FromSeconds(5));
        var events = await Registry.EventsOf(() => Registry.Applied(ApplyFile.With("users[0].enabled", "true")));

        // What was issued up to the moment of disabling stays denied; what is issued now is after it.
        Assert.Equal(["deny|1795348800"], await Registry.Query("select op, before from revocations"));
        Assert.Contains(AuditTypes.UserEnabled, events.Select(e => e.Type));
        Assert.Equal(["1"], await Registry.Query("select enabled from users where id = 'usr_ada'"));
    }

    [SuiteFact]
    public async Task Apply_SuspendedThenRetired_IsDeniedOnce()
    {
        await Registry.Applied(ApplyFile.With("agents[0].state", "\"suspended\""));
        var events = await Registry.EventsOf(() => Registry.Applied(ApplyFile.With("agents[0].state", "\"retired\"")));

        Assert.Equal(["deny"], await Registry.Query("select op from revocations"));
        Assert.Contains(AuditTypes.AgentRetired, events.Select(e => e.Type));
    }

    [SuiteFact]
    public async Task Apply_CreatedSuspended_NeedsNoDenial()
    {
        await Registry.Applied(ApplyFile.With("agents[2]", """{"id":"agt_late","name":"Late","owner":"usr_ada","purpose":"p","ceiling":[],"state":"suspended"}"""));

        Assert.Empty(await Registry.Query("select op from revocations"));
        Assert.Equal(RegistryState.Suspended, (await Registry.Snapshot()).Agents["agt_late"].State);
    }

    [SuiteFact]
    public async Task Apply_RefusedFileThatSuspends_SuspendsNobody()
    {
        var outcome = await Registry.File(ApplyFile.With("agents[0].state", "\"suspended\"").With("agents[1].owner", "\"usr_nobody\""));

        Assert.False(outcome.Applied);
        Assert.Empty(await Registry.Query("select op from revocations"));
        Assert.True((await Registry.Snapshot()).Agents["agt_refunds"].Active);
    }

    [SuiteFact]
    public async Task Apply_ToolServerSuspended_IsInactive()
    {
        await Registry.Applied(ApplyFile.With("tool_servers[0].state", "\"suspended\""));

        Assert.False((await Registry.Snapshot()).ToolServers["srv_files"].Active);
    }

    private static (string? Agent, string? Client) Actors(List<AuditEvent> events, string type)
    {
        var e = Assert.Single(events, e => e.Type == type);
        return (e.Agent, e.Client);
    }
}
