using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Admin;

/// <summary>One operation at any level: what it names is dead at once with all that stands on it, and what it does not name lives.</summary>
public abstract class RevocationLevelSuite
{
    private protected abstract TestServer Server { get; }

    [SuiteFact]
    [Trait("Attack", "104"), Trait("Attack", "120")]
    public async Task Token_EndsItsGrantAndTheTreeBelow()
    {
        var t = await TreeAsync();

        Assert.Equal(3, await t.Ops.RevokeAsync("token", t.Second.Jti()));

        await t.DeadAsync(t.Second, t.Narrow, t.Third);
        await t.AliveAsync(t.Root, t.Other);
        var told = await t.ToldAsync();
        Assert.Equal((AuditTypes.AdminRevoked, "an incident", t.Ops.Id), (told[0].Type, told[0].Reason, told[0].Client));
        Assert.Equal(("token", t.Second.Jti(), 3), ((string?)told[0].Data!["level"], (string?)told[0].Data!["id"], (int?)told[0].Data!["grants"]));
        Assert.Equal([AuditTypes.TokenRevoked, AuditTypes.GrantRevoked, AuditTypes.GrantRevoked], told.Skip(1).Select(e => e.Type));
        Assert.Equal(told[0].Id, told[1].Cause);
        await (await t.S.Agents[2].TakeOverRawAsync(t.Second.AccessToken)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
        // Again: the same answer, and nothing is left to end.
        Assert.Equal(0, await t.Ops.RevokeAsync("token", t.Second.Jti()));
    }

    [SuiteFact]
    [Trait("Attack", "104"), Trait("Attack", "120")]
    public async Task Token_AtTheRoot_EndsTheWholeTree()
    {
        var t = await TreeAsync();
        Assert.Equal(4, await t.Ops.RevokeAsync("token", t.Root.Jti()));
        await t.DeadAsync(t.Root, t.Second, t.Narrow, t.Third);
        await t.AliveAsync(t.Other);
    }

    [SuiteFact]
    [Trait("Attack", "120")]
    public async Task Token_OfAnInstance_EndsTheInstance()
    {
        var t = await TreeAsync();
        var jti = Answers.Claims(t.S.Agents[1].InstanceToken).GetProperty("jti").GetString()!;
        await t.Ops.RevokeAsync("token", jti);
        await t.DeadAsync(t.Second, t.Narrow, t.Third);
        await t.AliveAsync(t.Root, t.Other);
        await (await t.S.Agents[1].AttestRawAsync()).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.InstanceEnded);
    }

    [SuiteFact]
    public async Task Token_ThatStandsOnNothing_IsSaidNotToBeRevocable()
    {
        var t = await TreeAsync();
        foreach (var token in new[] { t.Guard.Token, t.Ops.Token })
        {
            var (mark, before) = (await Server.NowAsync(), await Footprint.OfAsync(Server));
            var body = new JsonObject { ["level"] = "token", ["id"] = Answers.Claims(token).GetProperty("jti").GetString(), ["reason"] = "x" };
            await (await t.Ops.SendAsync(HttpMethod.Post, "/revocations", body)).ProblemAsync(HttpStatusCode.Conflict, "conflict");
            await Server.OnlyARefusalSinceAsync(mark, before, AuditTypes.AdminRefused, "not_revocable");
        }
    }

