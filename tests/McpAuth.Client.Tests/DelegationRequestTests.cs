using System.Text.Json;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.ToolCalls;
using static McpAuth.Client.Tests.AgentFixture;

namespace McpAuth.Client.Tests;

/// <summary>The question to a person, and which answers are taken.</summary>
public sealed class DelegationRequestTests : IClassFixture<FakeServer>, IAsyncLifetime
{
    private readonly FakeServer server;
    private readonly SigningKey clientKey = SigningKey.Create();
    private AgentSession session = null!;

    public DelegationRequestTests(FakeServer server) => this.server = server;

    public async Task InitializeAsync()
    {
        PrepareDelegation(server, clientKey);
        session = await Attest(server, clientKey);
    }

    [Fact]
    [Trait("Spec", "RFC7636-4.3")]
    public async Task Address_Query_IsTheRequestWithPkceStateAndTask()
    {
        DateTimeOffset end = server.Clock.GetUtcNow().AddMinutes(10);
        DelegationRequest ask = await session.AskPerson(Callback, "summarise Ann's reports & more", Json(Details), end);
        Assert.Equal(server.Issuer + "/authorize", ask.Address.GetLeftPart(UriPartial.Path));
        Dictionary<string, string> query = Query(ask);
        Assert.Equal(
            ["authorization_details", "client_id", "code_challenge", "code_challenge_method", "redirect_uri", "response_type", "state"], query.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(("code", "summariser", "S256"), (query["response_type"], query["client_id"], query["code_challenge_method"]));
        Assert.Equal(Callback.OriginalString, query["redirect_uri"]);
        Assert.Equal(43, query["code_challenge"].Length);

        JsonElement details = Json(query["authorization_details"]);
        Assert.True(Authority.ParseRequest(details).TryGet(out (Authority Authority, TaskRequest? Task) asked, out _));
        Assert.Equal(new TaskRequest(null, "summarise Ann's reports & more", end), asked.Task);
        Assert.Equal(Authority.Parse(Json(Details)).Value.ToJson(), asked.Authority.ToJson());
    }

    [Fact]
    [Trait("Spec", "RFC7636-7.1")]
    public async Task Address_TwoRequests_ShareNoSecret()
    {
        Dictionary<string, string> one = Query(await session.AskPerson(Callback, "p", Json(Details))), two = Query(await session.AskPerson(Callback, "p", Json(Details)));
        Assert.NotEqual(one["state"], two["state"]);
        Assert.NotEqual(one["code_challenge"], two["code_challenge"]);
    }

    [Fact]
    public async Task Address_TypedAuthorityThatNamesATask_CarriesTheNewOneOnly()
    {
        Dictionary<string, string> typed = Query(await session.AskPerson(Callback, "p", Authority.ForTools(Resource, ["read_file"])));
        Assert.Equal("""{"purpose":"p"}""", Json(typed["authorization_details"])[0].GetProperty("task").GetRawText());
        Dictionary<string, string> named = Query(await session.AskPerson(
            Callback, "p", Json("""[{"type":"mcp_tool_call","locations":["https://files.example/mcp"],"task":{"id":"tsk_0"}}]""")));
        Assert.Equal("""[{"type":"mcp_tool_call","locations":["https://files.example/mcp"],"task":{"purpose":"p"}}]""", named["authorization_details"]);
    }

    [Fact]
    [Trait("Spec", "RFC6749-3.1")]
    public async Task Address_EndpointWithAQuery_KeepsIt()
    {
        server.Answers["/.well-known/oauth-authorization-server"] = _ => Answer.Json(
            FakeServer.Metadata(server.Issuer, server.Issuer).Replace("/authorize", "/authorize?tenant=1", StringComparison.Ordinal));
        await using AgentSession other = await Attest(server, clientKey);
        DelegationRequest ask = await other.AskPerson(Callback, "p", Json(Details));
        Assert.Equal("1", Query(ask)["tenant"]);
        Assert.Equal("code", Query(ask)["response_type"]);
    }

    [Theory]
    [InlineData("http://files.example/callback")]
    [InlineData("https://files.example/callback#x")]
    [InlineData("/callback")]
    [Trait("Spec", "RFC6749-3.1.2")]
    public Task AskPerson_RedirectAddressACodeMayNotTravelTo_IsRefused(string redirect) =>
        Assert.ThrowsAsync<ArgumentException>(() => session.AskPerson(new Uri(redirect, UriKind.RelativeOrAbsolute), "p", Json(Details)));

    [Theory]
    [InlineData("http://127.0.0.1:50123/callback")]
    [InlineData("http://[::1]:50123/callback")]
    [InlineData("https://app.example")]
    [InlineData("com.example.app:/callback")]
    [Trait("Spec", "RFC8252-7.3")]
    public async Task AskPerson_RedirectAddress_IsSentAsItStands(string redirect)
    {
        DelegationRequest ask = await session.AskPerson(new Uri(redirect), "p", Json(Details));
        Assert.Equal(redirect, Query(ask)["redirect_uri"]);
        await ask.BeginTask(Answered(ask, server.Issuer));
        Assert.Equal(redirect, Token("authorization_code").Field("redirect_uri"));
    }

    [Fact]
    public async Task AskPerson_ServerThatAsksNobody_SaysSo()
    {
        server.Answers["/.well-known/oauth-authorization-server"] = _ => Answer.Json(
            FakeServer.Metadata(server.Issuer, server.Issuer).Replace("authorization_endpoint", "another_endpoint", StringComparison.Ordinal));
        await using AgentSession other = await Attest(server, clientKey);
        HttpRequestException e = await Assert.ThrowsAsync<HttpRequestException>(() => other.AskPerson(Callback, "p", Json(Details)));
        Assert.Equal(HttpRequestError.InvalidResponse, e.HttpRequestError);
    }

    [Theory]
    [InlineData("""["plain"]""")]
    [InlineData("""["s256"]""")]
    [InlineData("[]")]
    [InlineData("\"S256\"")]
    [InlineData(null)]
    [Trait("Spec", "OAuth2.1-7.10"), Trait("Spec", "MCP-2026-07-28-pkce")]
    public async Task AskPerson_ServerThatMayNotKeepTheChallenge_IsNotAsked(string? methods)
    {
        server.Answers["/.well-known/oauth-authorization-server"] = _ => Answer.Json(FakeServer.Metadata(server.Issuer, server.Issuer).Replace(
            "\"code_challenge_methods_supported\":[\"plain\",\"S256\"]", methods is null ? "\"x\":1" : $"\"code_challenge_methods_supported\":{methods}", StringComparison.Ordinal));
        await using AgentSession other = await Attest(server, clientKey);

        HttpRequestException e = await Assert.ThrowsAsync<HttpRequestException>(() => other.AskPerson(Callback, "p", Json(Details)));

        Assert.Equal(HttpRequestError.InvalidResponse, e.HttpRequestError);
        Assert.Contains("S256", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Spec", "RFC6749-4.1.2")]
    [Trait("Spec", "RFC6749-5.1")]
    public async Task BeginTask_AnswersWithMoreThanWasAskedFor_AreTakenWithoutIt()
    {
        Func<Received, Answer> token = server.Answers["/token"];
        server.Answers["/token"] = r => token(r) is { Body: { } body } answer ? answer with { Body = body.Replace("\"DPoP\"", "\"dpop\",\"unheard_of\":{\"a\":[1]}", StringComparison.Ordinal) } : throw new InvalidOperationException();
        DelegationRequest ask = await session.AskPerson(Callback, "p", Json(Details));

        AgentTask task = await ask.BeginTask(new Uri($"{Answered(ask, server.Issuer)}&unheard_of=1&session_state=x"));

        Assert.Equal("token-1", (await task.GetToken(Resource)).Value);
    }

    [Fact]
    [Trait("Spec", "RFC7636-4.5"), Trait("Spec", "RFC7636-7.1")]
    public async Task BeginTask_Code_IsRedeemedByTheClientWithTheVerifierAndBoundToTheInstancesKey()
    {
        DelegationRequest ask = await session.AskPerson(Callback, "p", Json(Details));
        AgentTask task = await ask.BeginTask(Answered(ask, server.Issuer));
        Assert.Equal(("tsk_1", "usr_ann"), (task.Id, task.View.User));
        Received redeemed = Token("authorization_code");
        Assert.Equal(
            ["client_assertion", "client_assertion_type", "code", "code_verifier", "grant_type", "redirect_uri"], redeemed.Fields);
        Assert.Equal("the-code", redeemed.Field("code"));
        string verifier = redeemed.Field("code_verifier")!;
        Assert.Equal(Query(ask)["code_challenge"], Base64Url.Sha256(verifier));
        Assert.True(Base64Url.TryDecode(verifier, out byte[]? random) && random.Length == 32 && verifier.Length == 43, verifier);
        Assert.Equal("summariser", redeemed.Client);
        Assert.Equal(session.Key.Public.Thumbprint, redeemed.Proof!.Thumbprint);
    }

    [Fact]
    [Trait("Spec", "RFC8693-2.1")]
    public async Task BeginTask_Exchange_HasTheDelegationAsSubjectAndTheInstanceAsActor()
    {
        DelegationRequest ask = await session.AskPerson(Callback, "p", Json(Details));
        AgentTask task = await ask.BeginTask(Answered(ask, server.Issuer));
        Received exchanged = Token("urn:ietf:params:oauth:grant-type:token-exchange");
        Assert.Equal(("delegation", "instance-1", Resource), (exchanged.Field("subject_token"), exchanged.Field("actor_token"), exchanged.Field("resource")));
        Assert.Null(exchanged.Field("authorization_details"));
        Assert.Equal(session.Key.Public.Thumbprint, exchanged.Proof!.Thumbprint);
        Assert.Equal("token-1", (await task.GetToken(Resource)).Value);
        Assert.Equal(2, server.To("/token").Count());
    }

    [Fact]
    public async Task BeginTask_Resumable_IsSaidWhereTheTaskBeginsAndNotToThePerson()
    {
        DelegationRequest ask = await session.AskPerson(Callback, "summarise", Json(Details));
        await ask.BeginTask(Answered(ask, server.Issuer), resumable: true);
        Assert.DoesNotContain("resumable", Query(ask)["authorization_details"], StringComparison.Ordinal);
        // All that the person left, at the location where the work begins.
        Assert.True(JsonElement.DeepEquals(Json("""
            [{"type":"mcp_tool_call","locations":["https://files.example/mcp"],"actions":["tools/call"],"task":{"purpose":"summarise","resumable":true},
              "tools":{"read_file":{"args":{"path":{"constraint_type":"path_under","value":"reports"}}}}}]
            """), Json(Token("urn:ietf:params:oauth:grant-type:token-exchange").Field("authorization_details")!)));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("https://elsewhere.example")]
    [InlineData("{issuer}/")]
    [InlineData("{ISSUER}")]
    [Trait("Spec", "RFC9207-2.4")]
    [Trait("Attack", "43")]
    public async Task BeginTask_IssuerMissingOrForeign_IsRefusedBeforeTheCodeIsSent(string? issuer)
    {
        string? iss = issuer?.Replace("{issuer}", server.Issuer, StringComparison.Ordinal).Replace("{ISSUER}", server.Issuer.ToUpperInvariant(), StringComparison.Ordinal);
        DelegationRequest ask = await session.AskPerson(Callback, "p", Json(Details));
        await Refused(ask, Answered(ask, iss));
    }

    [Fact]
    [Trait("Spec", "RFC9207-2.4")]
    [Trait("Attack", "43")]
    public async Task BeginTask_ErrorOfAForeignIssuer_IsNotTakenForTheServers()
    {
        DelegationRequest ask = await session.AskPerson(Callback, "p", Json(Details));
        await Refused(ask, new Uri($"{Callback}?error=access_denied&state={Query(ask)["state"]}&iss=https%3A%2F%2Felsewhere.example"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("&state=")]
    [InlineData("&state=another")]
    [Trait("Spec", "RFC6749-10.12")]
    public async Task BeginTask_StateMissingOrAnother_IsRefusedBeforeTheCodeIsSent(string state)
    {
        DelegationRequest ask = await session.AskPerson(Callback, "p", Json(Details));
        await Refused(ask, new Uri($"{Callback}?code=the-code&iss={Uri.EscapeDataString(server.Issuer)}{state}"));
    }

    [Theory]
    [InlineData("code=another")]
    [InlineData("state=another")]
    [InlineData("iss=https%3A%2F%2Felsewhere.example")]
    [InlineData("%63ode=another")]
    [InlineData("x=%FF")]
    [Trait("Spec", "RFC6749-3.1")]
    public async Task BeginTask_ParameterTwiceOrMalformed_IsRefusedBeforeTheCodeIsSent(string more)
    {
        DelegationRequest ask = await session.AskPerson(Callback, "p", Json(Details));
        await Refused(ask, new Uri($"{Answered(ask, server.Issuer)}&{more}"));
        await Refused(ask, new Uri($"{Callback}?{more}&{Answered(ask, server.Issuer).Query[1..]}"));
    }

    [Fact]
    public async Task BeginTask_AnswerOfAnotherRequest_IsRefusedAndItsOwnStillTaken()
    {
        DelegationRequest one = await session.AskPerson(Callback, "p", Json(Details)), two = await session.AskPerson(Callback, "p", Json(Details));
        await Refused(one, Answered(two, server.Issuer));
        await one.BeginTask(Answered(one, server.Issuer));
        Assert.Equal(Query(one)["code_challenge"], Base64Url.Sha256(Token("authorization_code").Field("code_verifier")!));
    }

    [Fact]
    [Trait("Spec", "RFC6749-4.1.2.1")]
    public async Task BeginTask_Denied_IsTypedAndSendsNothing()
    {
        DelegationRequest ask = await session.AskPerson(Callback, "p", Json(Details));
        var denied = new Uri($"{Callback}?error=access_denied&error_description=The+person+said+no.&code=the-code&state={Query(ask)["state"]}&iss={Uri.EscapeDataString(server.Issuer)}");
        OAuthErrorException e = await Assert.ThrowsAsync<OAuthErrorException>(() => ask.BeginTask(denied));
        Assert.Equal(("access_denied", "The person said no.", 0), (e.Error, e.Description, e.Status));
        Assert.Equal("access_denied: The person said no.", e.Message);
        Assert.Empty(server.To("/token"));
    }

    [Fact]
    public async Task BeginTask_NeitherCodeNorError_IsRefused()
    {
        DelegationRequest ask = await session.AskPerson(Callback, "p", Json(Details));
        await Refused(ask, new Uri($"{Callback}?state={Query(ask)["state"]}&iss={Uri.EscapeDataString(server.Issuer)}"));
    }

    [Fact]
    [Trait("Spec", "RFC6749-4.1.2")]
    public async Task BeginTask_Twice_SendsTheCodeOnce()
    {
        DelegationRequest ask = await session.AskPerson(Callback, "p", Json(Details));
        await ask.BeginTask(Answered(ask, server.Issuer));
        await Assert.ThrowsAsync<InvalidOperationException>(() => ask.BeginTask(Answered(ask, server.Issuer)));
        Assert.Single(server.To("/token"), r => r.Field("grant_type") == "authorization_code");
    }

    [Fact]
    [Trait("Spec", "RFC9449-5")]
    public async Task BeginTask_DelegationNotBoundToTheKey_IsNotUsed()
    {
        server.Answers["/token"] = _ => Answer.Json($$"""{"access_token":"delegation","token_type":"Bearer","expires_in":300,"authorization_details":{{Details}}}""");
        DelegationRequest ask = await session.AskPerson(Callback, "p", Json(Details));
        await Assert.ThrowsAsync<HttpRequestException>(() => ask.BeginTask(Answered(ask, server.Issuer)));
        Assert.Single(server.To("/token"));
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("[5]")]
    [InlineData("""[{"locations":[]}]""")]
    [InlineData("""[{"locations":["https://files.example/mcp#tools"]}]""")]
    public async Task BeginTask_DelegationThatNamesNoToolServer_IsAnInvalidResponse(string details)
    {
        server.Answers["/token"] = _ => Answer.Json($$"""{"access_token":"delegation","token_type":"DPoP","expires_in":300,"authorization_details":{{details}}}""");
        DelegationRequest ask = await session.AskPerson(Callback, "p", Json(Details));
        HttpRequestException e = await Assert.ThrowsAsync<HttpRequestException>(() => ask.BeginTask(Answered(ask, server.Issuer)));
        Assert.Equal(HttpRequestError.InvalidResponse, e.HttpRequestError);
        Assert.Single(server.To("/token"));
    }

    private Received Token(string grantType) => server.To("/token").Single(r => r.Field("grant_type") == grantType);

    private async Task Refused(DelegationRequest ask, Uri callback)
    {
        HttpRequestException e = await Assert.ThrowsAsync<HttpRequestException>(() => ask.BeginTask(callback));
        Assert.Equal(HttpRequestError.InvalidResponse, e.HttpRequestError);
        Assert.DoesNotContain("the-code", e.ToString(), StringComparison.Ordinal);
        Assert.Empty(server.To("/token"));
    }

    public async Task DisposeAsync()
    {
        await session.DisposeAsync();
        clientKey.Dispose();
    }
}
