using System.Net;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Authorizations;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Consents;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Ciba;

/// <summary>The token endpoint's side of CIBA (§10.1, §11): until the person has answered, and what comes of it.</summary>
public class PollTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Spec", "CIBA-10.1.1")]
    public async Task Agent_AfterThePersonAllowed_WorksForThem()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var mark = await server.NowAsync();
        var id = await s.AskAsync(proof: "");
        await (await s.PollRawAsync(id, proof: "")).RefusedAsync(HttpStatusCode.BadRequest, Names.Device.AuthorizationPending);

        var done = await s.AnswerAsync("allow");
        Assert.Contains("Your answer counts.", done.Words(), StringComparison.Ordinal);
        Assert.DoesNotContain("Waiting for your answer", done.Words(), StringComparison.Ordinal);

        var handed = await s.PollAsync(id, proof: "");
        var claims = Answers.Claims(handed.AccessToken);
        Assert.Equal((s.User, s.Agent.ClientId, s.Agent.Id, "DPoP"), (
            claims.GetProperty("sub").GetString(), claims.GetProperty("client_id").GetString(), claims.GetProperty("may_act").GetProperty("sub").GetString(), handed.TokenType));
        Assert.Equal("read_file", Assert.Single(handed.AuthorizationDetails!.Value[0].GetProperty("tools").EnumerateObject()).Name);
        Assert.Equal((null, null), (handed.RefreshToken, handed.IdToken));
        var working = Answers.Claims((await (await s.BeginAsync(handed)).ReadAsync(ProtocolJson.Default.TokenResponse)).AccessToken);
        Assert.Equal((s.Resource, s.User, s.Agent.Id), (
            working.GetProperty("aud").GetString(), working.GetProperty("sub").GetString(), working.GetProperty("act").GetProperty("sub").GetString()));

        // Asked, allowed: each names agent, instance and person, and the one is the other's cause.
        var events = await server.SinceAsync(mark);
        var (asked, granted) = (Assert.Single(events, e => e.Type == AuditTypes.PersonAsked), Assert.Single(events, e => e.Type == AuditTypes.ConsentGranted));
        Assert.All([asked, granted], e => Assert.Equal((s.User, s.Agent.Id, s.Agent.Instance, s.Agent.ClientId), (e.User, e.Agent, e.Instance, e.Client)));
        Assert.Equal(asked.Id, granted.Cause);
        Assert.Equal(AskingSteps.Purpose, granted.Data!["purpose"]!.GetValue<string>());
    }

    [Fact]
    [Trait("Spec", "CIBA-11")]
    public async Task Agent_AfterThePersonDenied_IsToldSo_EveryTime()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var id = await s.AskAsync(proof: "");
        var mark = await server.NowAsync();

        await s.AnswerAsync("deny");

        for (var i = 0; i < 2; i++)
            await (await s.PollRawAsync(id, proof: "")).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.AccessDenied);
        var e = Assert.Single(await server.SinceAsync(mark), e => e.Type != AuditTypes.SignedIn);
        Assert.Equal((AuditTypes.ConsentRefused, Names.Errors.AccessDenied, s.User, s.Agent.Id, s.Agent.Instance), (e.Type, e.Reason, e.User, e.Agent, e.Instance));
        Assert.NotNull(e.Cause);
    }

    [Fact]
    [Trait("Spec", "CIBA-10.1.1")]
    public async Task Person_WhoAllowsAPart_HandsOverThatPart()
    {
        var s = await server.ScenarioAsync();
        var id = await s.AskAsync(new()
        {
            ["authorization_details"] = s.Details(["read_file", "delete_file"], new() { ["purpose"] = AskingSteps.Purpose }).ToJsonString(),
        });

        await s.AnswerAsync("allow", keep: item => !item.EndsWith("delete_file", StringComparison.Ordinal));

        Assert.Equal("tool:read_file", (await s.PollAsync(id)).Scope);
    }

    [Fact]
    [Trait("Spec", "CIBA-11")]
    public async Task Agent_AskingTooOften_MustWaitLongerEachTime()
    {
        var s = await server.ScenarioAsync();
        var id = await s.AskAsync();
        var mark = await server.NowAsync();

        Assert.Equal([Names.Device.AuthorizationPending, Names.Errors.SlowDown], [await s.WaitAsync(id), await s.WaitAsync(id)]);
        server.Time.Advance(TimeSpan.FromSeconds(6));
        Assert.Equal(Names.Errors.SlowDown, await s.WaitAsync(id));
        server.Time.Advance(TimeSpan.FromSeconds(14));
        Assert.Equal(Names.Errors.SlowDown, await s.WaitAsync(id));
        server.Time.Advance(TimeSpan.FromSeconds(21));
        Assert.Equal(Names.Device.AuthorizationPending, await s.WaitAsync(id));
        // Waiting is no refusal: it is not recorded.
        Assert.Empty(await server.SinceAsync(mark));
    }

    [Fact]
    [Trait("Spec", "CIBA-11")]
    public async Task Question_NotAnsweredInTime_IsExpired_AndThatIsRecordedOnce()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var id = await s.AskAsync(proof: "");
        server.Time.Advance(TimeSpan.FromMinutes(10));

        await (await s.PollRawAsync(id, proof: "")).RefusedAsync(HttpStatusCode.BadRequest, Names.Device.ExpiredToken);
        var requests = server.Services.GetRequiredService<BackchannelRequests>();
        await Task.WhenAll(requests.ExpireDueAsync(default), requests.ExpireDueAsync(default));

        var e = Assert.Single(await server.EventsAsync($"type = '{AuditTypes.AskingExpired}'"), e => e.User == s.User);
        Assert.Equal((s.Agent.Id, s.Agent.Instance, "refused", "not_answered"), (e.Agent, e.Instance, e.Outcome, e.Reason));
        Assert.Equal(Names.Device.ExpiredToken, (await (await s.PollRawAsync(id, proof: "")).ReadErrorAsync()).Error);
    }

    [Fact]
    [Trait("Spec", "CIBA-11")]
    public async Task Question_AllowedAndNotAskedForInTime_IsExpired()
    {
        var s = await server.ScenarioAsync();
        var id = await s.AskAsync();
        await s.AnswerAsync("allow");
        server.Time.Advance(TimeSpan.FromMinutes(10));

        await (await s.PollRawAsync(id)).RefusedAsync(HttpStatusCode.BadRequest, Names.Device.ExpiredToken);
    }

    [Fact]
    [Trait("Spec", "CIBA-10.1")]
    [Trait("Spec", "RFC6749-4.1.2")]
    public async Task RequestId_UsedTwice_RevokesWhatItLedTo()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var id = await s.AskAsync();
        await s.AnswerAsync("allow");
        var handed = await s.PollAsync(id);

        await (await s.PollRawAsync(id)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Replay);

        await (await s.BeginAsync(handed)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.Revoked);
    }

    [Fact]
    [Trait("Spec", "CIBA-10.1")]
    [Trait("Spec", "CIBA-11")]
    public async Task RequestId_OfAnotherClient_IsUnknownAndStaysGoodForItsOwner()
    {
        var s = await server.ScenarioAsync(o => o.FurtherAgents = 1);
        var id = await s.AskAsync();
        await s.AnswerAsync("allow");

        await server.RefusedAsync(
            () => s.PollRawAsync(id, agent: s.Agents[1]), HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, "unknown_code", AuditTypes.TokenRefused, "unknown_code");

        Assert.NotNull((await s.PollAsync(id)).AccessToken);
    }

    [Theory]
    [InlineData("arq_unknown", Names.Errors.InvalidGrant)]
    [InlineData("", Names.Errors.InvalidRequest)]
    [Trait("Spec", "CIBA-11")]
    public async Task RequestId_UnknownOrMissing_IsRefused(string id, string error)
    {
        var s = await server.ScenarioAsync();

        await server.RefusedAsync(() => s.PollRawAsync(id), HttpStatusCode.BadRequest, error, null, AuditTypes.TokenRefused, null);
    }

    [Fact]
    public async Task RequestId_AsAnAuthorizationCode_IsNone()
    {
        var s = await server.ScenarioAsync();
        var id = await s.AskAsync();
        await s.AnswerAsync("allow");

        await (await new PersonFlow(s).DelegateRawAsync(id)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant);

        // And the other way round; nothing happened to either.
        var code = await new PersonFlow(s).CodeAsync(s.AuthorizeQuery("another task", "read_file"));
        await (await s.PollRawAsync(code)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, "unknown_code");
        Assert.NotNull((await s.PollAsync(id)).AccessToken);
        Assert.Equal(HttpStatusCode.OK, (await new PersonFlow(s).DelegateRawAsync(code)).StatusCode);
    }

    [Fact]
    [Trait("Spec", "RFC9449-5")]
    public async Task RequestId_AskedWithAProof_IsForThatKeyAlone()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var id = await s.AskAsync(proof: "");
        await s.AnswerAsync("allow");

        await (await s.PollRawAsync(id)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "missing");
        await (await s.PollRawAsync(id, s.Agent.Proof(HttpMethod.Post, Names.Paths.Token, key: SigningKey.Create()))).RefusedAsync(
            HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "wrong_key");

        Assert.Equal("DPoP", (await s.PollAsync(id, proof: "")).TokenType);
    }

    [Fact]
    [Trait("Spec", "RFC9449-11.1")]
    public async Task Proof_OfAPoll_IsGoodOnce()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var id = await s.AskAsync(proof: "");
        var form = s.Agent.AssertionForm();
        (form["grant_type"], form["auth_req_id"]) = (Names.Ciba.GrantType, id);
        var proof = s.Agent.Proof(HttpMethod.Post, Names.Paths.Token);
        await (await s.Agent.PostFormAsync(Names.Paths.Token, form, proof)).RefusedAsync(HttpStatusCode.BadRequest, Names.Device.AuthorizationPending);

        Assert.False((await s.Agent.PostFormAsync(Names.Paths.Token, form, proof)).IsSuccessStatusCode);
        await (await s.PollRawAsync(id, proof)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, Names.Reasons.Replay);
    }

    [Fact]
    public async Task Client_ThatMayNoLongerAsk_GetsNoAnswer()
    {
        var s = await server.ScenarioAsync();
        var id = await s.AskAsync();
        await s.AnswerAsync("allow");
        s.File["clients"]!.AsArray().First(c => (string)c!["id"]! == s.Agent.ClientId)!["grant_types"] = new System.Text.Json.Nodes.JsonArray(Names.Exchange.GrantType);
        await server.ApplyAsync(s.File.ToJsonString());

        await (await s.PollRawAsync(id)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.UnauthorizedClient);
    }

    [Fact]
    [Trait("Spec", "Invariant-03")]
    public async Task Person_DisabledAfterTheyAllowed_HandsOverNothing()
    {
        var s = await server.ScenarioAsync();
        var id = await s.AskAsync();
        await s.AnswerAsync("allow");
        s.File["users"]!.AsArray()[0]!["enabled"] = false;
        await server.ApplyAsync(s.File.ToJsonString());

        await (await s.PollRawAsync(id)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant);
    }

    [Fact]
    public async Task Purge_RequestsOverForADay_GoAndOthersStay()
    {
        var (old, young) = (await server.ScenarioAsync(), await server.ScenarioAsync());
        await old.AskAsync();
        server.Time.Advance(TimeSpan.FromHours(24) + TimeSpan.FromMinutes(11));
        await young.AskAsync();

        await server.Services.GetServices<Microsoft.Extensions.Hosting.IHostedService>().OfType<StoreUpkeep>().Single().Purge(default);

        Assert.Equal((0, 1), (
            await server.ScalarAsync($"select count(*) from backchannel_requests where user_id = '{old.User}'"),
            await server.ScalarAsync($"select count(*) from backchannel_requests where user_id = '{young.User}'")));
    }
}
