using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Ciba;

/// <summary>The backchannel authentication endpoint (CIBA §7): who may ask, whom, for what, and how.</summary>
public class AskingTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Spec", "CIBA-7.3")]
    public async Task Question_OfANamedPerson_Waits_AndIsRecorded()
    {
        var s = await server.ScenarioAsync();
        var mark = await server.NowAsync();

        var answer = await s.AskRawAsync();

        Assert.True(answer.Headers.CacheControl?.NoStore);
        Assert.Equal("*", Assert.Single((await s.AskRawAsync(proof: null, agent: s.Agent, client: Elsewhere())).Headers.GetValues("Access-Control-Allow-Origin")));
        var asked = await answer.ReadAsync(ProtocolJson.Default.BackchannelResponse);
        Assert.Equal((600, 5), (asked.ExpiresIn, asked.Interval));
        var e = (await server.SinceAsync(mark))[0];
        Assert.Equal((AuditTypes.PersonAsked, "success", s.User, s.Agent.Id, s.Agent.ClientId), (e.Type, e.Outcome, e.User, e.Agent, e.Client));
    }

    [Fact]
    [Trait("Spec", "CIBA-7.3")]
    public async Task RequestId_EachOfThem_HasMoreChanceThanCanBeGuessed_AndIsNotKept()
    {
        var s = await server.ScenarioAsync();
        var ids = new[] { await s.AskAsync(), await s.AskAsync() };

        Assert.NotEqual(ids[0], ids[1]);
        Assert.All(ids, id => Assert.True(Base64Url.TryDecode(id.Replace("arq_", "", StringComparison.Ordinal), out var bytes) && bytes.Length == 32, id));
        // CIBA §7.3: of these characters only.
        Assert.All(ids, id => Assert.Matches("^[A-Za-z0-9._-]+$", id));
        Assert.Equal(0, await server.ScalarAsync($"select count(*) from backchannel_requests where hash = '{ids[0]}' or form like '%{ids[0]}%' or form like '%client_assertion%'"));
    }

    [Theory]
    [InlineData("id")]
    [InlineData("another spelling")]
    [Trait("Spec", "CIBA-7.1")]
    public async Task Person_NamedByIdOrInAnotherSpelling_IsFound(string how)
    {
        var s = await server.ScenarioAsync();

        await s.AskAsync(new() { ["login_hint"] = how == "id" ? s.User : s.Person.Email.ToUpperInvariant() });

        Assert.Equal(1, await server.ScalarAsync($"select count(*) from backchannel_requests where user_id = '{s.User}'"));
    }

    [Fact]
    [Trait("Spec", "CIBA-13")]
    public async Task Person_UnknownOrUnableToAnswer_IsOneRefusal()
    {
        var s = await server.ScenarioAsync();
        var (off, nameless) = ($"usr_off{s.Suffix}", $"usr_nameless{s.Suffix}");
        await server.ApplyAsync($$"""
            {"users":[{"id":"{{off}}","name":"Off","email":"off-{{s.Suffix}}@people.test","enabled":false},{"id":"{{nameless}}","name":"Without a sign-in name"}]}
            """);

        var answers = new List<string>();
        foreach (var hint in new[] { "nobody@people.test", "usr_nobody", off, $"off-{s.Suffix}@people.test", nameless, "Ann", "' or '1'='1", "%" })
        {
            var e = await server.RefusedAsync(
                () => Keep(s.AskRawAsync(new() { ["login_hint"] = hint }), answers), HttpStatusCode.BadRequest, Names.Ciba.UnknownUserId, null, AuditTypes.AskingRefused, Names.Ciba.UnknownUserId);
            Assert.Equal((s.Agent.Id, s.Agent.ClientId), (e.Agent, e.Client));
        }
        Assert.Single(answers.Distinct());
    }

    [Theory]
    [InlineData("request", "eyJ0eXAiOiJKV1QifQ.e30.AA")]
    [InlineData("request_uri", "https://client.test/request")]
    [InlineData("login_hint_token", "eyJ0eXAiOiJKV1QifQ.e30.AA")]
    [InlineData("id_token_hint", "eyJ0eXAiOiJKV1QifQ.e30.AA")]
    [InlineData("user_code", "1234")]
    [InlineData("acr_values", "pwd")]
    [Trait("Spec", "CIBA-7.1")]
    public async Task Request_WithWhatIsNotOffered_IsRefusedAndNotPassedOver(string name, string value)
    {
        var s = await server.ScenarioAsync();

        await server.RefusedAsync(() => s.AskRawAsync(new() { [name] = value }), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, name, AuditTypes.AskingRefused, name);
    }

    [Theory]
    [InlineData("login_hint", null, Names.Errors.InvalidRequest)]
    [InlineData("login_hint", "", Names.Errors.InvalidRequest)]
    [InlineData("requested_expiry", "0", Names.Errors.InvalidRequest)]
    [InlineData("requested_expiry", "-1", Names.Errors.InvalidRequest)]
    [InlineData("requested_expiry", "1.5", Names.Errors.InvalidRequest)]
    [InlineData("requested_expiry", "soon", Names.Errors.InvalidRequest)]
    [InlineData("requested_expiry", "\u0661", Names.Errors.InvalidRequest)]
    [InlineData("scope", "openid profile", Names.Errors.InvalidScope)]
    [InlineData("scope", "tools:read", Names.Errors.InvalidScope)]
    [InlineData("resource", "https://unknown.test/mcp", Names.Errors.InvalidTarget)]
    [InlineData("authorization_details", null, Names.Errors.InvalidAuthorizationDetails)]
    [InlineData("authorization_details", "[]", Names.Errors.InvalidAuthorizationDetails)]
    [InlineData("authorization_details", "{", Names.Errors.InvalidAuthorizationDetails)]
    [InlineData("binding_message", "two\nlines", Names.Ciba.InvalidBindingMessage)]
    [InlineData("binding_message", "\u202eturned around", Names.Ciba.InvalidBindingMessage)]
    [InlineData("binding_message", "zero\u200bwidth", Names.Ciba.InvalidBindingMessage)]
    [InlineData("binding_message", "far      apart", Names.Ciba.InvalidBindingMessage)]
    [Trait("Spec", "CIBA-7.1")]
    [Trait("Spec", "CIBA-13")]
    public async Task Request_WithABadParameter_IsRefusedBeforeAnybodyIsAsked(string name, string? value, string error)
    {
        var s = await server.ScenarioAsync();

        await server.RefusedAsync(() => s.AskRawAsync(new() { [name] = value }), HttpStatusCode.BadRequest, error, null, AuditTypes.AskingRefused, null);

        Assert.Equal(0, await server.ScalarAsync($"select count(*) from backchannel_requests where user_id = '{s.User}'"));
    }

    [Theory]
    [InlineData("no purpose")]
    [InlineData("beyond the ceiling")]
    [InlineData("over already")]
    [Trait("Spec", "RFC9396-5")]
    public async Task Task_ThatCouldNotBeHandedOver_IsRefusedAtOnce(string why)
    {
        var s = await server.ScenarioAsync();
        var details = why switch
        {
            "no purpose" => s.Details(["read_file"]),
            "over already" => s.Details(["read_file"], new JsonObject { ["purpose"] = "p", ["expires_at"] = server.Time.GetUtcNow().AddMinutes(-1).ToUnixTimeSeconds() }),
            _ => s.Details(["format_disk"], new JsonObject { ["purpose"] = "p" }),
        };

        await server.RefusedAsync(
            () => s.AskRawAsync(new() { ["authorization_details"] = details.ToJsonString() }), HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails, null,
            AuditTypes.AskingRefused, Names.Errors.InvalidAuthorizationDetails);
    }

    [Theory]
    [InlineData(100, true)]
    [InlineData(101, false)]
    [Trait("Spec", "CIBA-7.1")]
    public async Task BindingMessage_OfMoreThanAHundredCharacters_IsRefused(int length, bool taken)
    {
        var s = await server.ScenarioAsync();

        var answer = await s.AskRawAsync(new() { ["binding_message"] = new string('x', length) });

        if (taken)
            await answer.ReadAsync(ProtocolJson.Default.BackchannelResponse);
        else
            await answer.RefusedAsync(HttpStatusCode.BadRequest, Names.Ciba.InvalidBindingMessage);
    }

    [Theory]
    [InlineData("60", 60)]
    [InlineData("600", 600)]
    [InlineData("3600", 600)]
    [InlineData("99999999999999999999", 600)]
    [Trait("Spec", "CIBA-7.1")]
    public async Task RequestedExpiry_IsKeptUpToTenMinutes(string asked, int given)
    {
        var s = await server.ScenarioAsync();

        var answer = await (await s.AskRawAsync(new() { ["requested_expiry"] = asked })).ReadAsync(ProtocolJson.Default.BackchannelResponse);

        Assert.Equal(given, answer.ExpiresIn);
        server.Time.Advance(TimeSpan.FromSeconds(given - 1));
        Assert.Equal(Names.Device.AuthorizationPending, await s.WaitAsync(answer.RequestId));
        server.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(Names.Device.ExpiredToken, await s.WaitAsync(answer.RequestId));
    }

    [Fact]
    [Trait("Spec", "CIBA-7.1")]
    public async Task Scope_OpenId_IsTakenAndGrantsNothing()
    {
        var s = await server.ScenarioAsync();
        var id = await s.AskAsync(new() { ["scope"] = "openid" });
        await s.AnswerAsync("allow");

        var token = await s.PollAsync(id);

        Assert.Null(token.IdToken);
        Assert.Equal("tool:read_file", token.Scope);
    }

    [Fact]
    [Trait("Spec", "CIBA-7.1")]
    public async Task Request_WithAParameterTwice_IsRefused()
    {
        var s = await server.ScenarioAsync();
        var fields = s.Agent.AssertionForm().Append(new("login_hint", s.Person.Email)).Append(new("login_hint", "usr_other"));

        await server.RefusedAsync(
            () => server.Client().PostAsync(Names.Paths.BackchannelAuthentication, new FormUrlEncodedContent(fields)), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest,
            "duplicate_parameter", AuditTypes.AskingRefused, "duplicate_parameter");
    }

    [Fact]
    [Trait("Spec", "CIBA-7.1")]
    public async Task Client_ThatDoesNotProveWhoItIs_IsRefused()
    {
        var s = await server.ScenarioAsync();
        var form = new Dictionary<string, string?> { [Names.ClientAssertion.Parameter] = s.Agent.Assertion(key: SigningKey.Create()) };

        await server.RefusedAsync(() => s.AskRawAsync(form), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, AuditTypes.ClientRefused, null);
    }

    [Theory]
    [InlineData("service")]
    [InlineData("public")]
    [InlineData("agent without the grant")]
    [Trait("Spec", "CIBA-4")]
    [Trait("Spec", "CIBA-13")]
    public async Task Client_NotRegisteredToAsk_IsRefused(string which)
    {
        var s = await server.ScenarioAsync();
        var form = which == "public" ? new Dictionary<string, string> { ["client_id"] = s.PublicClient } : s.Agent.AssertionForm();
        if (which == "service")
            form = new() { ["client_id"] = "poster-" + s.Suffix, ["client_secret"] = s.ServiceSecret + "-poster" };
        await server.ApplyAsync($$"""
            {"clients":[{"id":"poster-{{s.Suffix}}","name":"Poster","auth_method":"client_secret_post","secret":"{{s.ServiceSecret}}-poster","grant_types":["client_credentials"]}]}
            """);
        if (which == "agent without the grant")
        {
            s.File["clients"]!.AsArray().First(c => (string)c!["id"]! == s.Agent.ClientId)!["grant_types"] = new JsonArray(Names.Exchange.GrantType);
            await server.ApplyAsync(s.File.ToJsonString());
        }
        form["login_hint"] = s.Person.Email;

        await server.RefusedAsync(
            () => s.Agent.PostFormAsync(Names.Paths.BackchannelAuthentication, form, proof: null), HttpStatusCode.BadRequest, Names.Errors.UnauthorizedClient, null,
            AuditTypes.AskingRefused, Names.Errors.UnauthorizedClient);
    }

    [Fact]
    public async Task Agent_Suspended_AsksNobody()
    {
        var s = await server.ScenarioAsync();
        s.File["agents"]!.AsArray()[0]!["state"] = "suspended";
        await server.ApplyAsync(s.File.ToJsonString());

        Assert.False((await s.AskRawAsync()).IsSuccessStatusCode);
        Assert.Equal(0, await server.ScalarAsync($"select count(*) from backchannel_requests where user_id = '{s.User}'"));
    }

    [Fact]
    [Trait("Spec", "RFC9449-5")]
    public async Task Agent_ThatMustProveItsKey_AsksByALiveInstanceOnly()
    {
        var s = await server.ScenarioAsync(o => o.Agent["require_dpop"] = true);

        await RefusedAsync(proof: null, "missing");
        await RefusedAsync(proof: "", "wrong_key");
        await s.Agent.AttestAsync();
        await RefusedAsync(s.Agent.Proof(HttpMethod.Post, Names.Paths.BackchannelAuthentication, key: SigningKey.Create()), "wrong_key");
        var mark = await server.NowAsync();
        await s.AskAsync(proof: "");
        Assert.Equal((AuditTypes.PersonAsked, s.Agent.Instance), ((await server.SinceAsync(mark))[0].Type, (await server.SinceAsync(mark))[0].Instance));
        Assert.True((await s.Agent.CallAsync(HttpMethod.Delete, $"{Names.Paths.Instances}/{s.Agent.Instance}")).IsSuccessStatusCode);
        await RefusedAsync(proof: "", "wrong_key");

        Task<AuditEvent> RefusedAsync(string? proof, string reason) => server.RefusedAsync(
            () => s.AskRawAsync(proof: proof), HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, reason, AuditTypes.AskingRefused, reason);
    }

    [Fact]
    [Trait("Spec", "RFC9449-5")]
    public async Task Instance_OfAnotherAgent_ProvesNothing()
    {
        var s = await server.ScenarioAsync(o => o.FurtherAgents = 1);
        await s.Agents[1].AttestAsync();

        await server.RefusedAsync(
            () => s.AskRawAsync(proof: s.Agents[1].Proof(HttpMethod.Post, Names.Paths.BackchannelAuthentication)), HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "wrong_key",
            AuditTypes.AskingRefused, "wrong_key");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    [Trait("Attack", "76"), Trait("Attack", "108")]
    public async Task AssertionOrProof_UsedTwice_AsksOnce(bool assertion)
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var (used, proof) = (s.Agent.Assertion(), assertion ? null : s.Agent.Proof(HttpMethod.Post, Names.Paths.BackchannelAuthentication));
        Dictionary<string, string?>? change = assertion ? new() { [Names.ClientAssertion.Parameter] = used } : null;
        await s.AskAsync(change, proof);

        await server.RefusedAsync(
            () => s.AskRawAsync(change, proof), assertion ? HttpStatusCode.Unauthorized : HttpStatusCode.BadRequest,
            assertion ? Names.Errors.InvalidClient : Names.Errors.InvalidDpopProof, Names.Reasons.Replay, AuditTypes.ReplayDetected, Names.Reasons.Replay);

        Assert.Equal(1, await server.ScalarAsync($"select count(*) from backchannel_requests where user_id = '{s.User}'"));
    }

    private HttpClient Elsewhere()
    {
        var client = server.Client();
        client.DefaultRequestHeaders.Add("Origin", "https://elsewhere.test");
        return client;
    }

    private static async Task<HttpResponseMessage> Keep(Task<HttpResponseMessage> asked, List<string> bodies)
    {
        var answer = await asked;
        bodies.Add(await answer.Content.ReadAsStringAsync());
        return answer;
    }
}