    [SuiteFact]
    [Trait("Attack", "120")]
    public async Task Family_EndsTheLineAndWhatItGotLast()
    {
        var t = await TreeAsync();
        var flow = new PersonFlow(t.S);
        var first = await flow.TokenAsync();
        var next = await flow.RefreshAsync(first.RefreshToken!);
        var family = await TextAsync($"select id from refresh_families where grant_id = '{next.Grant()}'");

        await t.Ops.RevokeAsync("family", family);

        await t.DeadAsync(next);
        await (await flow.RefreshRawAsync(next.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Revoked);
        await t.AliveAsync(t.Root, t.Third, t.Other);
        Assert.Equal(0, await t.Ops.RevokeAsync("family", family));
    }

    [SuiteFact]
    [Trait("Attack", "120"), Trait("Invariant", "3")]
    public async Task Task_EndsItAndTheTasksBelow()
    {
        var t = await TreeAsync();
        Assert.Equal(4, await t.Ops.RevokeAsync("task", t.Root.Task()));
        await t.DeadAsync(t.Root, t.Second, t.Narrow, t.Third);
        await t.AliveAsync(t.Other);
        await (await t.S.Agent.ExchangeRawAsync(t.S.Agent.ExchangeForm(t.Root.AccessToken))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.TaskEnded);
        Assert.Equal(t.Ops.Id, (string?)(await Server.EventsAsync($"type = 'task.revoked' and task = '{t.Root.Task()}'"))[0].Data!["by"]);
        Assert.Equal(0, await t.Ops.RevokeAsync("task", t.Root.Task()));
    }

    [SuiteFact]
    [Trait("Attack", "120"), Trait("Invariant", "3")]
    public async Task Instance_EndsWhatItHoldsAndWhatWasHandedOnFromThere()
    {
        var t = await TreeAsync();
        await t.Ops.RevokeAsync("instance", t.S.Agents[1].Instance);
        await t.DeadAsync(t.Second, t.Narrow, t.Third);
        await t.AliveAsync(t.Root, t.Other);
        await (await t.S.Agents[2].TakeOverRawAsync(t.Narrow.AccessToken)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
    }

    [SuiteFact]
    [Trait("Attack", "120"), Trait("Invariant", "3")]
    public async Task Agent_InTheMiddle_IsSuspendedAndNothingOfItComesBackWhenItGoesOn()
    {
        var t = await TreeAsync();
        var agent = t.S.Agents[1];

        Assert.Equal(3, await t.Ops.RevokeAsync("agent", agent.Id));

        await t.DeadAsync(t.Second, t.Narrow, t.Third);
        await t.AliveAsync(t.Root, t.Other);
        await (await agent.AttestRawAsync()).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.UnauthorizedClient, Names.Reasons.AgentSuspended);
        var told = await t.ToldAsync();
        Assert.Equal([AuditTypes.AdminRevoked, AuditTypes.AdminChanged, AuditTypes.AgentSuspended], told.Take(3).Select(e => e.Type));
        Assert.All(told.Take(3), e => Assert.Equal(t.Ops.Id, e.Client));
        Assert.Contains(AuditTypes.InstanceEnded, told.Select(e => e.Type));

        var entry = await t.Ops.GetAsync($"/agents/{agent.Id}");
        Assert.Equal("suspended", (string?)entry["state"]);
        entry["state"] = "active";
        await t.Ops.PutAsync($"/agents/{agent.Id}", entry);
        await t.DeadAsync(t.Second, t.Narrow, t.Third);
        await (await agent.AttestRawAsync()).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.InstanceEnded);
        Assert.Equal(0, await t.Ops.RevokeAsync("agent", agent.Id));
    }

    [SuiteFact]
    [Trait("Attack", "120")]
    public async Task Client_IsSuspendedWithItsTokensSessionsAndWhatPeopleAllowedIt()
    {
        var t = await TreeAsync();
        var flow = new PersonFlow(t.S);
        var token = await flow.TokenAsync();
        var unused = await flow.CodeAsync(t.S.AuthorizeQuery());
        var living = await Server.ScalarAsync($"select count(*) from grants where client_id = '{t.S.PublicClient}' and state = 'active'");

        Assert.Equal(living, await t.Ops.RevokeAsync("client", t.S.PublicClient));

        await t.DeadAsync(token);
        await t.AliveAsync(t.Root, t.Third, t.Other);
        await (await flow.RefreshRawAsync(token.RefreshToken!)).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidClient);
        Assert.Equal(0, await Server.ScalarAsync($"select count(*) from consents where client_id = '{t.S.PublicClient}' and state = 'active'"));
        // Active again, it begins anew: neither what it had nor what it was about to get is worth anything.
        var entry = await t.Ops.GetAsync($"/clients/{t.S.PublicClient}");
        entry["state"] = "active";
        await t.Ops.PutAsync($"/clients/{t.S.PublicClient}", entry);
        await t.DeadAsync(token);
        await (await flow.RefreshRawAsync(token.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.TaskEnded);
        await (await flow.RedeemRawAsync(unused)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Revoked);
    }

