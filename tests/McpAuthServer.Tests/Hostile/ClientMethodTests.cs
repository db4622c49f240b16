using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Hostile;

/// <summary>Authenticating in two ways, in a way that is not the client's, or with rubbish (RFC 6749 §2.3, OAuth 2.1 §2.4).</summary>
public sealed class ClientMethodTests(TestServer server) : IClassFixture<TestServer>
{
    private const string Secret = "a-secret-of-enough-characters-0123456789";

    /// <summary>What each case adds to a request that carries no credential.</summary>
    private static readonly Dictionary<string, (Action<Attempt> Spoil, string Reason)> Cases = new()
    {
        ["Basic and secret in the body"] = (a => a.Basic(a.Service, a.ServiceSecret).Body("client_secret", a.ServiceSecret), "two_methods"),
        ["Basic and an assertion"] = (a => a.Basic(a.Service, a.ServiceSecret).Assertion(), "two_methods"),
        ["Basic and an assertion type"] = (a => a.Basic(a.Service, a.ServiceSecret).Body("client_assertion_type", "x"), "two_methods"),
        ["secret in the body and an assertion"] = (a => a.Body("client_secret", a.ServiceSecret).Assertion(), "two_methods"),
        ["all three"] = (a => a.Basic(a.Service, a.ServiceSecret).Body("client_secret", a.ServiceSecret).Assertion(), "two_methods"),
        ["Basic, registered for post"] = (a => a.Basic(a.Post, a.PostSecret), "wrong_method"),
        ["post, registered for Basic"] = (a => a.Body("client_id", a.Service).Body("client_secret", a.ServiceSecret), "wrong_method"),
        ["secret, registered for a key"] = (a => a.Basic(a.Key, Secret), "wrong_method"),
        ["a public client with a secret"] = (a => a.Body("client_id", a.Public).Body("client_secret", Secret), "wrong_method"),
        ["a public client by Basic"] = (a => a.Basic(a.Public, Secret), "wrong_method"),
        ["a public client by Basic without a secret"] = (a => a.Basic(a.Public, ""), "wrong_method"),
        ["no credential, registered for Basic"] = (a => a.Body("client_id", a.Service), "no_credential"),
        ["no credential, registered for a key"] = (a => a.Body("client_id", a.Key), "no_credential"),
        ["nothing at all"] = (_ => { }, "unknown_client"),
        ["an unknown client"] = (a => a.Body("client_id", "nobody"), "unknown_client"),
        ["an unknown client by Basic"] = (a => a.Basic("nobody", Secret), "unknown_client"),
        ["a wrong secret"] = (a => a.Basic(a.Service, Secret), "bad_secret"),
        ["a secret with one character more"] = (a => a.Basic(a.Service, a.ServiceSecret + "x"), "bad_secret"),
        ["an empty secret"] = (a => a.Basic(a.Service, ""), "bad_secret"),
        ["the hash for the secret"] = (a => a.Basic(a.Service, McpAuth.Protocol.Jose.Base64Url.Sha256(a.ServiceSecret)), "bad_secret"),
        ["the client id in other case"] = (a => a.Basic(a.Service.ToUpperInvariant(), a.ServiceSecret), "unknown_client"),
        ["Basic beside another client_id"] = (a => a.Basic(a.Service, a.ServiceSecret).Body("client_id", a.Post), "client_mismatch"),
        ["secret in the body without client_id"] = (a => a.Body("client_secret", a.ServiceSecret), "unknown_client"),
        ["Basic of nothing"] = (a => a.Header("Basic "), "malformed"),
        ["Basic of no base64"] = (a => a.Header("Basic !!!!"), "malformed"),
        ["Basic without a colon"] = (a => a.Header("Basic " + Base64("nobody")), "malformed"),
        ["Basic without a name"] = (a => a.Header("Basic " + Base64(":" + Secret)), "malformed"),
        ["Bearer"] = (a => a.Header("Bearer abc"), "malformed"),
        ["two headers"] = (a => a.Basic(a.Service, a.ServiceSecret).Header("Basic " + Base64($"{a.Service}:{a.ServiceSecret}")), "malformed"),
        ["an assertion without its type"] = (a => a.Assertion().Body("client_assertion_type", ""), "malformed"),
        ["an assertion of another type"] = (a => a.Assertion().Body("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"), "malformed"),
        ["an assertion type alone"] = (a => a.Body("client_assertion_type", Names.ClientAssertion.JwtBearer), "malformed"),
    };

    public static TheoryData<string> CaseNames => [.. Cases.Keys];

