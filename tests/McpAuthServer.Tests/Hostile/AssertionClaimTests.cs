using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Hostile;

/// <summary>Client assertions that are signed rightly and say the wrong thing (RFC 7523 §3), at every endpoint that takes them.</summary>
public sealed class AssertionClaimTests(TestServer server) : IClassFixture<TestServer>
{
    private const string TooLong = "5 minutes and 31 seconds";

    private static readonly Dictionary<string, (Action<JsonObject, Scenario> Change, string Reason)> Audiences = new()
    {
        ["another issuer"] = ((c, _) => c["aud"] = "https://other.test", "wrong_audience"),
        ["ours and another"] = ((c, _) => c["aud"] = new JsonArray(TestServer.Issuer, "https://other.test"), "wrong_audience"),
        ["ours twice"] = ((c, _) => c["aud"] = new JsonArray(TestServer.Issuer, TestServer.Issuer), "wrong_audience"),
        ["the token endpoint"] = ((c, _) => c["aud"] = TestServer.Issuer + Names.Paths.Token, "wrong_audience"),
        ["the endpoint for pushed requests"] = ((c, _) => c["aud"] = TestServer.Issuer + Names.Paths.PushedRequests, "wrong_audience"),
        ["ours and the token endpoint"] = ((c, _) => c["aud"] = new JsonArray(TestServer.Issuer, TestServer.Issuer + Names.Paths.Token), "wrong_audience"),
        ["one slash more"] = ((c, _) => c["aud"] = TestServer.Issuer + "/", "wrong_audience"),
        ["a prefix"] = ((c, _) => c["aud"] = TestServer.Issuer[..^1], "wrong_audience"),
        ["other case"] = ((c, _) => c["aud"] = TestServer.Issuer.ToUpperInvariant(), "wrong_audience"),
        ["a tool server"] = ((c, s) => c["aud"] = s.Resource, "wrong_audience"),
        ["none"] = ((c, _) => c.Remove("aud"), "wrong_audience"),
        ["an empty list"] = ((c, _) => c["aud"] = new JsonArray(), "wrong_audience"),
        ["a list with a number"] = ((c, _) => c["aud"] = new JsonArray(TestServer.Issuer, 1), "wrong_audience"),
        ["an object"] = ((c, _) => c["aud"] = new JsonObject { ["iss"] = TestServer.Issuer }, "wrong_audience"),
    };

    private static readonly Dictionary<string, (Action<JsonObject, Scenario> Change, string Reason)> Times = new()
    {
        ["no exp"] = ((c, _) => c.Remove("exp"), "expired"),
        ["exp as text"] = ((c, _) => c["exp"] = c["exp"]!.ToString(), "expired"),
        ["exp null"] = ((c, _) => c["exp"] = null, "expired"),
        ["exp negative"] = ((c, _) => c["exp"] = -1, "expired"),
        ["exp beyond all time"] = ((c, _) => c["exp"] = 1e17, "expired"),
        ["exp 30 s ago"] = ((c, s) => c["exp"] = Now(s) - 30, "expired"),
        [TooLong] = ((c, s) => c["exp"] = Now(s) + 331, "exp_too_far"),
        ["exp in a year"] = ((c, s) => c["exp"] = Now(s) + 31_536_000, "exp_too_far"),
        ["nbf ahead"] = ((c, s) => c["nbf"] = Now(s) + 31, "not_yet_valid"),
        ["nbf as text"] = ((c, s) => c["nbf"] = "0", "not_yet_valid"),
        ["iat ahead"] = ((c, s) => c["iat"] = Now(s) + 31, "not_yet_valid"),
        ["no jti"] = ((c, _) => c.Remove("jti"), "malformed"),
        ["jti a number"] = ((c, _) => c["jti"] = 7, "malformed"),
        ["jti empty"] = ((c, _) => c["jti"] = "", "malformed"),
        ["jti of 513"] = ((c, _) => c["jti"] = new string('j', 513), "malformed"),
    };

    private static readonly Dictionary<string, (Action<JsonObject, Scenario> Change, string Reason)> Parties = new()
    {
        ["iss another client"] = ((c, s) => c["iss"] = s.ServiceClient, "client_mismatch"),
        ["sub another client"] = ((c, s) => c["sub"] = s.ServiceClient, "client_mismatch"),
        ["sub the agent"] = ((c, s) => c["sub"] = s.Agent.Id, "client_mismatch"),
        ["no iss"] = ((c, _) => c.Remove("iss"), "client_mismatch"),
        ["no sub"] = ((c, _) => c.Remove("sub"), "client_mismatch"),
        ["iss and sub lists"] = ((c, _) => (c["iss"], c["sub"]) = (new JsonArray("x"), new JsonArray("x")), "client_mismatch"),
        ["both an unknown client"] = ((c, _) => Both(c, "nobody"), "unknown_client"),
        ["both an unknown guard"] = ((c, _) => Both(c, "grd_nobody"), "unknown_client"),
        ["both a client with a secret"] = ((c, s) => Both(c, s.ServiceClient), "wrong_method"),
        ["both the issuer"] = ((c, _) => Both(c, TestServer.Issuer), "document_address"),
        ["other case"] = ((c, s) => Both(c, s.Agent.ClientId.ToUpperInvariant()), "unknown_client"),
    };