    [SuiteFact]
    [Trait("Attack", "120"), Trait("Invariant", "3")]
    public async Task User_IsDisabledAndSignedOutWithAllThatWasAllowed()
    {
        var t = await TreeAsync();
        var flow = new PersonFlow(t.S);
        var (token, unused) = (await flow.TokenAsync(), await flow.CodeAsync(t.S.AuthorizeQuery()));
        var delegation = await flow.DelegateAsync("a purpose", "read_file");
        var delegated = await t.S.Agent.TakeOverAsync(delegation.AccessToken);

        Assert.Equal(await Server.ScalarAsync($"select count(*) from grants where user_id = '{t.S.User}' and state = 'active'"), await t.Ops.RevokeAsync("user", t.S.User));

        await t.DeadAsync(token, delegated);
        await t.AliveAsync(t.Root, t.Third);
        await (await flow.RefreshRawAsync(token.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant);
        await (await flow.RedeemRawAsync(unused)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant);
        foreach (var left in new[]
                 {
                     $"sessions where user_id = '{t.S.User}' and ended_at is null", $"consents where user_id = '{t.S.User}' and state = 'active'",
                     $"tasks where user_id = '{t.S.User}' and state in ('active', 'suspended')", $"grants where user_id = '{t.S.User}' and state = 'active'",
                     $"refresh_families where user_id = '{t.S.User}' and state = 'active'", $"users where id = '{t.S.User}' and enabled = 1",
                 })
            Assert.True(await Server.ScalarAsync($"select count(*) from {left}") == 0, left);
        Assert.Equal(1, await Server.ScalarAsync($"select count(*) from revocations where kind = 'user' and subject = '{t.S.User}' and before is not null"));
        Assert.Contains(await t.ToldAsync(), e => e.Type == AuditTypes.UserDisabled && e.Client == t.Ops.Id);
    }

    [SuiteFact]
    [Trait("Attack", "120"), Trait("Invariant", "12")]
    public async Task Consent_IsTakenBackWithItsTask()
    {
        var t = await TreeAsync();
        var flow = new PersonFlow(t.S);
        var token = await flow.TokenAsync();
        var delegated = await t.S.Agent.TakeOverAsync((await flow.DelegateAsync("a purpose", "read_file")).AccessToken);
        var consent = await TextAsync($"select id from consents where user_id = '{t.S.User}' and agent_id is not null and state = 'active'");

        Assert.Equal(2, await t.Ops.RevokeAsync("consent", consent));

        await t.DeadAsync(delegated);
        await t.AliveAsync(token, t.Root, t.Other);
        Assert.Equal(0, await Server.ScalarAsync($"select count(*) from consents where id = '{consent}' and (state = 'active' or remembered_until > 0)"));
        Assert.Equal(0, await t.Ops.RevokeAsync("consent", consent));
    }

    [SuiteFact]
    [Trait("Attack", "120"), Trait("Invariant", "6")]
    public async Task ToolServer_IsSuspendedWithAllThatWasIssuedForIt()
    {
        var t = await TreeAsync();
        var (flow, elsewhere) = (new PersonFlow(t.S), await TreeAsync());
        var token = await flow.TokenAsync();
        // A guard whose server still stands hears of it.
        var stream = await elsewhere.Guard.OpenStreamAsync();
        var living = await Server.ScalarAsync($"select count(*) from grants where tool_server = '{t.S.ToolServer}' and state = 'active'");

        Assert.Equal(living, await t.Ops.RevokeAsync("tool_server", t.S.ToolServer));

        await elsewhere.AliveAsync(elsewhere.Root, elsewhere.Third, elsewhere.Other);
        var word = Assert.Single((await elsewhere.Guard.PollAsync(stream.Stream, stream.Cursor)).Sets.Values);
        var happened = Answers.Claims(word).GetProperty("events").EnumerateObject().Single().Value;
        Assert.Equal(
            ("aud=" + t.S.Resource, "tool_server", Server.Time.GetUtcNow().ToUnixTimeSeconds()),
            (Answers.Claims(word).GetProperty("sub_id").GetProperty("id").GetString(), happened.GetProperty("kind").GetString(), happened.GetProperty("before").GetInt64()));
        await (await t.S.ServiceTokenAsync()).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidTarget);
        // The guard itself is no longer believed.
        await (await t.Guard.IntrospectRawAsync(t.Root.AccessToken)).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidToken);

