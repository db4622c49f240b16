using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;
using McpAuthServer.Tests.Hostile;

namespace McpAuthServer.Tests.Clients;

/// <summary>Every way a client may authenticate, done rightly; what is refused is in <see cref="ClientMethodTests"/>.</summary>
public sealed class ClientAuthenticatorTests(TestServer server) : IClassFixture<TestServer>
{
    private const string OddSecret = "+%&=:~\"<>#?/\\{}|^`'()*!@$,;-_.0123456789";

    [Theory]
    [InlineData("plain-client", "a-plain-secret-of-enough-characters-0123")]
    [InlineData("https://client.test/app:1", OddSecret)]
    [Trait("Spec", "RFC6749-2.3.1")]
    public async Task Basic_FormUrlencodedParts_AreDecodedOnce(string id, string secret)
    {
        var s = await WithClientAsync(id, secret, "client_secret_basic");

        // Both spellings of the encoding: what must be escaped, and everything.
        foreach (var encode in new Func<string, string>[] { WebUtility.UrlEncode!, text => string.Concat(Encoding.ASCII.GetBytes(text).Select(b => $"%{b:X2}")) })
        {
            using var request = Request(s);
            request.Headers.TryAddWithoutValidation("Authorization", "Basic " + Convert.ToBase64String(Encoding.ASCII.GetBytes($"{encode(id)}:{encode(secret)}")));
            await (await server.Client().SendAsync(request)).ReadAsync(ProtocolJson.Default.TokenResponse);
        }
    }

    [Fact]
    [Trait("Spec", "RFC6749-2.3.1")]
    public async Task Basic_SchemeInOtherCase_IsTaken()
    {
        var s = await server.ScenarioAsync();
        using var request = Request(s);
        request.Headers.TryAddWithoutValidation("Authorization", "bAsIc " + Convert.ToBase64String(Encoding.ASCII.GetBytes($"{s.ServiceClient}:{s.ServiceSecret}")));

        await (await server.Client().SendAsync(request)).ReadAsync(ProtocolJson.Default.TokenResponse);
    }

    [Fact]
    [Trait("Spec", "RFC6749-2.3.1")]
    public async Task Post_IdAndSecretInTheBody_AreTaken()
    {
        var s = await WithClientAsync("post-client", "post" + OddSecret, "client_secret_post");
        using var request = Request(s, new() { ["client_id"] = "post-client", ["client_secret"] = "post" + OddSecret });

        await (await server.Client().SendAsync(request)).ReadAsync(ProtocolJson.Default.TokenResponse);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    [Trait("Spec", "RFC7523-3")]
    public async Task PrivateKeyJwt_IssuerAlone_IsTakenAsTextAndAsAListOfOne(bool list)
    {
        var at = await Door.OfAsync(server, Door.Token);

        using var answer = await at.KnockAsync(Forge.Assertion(at.Scenario, claims: c => c["aud"] = list ? new JsonArray(TestServer.Issuer) : TestServer.Issuer));

        await answer.ReadAsync(ProtocolJson.Default.TokenResponse);
    }

    [Fact]
    [Trait("Spec", "RFC7523-3")]
    public async Task PrivateKeyJwt_ClientIdBesideIt_MayBeTheSame()
    {
        var at = await Door.OfAsync(server, Door.Token);

        using var answer = await at.KnockAsync(Forge.Assertion(at.Scenario, header: h => h.Remove("kid")), new() { ["client_id"] = at.Scenario.Agent.ClientId });

        await answer.ReadAsync(ProtocolJson.Default.TokenResponse);
    }

    [Fact]
    [Trait("Spec", "RFC7523-3")]
    [Trait("Spec", "RFC9126-2")]
    public async Task PrivateKeyJwt_LegacyAudience_OnlyWhereTheRecordAllowsIt()
    {
        var s = await server.ScenarioAsync(o => o.Agent["client_credentials"] = true);
        s.File["clients"]![0]!["legacy_audience"] = true;
        await server.ApplyAsync(s.File.ToJsonString());
        var at = await Door.OfAsync(s, Door.Token);

        foreach (var audience in new[] { TestServer.Issuer + Names.Paths.Token, TestServer.Issuer + Names.Paths.PushedRequests, TestServer.Issuer })
            await (await at.KnockAsync(Forge.Assertion(s, claims: c => c["aud"] = audience))).ReadAsync(ProtocolJson.Default.TokenResponse);
        foreach (var audience in new[] { TestServer.Issuer + Names.Paths.Revoke, TestServer.Issuer + Names.Paths.Token + "/" })
            await at.StaysShutAsync(Forge.Assertion(s, claims: c => c["aud"] = audience), "wrong_audience");
        await at.StaysShutAsync(Forge.Assertion(s, claims: c => c["aud"] = new JsonArray(TestServer.Issuer, TestServer.Issuer + Names.Paths.Token)), "wrong_audience");
    }

    [Fact]
    [Trait("Spec", "RFC6749-3.2.1")]
    public async Task NoCredential_PublicClient_IsIdentifiedByItsId()
    {
        var s = await server.ScenarioAsync();
        var id = "public-" + s.Suffix;
        await server.ApplyAsync(new JsonObject
        {
            ["clients"] = new JsonArray(new JsonObject { ["id"] = id, ["name"] = "Public", ["auth_method"] = "none", ["grant_types"] = new JsonArray(Names.Exchange.GrantType) }),
        }.ToJsonString());
        using var request = Request(s, new() { ["client_id"] = id });

        // It got past authentication: the refusal is about the grant.
        await (await server.Client().SendAsync(request)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.UnauthorizedClient);
    }

    private static HttpRequestMessage Request(Scenario s, Dictionary<string, string>? more = null) => new(HttpMethod.Post, Names.Paths.Token)
    {
        Content = new FormUrlEncodedContent(new Dictionary<string, string>(more ?? []) { ["grant_type"] = Names.OAuth.ClientCredentials, ["resource"] = s.Resource }),
    };

    private async Task<Scenario> WithClientAsync(string id, string secret, string method)
    {
        var s = await server.ScenarioAsync();
        await server.ApplyAsync(new JsonObject
        {
            ["clients"] = new JsonArray(new JsonObject
            {
                ["id"] = id, ["name"] = "Client", ["auth_method"] = method, ["secret"] = secret, ["grant_types"] = new JsonArray("client_credentials"),
                ["authority"] = s.Details(["read_file"]),
            }),
        }.ToJsonString());
        return s;
    }
}