    public static TheoryData<string, string> AudienceCases => Door.Times(Audiences.Keys);
    public static TheoryData<string, string> TimeCases => Door.Times(Times.Keys);
    public static TheoryData<string, string> NameCases => Door.Times(Parties.Keys);
    public static TheoryData<string> Doors => [.. Door.All];

    [Theory]
    [MemberData(nameof(Doors))]
    [Trait("Spec", "RFC7523-3")]
    public async Task ClientAssertion_WhatTheForgeMakesUnspoiled_OpensEveryDoor(string door)
    {
        var at = await Door.OfAsync(server, door);

        using var answer = await at.KnockAsync(Forge.Assertion(at.Scenario));

        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
    }

    [Theory]
    [MemberData(nameof(AudienceCases))]
    [Trait("Attack", "75")]
    [Trait("Spec", "RFC7523-3")]
    public Task ClientAssertion_ForAnotherAudienceOrSeveral_IsNoClient(string audience, string door) => RefusedAsync(Audiences[audience], door);

    [Theory]
    [MemberData(nameof(TimeCases))]
    [Trait("Attack", "76")]
    [Trait("Spec", "RFC7523-3")]
    public Task ClientAssertion_WithoutABoundedLifeOrId_IsNoClient(string time, string door) => RefusedAsync(Times[time], door);

    [Theory]
    [MemberData(nameof(NameCases))]
    [Trait("Attack", "77")]
    [Trait("Spec", "RFC7523-3")]
    public Task ClientAssertion_IssuerSubjectAndClientNotOne_IsNoClient(string names, string door) => RefusedAsync(Parties[names], door);

    [Theory]
    [MemberData(nameof(Doors))]
    [Trait("Attack", "77")]
    public async Task ClientAssertion_BesideAnotherClientId_IsNoClient(string door)
    {
        var at = await Door.OfAsync(server, door);
        var s = at.Scenario;

        await at.StaysShutAsync(Forge.Assertion(s), "client_mismatch", new() { ["client_id"] = s.ServiceClient });
    }

    [Theory]
    [MemberData(nameof(Doors))]
    [Trait("Attack", "77")]
    public async Task ClientAssertion_OfOneAgentNamingAnother_IsNoClient(string door)
    {
        var s = await server.ScenarioAsync(o => (o.FurtherAgents, o.Agent["client_credentials"]) = (1, true));
        var at = await Door.OfAsync(s, door);

        await at.StaysShutAsync(Forge.Es256(s.Agents[1].ClientKey, Forge.Header(s.Agents[1]).ToJsonString(), Forge.Claims(s, s.Agent).ToJsonString()), "bad_signature");
    }

    [Theory]
    [MemberData(nameof(Doors))]
    [Trait("Attack", "77")]
    public async Task ClientAssertion_OfAnotherType_IsNoClient(string door)
    {
        var at = await Door.OfAsync(server, door);

        foreach (var type in new[] { Names.Types.AccessToken, Names.Types.Dpop, Names.Types.SecurityEvent, "", "application/x/client-authentication+jwt" })
            await at.StaysShutAsync(Forge.Assertion(at.Scenario, header: h => h["typ"] = type), "wrong_type");
    }

    [Fact]
    [Trait("Spec", "RFC7523-3")]
    public async Task ClientAssertion_AtTheEdgesOfItsLife_IsTaken()
    {
        var at = await Door.OfAsync(server, Door.Token);

        foreach (var exp in new[] { Now(at.Scenario) - 29, Now(at.Scenario) + 330 })
        {
            using var answer = await at.KnockAsync(Forge.Assertion(at.Scenario, claims: c => c["exp"] = exp));
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }
    }

    [Theory]
    [InlineData("client-authentication+jwt")]
    [InlineData("oauth-client-auth+jwt")]
    [InlineData("JWT")]
    [InlineData("application/client-authentication+JWT")]
    [InlineData(null)]
    [Trait("Spec", "RFC7523-3")]
    public async Task ClientAssertion_TypeOfItsUseOrNone_IsTaken(string? type)
    {
        var at = await Door.OfAsync(server, Door.Token);

        using var answer = await at.KnockAsync(Forge.Assertion(at.Scenario, header: h =>
        {
            if (type is null)
                h.Remove("typ");
            else
                h["typ"] = type;
        }));

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    private static void Both(JsonObject claims, string client) => (claims["iss"], claims["sub"]) = (client, client);

    private static long Now(Scenario s) => s.Server.Time.GetUtcNow().ToUnixTimeSeconds();

    private async Task RefusedAsync((Action<JsonObject, Scenario> Change, string Reason) c, string door)
    {
        var at = await Door.OfAsync(server, door);
        await at.StaysShutAsync(Forge.Assertion(at.Scenario, claims: claims => c.Change(claims, at.Scenario)), c.Reason);
    }
}