        var entry = await t.Ops.GetAsync($"/tool-servers/{t.S.ToolServer}");
        entry["state"] = "active";
        await t.Ops.PutAsync($"/tool-servers/{t.S.ToolServer}", entry);
        await t.DeadAsync(t.Root, t.Second, t.Narrow, t.Third, t.Other, token);
        await (await flow.RefreshRawAsync(token.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant);
        Assert.Equal(0, await t.Ops.RevokeAsync("tool_server", t.S.ToolServer));
    }

    [SuiteFact]
    [Trait("Attack", "120"), Trait("Invariant", "6")]
    public async Task Everything_IsDead_AndEverybodyCanBeginAnew()
    {
        var (t, u) = (await TreeAsync(), await TreeAsync());
        var flow = new PersonFlow(t.S);
        var (token, unused) = (await flow.TokenAsync(), await flow.CodeAsync(t.S.AuthorizeQuery()));
        var delegation = await flow.DelegateAsync("a purpose", "read_file");
        var stream = await u.Guard.OpenStreamAsync();
        var living = await Server.ScalarAsync("select count(*) from grants where state = 'active'");
        var tasks = await Server.ScalarAsync("select count(*) from tasks where state in ('active', 'suspended')");
        var mark = await Server.NowAsync();

        Assert.Equal(living, await t.Ops.RevokeAsync("everything"));

        await t.DeadAsync(t.Root, t.Second, t.Narrow, t.Third, t.Other, token);
        await u.DeadAsync(u.Root, u.Third, u.Other);
        // Guards are told one word, whatever there was.
        var word = Assert.Single((await u.Guard.PollAsync(stream.Stream, stream.Cursor)).Sets.Values);
        Assert.Equal("*", Answers.Claims(word).GetProperty("sub_id").GetProperty("id").GetString());
        var told = await Server.SinceAsync(mark);
        Assert.Equal((AuditTypes.AdminRevoked, "everything", t.Ops.Id), (told[0].Type, (string?)told[0].Data!["level"], told[0].Client));
        Assert.Equal(tasks, told.Count(e => e.Type == AuditTypes.TaskRevoked && e.Cause == told[0].Id));
        // Nothing that was under way goes on.
        await (await flow.RefreshRawAsync(token.RefreshToken!)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant);
        await (await flow.RedeemRawAsync(unused)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant);
        await (await t.S.Agent.TakeOverRawAsync(delegation.AccessToken)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.InstanceEnded);
        foreach (var left in new[]
                 {
                     "grants where state = 'active'", "tasks where state in ('active', 'suspended')", "instances where state = 'active'", "refresh_families where state = 'active'",
                     "sessions where ended_at is null", "consents where state = 'active' or remembered_until > 0",
                 })
            Assert.True(await Server.ScalarAsync($"select count(*) from {left}") == 0, left);

        // The administrator goes on, and so does who proves anew who they are.
        Assert.Equal(0, await t.Ops.RevokeAsync("everything"));
        await t.S.Agent.RenewKeyAsync();
        var fresh = await t.S.Agent.TaskTokenAsync(await t.S.Agent.BeginTaskAsync("read_file"), "read_file");
        await t.AliveAsync(fresh, await new PersonFlow(t.S).TokenAsync());
    }

    [SuiteFact]
    public async Task Subject_UnknownAtAnyLevel_Is404AndEndsNothing()
    {
        var t = await TreeAsync();
        foreach (var (level, id) in new[]
                 {
                     ("token", "at_none"), ("family", "rff_none"), ("task", "tsk_none"), ("instance", "ins_none"), ("agent", "agt_none"), ("client", "none"), ("user", "usr_none"),
                     ("consent", "cns_none"), ("tool_server", "srv_none"), ("agent", t.S.User), ("token", t.Root.Grant()),
                 })
        {
            var (mark, before) = (await Server.NowAsync(), await Footprint.OfAsync(Server));
            var body = new JsonObject { ["level"] = level, ["id"] = id, ["reason"] = "x" };
            await (await t.Ops.SendAsync(HttpMethod.Post, "/revocations", body)).ProblemAsync(HttpStatusCode.NotFound, "not_found");
            Assert.Equal(t.Ops.Id, (await Server.OnlyARefusalSinceAsync(mark, before, AuditTypes.AdminRefused, "not_found")).Client);
        }
    }