    [Theory]
    [MemberData(nameof(CaseNames))]
    [Trait("Attack", "73")]
    [Trait("Spec", "RFC6749-2.3")]
    public async Task Client_NotAuthenticatedByItsOneMethod_IsNoClient(string name)
    {
        var (spoil, reason) = Cases[name];
        var s = await ArrangeAsync();
        foreach (var (path, refusal) in new[] { (Names.Paths.Token, AuditTypes.ClientRefused), (Names.Paths.Revoke, AuditTypes.TokenRevoked) })
        {
            var (attempt, used) = (new Attempt(s), await Door.UsedAsync(server));
            spoil(attempt);
            HttpResponseMessage? answer = null;

            var recorded = await server.RefusedAsync(
                async () => answer = await attempt.SendAsync(path), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, refusal, reason);

            // RFC 6749 §5.2: a challenge of the scheme that was used.
            Assert.Equal(attempt.UsedHeader, answer!.Headers.WwwAuthenticate.Any(c => c.Scheme == "Basic"));
            Assert.Equal(used, await Door.UsedAsync(server));
            Assert.DoesNotContain(s.ServiceSecret, recorded.ToString(), StringComparison.Ordinal);
            Assert.NotEqual("nobody", recorded.Client);
        }
    }

    [Theory]
    [InlineData("suspended")]
    [InlineData("retired")]
    [Trait("Attack", "73")]
    public async Task Client_NoLongerActive_IsNoClientByAnyMethod(string state)
    {
        var s = await ArrangeAsync();
        foreach (var client in s.File["clients"]!.AsArray())
            client!["state"] = state;
        await server.ApplyAsync(s.File.ToJsonString());
        await server.ApplyAsync(new JsonObject { ["clients"] = new JsonArray(PostClient(s, state), PublicClient(s, state)) }.ToJsonString());

        foreach (var spoil in new Action<Attempt>[]
        {
            a => a.Basic(a.Service, a.ServiceSecret), a => a.Body("client_id", a.Post).Body("client_secret", a.PostSecret), a => a.Body("client_id", a.Public), a => a.Assertion(),
        })
        {
            var attempt = new Attempt(s);
            spoil(attempt);
            await server.RefusedAsync(
                () => attempt.SendAsync(Names.Paths.Token), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, AuditTypes.ClientRefused, "unknown_client");
        }
    }

    [Fact]
    [Trait("Spec", "RFC6749-4.4")]
    public async Task PublicClient_ActingForItself_IsRefused()
    {
        var s = await ArrangeAsync();

        await server.RefusedAsync(
            () => new Attempt(s).Body("client_id", $"public-{s.Suffix}").SendAsync(Names.Paths.Token),
            HttpStatusCode.BadRequest, Names.Errors.UnauthorizedClient, null, AuditTypes.TokenRefused, Names.Errors.UnauthorizedClient);
    }

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));

    private static JsonObject PostClient(Scenario s, string? state = null) => new()
    {
        ["id"] = $"post-{s.Suffix}", ["name"] = "Post", ["auth_method"] = "client_secret_post", ["secret"] = Secret + s.Suffix, ["state"] = state ?? "active",
        ["grant_types"] = new JsonArray("client_credentials"), ["authority"] = s.Details(["read_file"]),
    };

    private static JsonObject PublicClient(Scenario s, string? state = null) => new()
    {
        ["id"] = $"public-{s.Suffix}", ["name"] = "Public", ["auth_method"] = "none", ["state"] = state ?? "active",
        ["grant_types"] = new JsonArray(Names.Exchange.GrantType),
    };

    private async Task<Scenario> ArrangeAsync()
    {
        var s = await server.ScenarioAsync();
        await server.ApplyAsync(new JsonObject { ["clients"] = new JsonArray(PostClient(s), PublicClient(s)) }.ToJsonString());
        return s;
    }

    /// <summary>A token request for the client's own authority, to which a case adds credentials.</summary>
    private sealed class Attempt(Scenario s)
    {
        private readonly List<string> headers = [];
        private readonly Dictionary<string, string> form = new()
        {
            ["grant_type"] = Names.OAuth.ClientCredentials, ["resource"] = s.Resource, ["token"] = "some-token",
        };

        public string Service => s.ServiceClient;
        public string ServiceSecret => s.ServiceSecret;
        public string Post => $"post-{s.Suffix}";
        public string PostSecret => Secret + s.Suffix;
        public string Public => $"public-{s.Suffix}";
        public string Key => s.Agent.ClientId;
        public bool UsedHeader => headers.Count > 0;

        public Attempt Header(string value)
        {
            headers.Add(value);
            return this;
        }

        public Attempt Basic(string id, string secret) => Header("Basic " + Base64($"{id}:{secret}"));

        public Attempt Body(string name, string value)
        {
            form[name] = value;
            return this;
        }

        public Attempt Assertion()
        {
            foreach (var (name, value) in s.Agent.AssertionForm())
                form[name] = value;
            return this;
        }

        public async Task<HttpResponseMessage> SendAsync(string path)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new FormUrlEncodedContent(form) };
            if (headers.Count > 0)
                request.Headers.TryAddWithoutValidation("Authorization", headers);
            return await s.Server.Client().SendAsync(request);
        }
    }
}