    [SuiteFact]
    public async Task Body_ThatIsNoRevocation_IsRefusedAndEndsNothing()
    {
        var t = await TreeAsync();
        foreach (var body in new[]
                 {
                     """{"level":"all","reason":"x"}""", """{"level":"everything"}""", """{"level":"everything","reason":" "}""", """{"level":"everything","reason":"x","id":"y"}""",
                     """{"level":"task","reason":"x"}""", """{"level":"task","reason":"x","id":""}""", """{"level":"everything","reason":"x","dry_run":true}""",
                     """{"level":"everything","reason":"x\ny"}""", """{"level":null,"reason":"x"}""", "[]",
                 })
        {
            var (mark, before) = (await Server.NowAsync(), await Footprint.OfAsync(Server));
            await (await t.Ops.SendAsync(HttpMethod.Post, "/revocations", JsonNode.Parse(body))).ProblemAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
            await Server.OnlyARefusalSinceAsync(mark, before, AuditTypes.AdminRefused, null);
        }
        await t.AliveAsync(t.Root, t.Third, t.Other);
    }

    private async Task<Tree> TreeAsync()
    {
        var s = await Server.ScenarioAsync(o => o.FurtherAgents = 2);
        foreach (var agent in s.Agents)
            await agent.AttestAsync();
        var root = await s.Agent.TaskTokenAsync(await s.Agent.BeginTaskAsync("list_files", "read_file"), "list_files", "read_file");
        var second = await s.Agents[1].TakeOverAsync(root.AccessToken);
        var form = s.Agents[1].ExchangeForm(second.AccessToken);
        form["scope"] = "tool:read_file";
        var narrow = await (await s.Agents[1].ExchangeRawAsync(form)).ReadAsync(ProtocolJson.Default.TokenResponse);
        var third = await s.Agents[2].TakeOverAsync(narrow.AccessToken);
        var other = await (await s.ServiceTokenAsync()).ReadAsync(ProtocolJson.Default.TokenResponse);
        var t = new Tree(s, await TestAdministrator.OfAsync(Server), await TestGuard.OfAsync(s), root, second, narrow, third, other);
        await t.AliveAsync(root, second, narrow, third, other);
        return t;
    }

    private async Task<string> TextAsync(string sql) => (await Server.TextsAsync(sql)).Single();

    /// <summary>A task's token, one below it that another agent took over, one narrower below that, one of a third agent below that; and another client's.</summary>
    private sealed record Tree(
        Scenario S, TestAdministrator Ops, TestGuard Guard, TokenResponse Root, TokenResponse Second, TokenResponse Narrow, TokenResponse Third, TokenResponse Other)
    {
        public async Task DeadAsync(params TokenResponse[] tokens)
        {
            foreach (var token in tokens)
                Assert.False(await Guard.IsActiveAsync(token.AccessToken));
        }

        public async Task AliveAsync(params TokenResponse[] tokens)
        {
            foreach (var token in tokens)
                Assert.True(await Guard.IsActiveAsync(token.AccessToken));
        }

        /// <summary>The operation's event with all that followed from it, however far.</summary>
        public async Task<IReadOnlyList<AuditEvent>> ToldAsync()
        {
            var asked = (await S.Server.EventsAsync("type = 'admin.revoked'")).Last(e => e.Client == Ops.Id);
            return await S.Server.EventsAsync($"seq >= (select seq from audit_events where id = '{asked.Id}')");
        }
    }
}

public sealed class RevocationLevelTests(TestServer server) : RevocationLevelSuite, IClassFixture<TestServer>
{
    private protected override TestServer Server => server;
}

[NeedsPostgres]
public sealed class RevocationLevelOnPostgresTests(PostgresServer postgres) : RevocationLevelSuite, IClassFixture<PostgresServer>
{
    private protected override TestServer Server => postgres.Server;
}
