using System.Net;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Hostile;

/// <summary>Looking for a weaker flow, another identity or private keys in what the server publishes.</summary>
public sealed class MetadataAttackTests(TestServer server) : IClassFixture<TestServer>
{
    private static readonly string[] Documents = [Names.Paths.OAuthMetadata, Names.Paths.OpenIdMetadata];

    [Fact]
    [Trait("Attack", "1")]
    [Trait("Spec", "RFC8414-2")]
    public async Task Metadata_BothForms_OfferNothingWeak()
    {
        var texts = new List<string>();
        foreach (var path in Documents)
        {
            using var answer = await server.Client().GetAsync(path);
            Assert.Equal("application/json", answer.Content.Headers.ContentType?.ToString());
            texts.Add(await answer.Content.ReadAsStringAsync());
        }

        Assert.Equal(texts[0], texts[1]);
        var metadata = JsonElement.Parse(texts[0]);
        Assert.Equal(TestServer.Issuer, metadata.GetProperty("issuer").GetString());
        Assert.Equal(["S256"], Strings(metadata, "code_challenge_methods_supported"));
        Assert.True(metadata.GetProperty("authorization_response_iss_parameter_supported").GetBoolean());
        Assert.DoesNotContain(Strings(metadata, "response_types_supported"), type => type != "code");
        Assert.DoesNotContain(Strings(metadata, "grant_types_supported"), grant => grant is "implicit" or "password");
        foreach (var list in metadata.EnumerateObject().Where(m => m.Name.EndsWith("alg_values_supported", StringComparison.Ordinal)))
        {
            Assert.NotEmpty(Strings(metadata, list.Name));
            Assert.Subset(new HashSet<string> { "ES256", "RS256" }, Strings(metadata, list.Name).ToHashSet());
        }
        Assert.False(metadata.GetProperty("request_uri_parameter_supported").GetBoolean());
        // What is not offered yet is not announced.
        Assert.False(metadata.TryGetProperty("registration_endpoint", out _));
    }

    [Fact]
    [Trait("Attack", "2")]
    public async Task HostAndForwardedHeaders_OfAnUntrustedPeer_AreNeverReflected()
    {
        var paths = Documents.Append(Names.Paths.Jwks).Append(Names.Paths.Token);
        foreach (var path in paths)
        {
            var honest = await TextAsync(path, evil: false);
            var hostile = await TextAsync(path, evil: true);

            Assert.Equal(honest, hostile);
            Assert.DoesNotContain("evil", hostile, StringComparison.OrdinalIgnoreCase);
        }

        async Task<string> TextAsync(string path, bool evil)
        {
            using var request = new HttpRequestMessage(path == Names.Paths.Token ? HttpMethod.Post : HttpMethod.Get, path);
            if (evil)
                Evil(request);
            using var answer = await server.Client().SendAsync(request);
            return $"{(int)answer.StatusCode} {answer.Headers} {answer.Content.Headers} {await answer.Content.ReadAsStringAsync()}";
        }
    }

    [Fact]
    [Trait("Attack", "2")]
    [Trait("Spec", "RFC9449-4.3")]
    public async Task HostHeader_OfAnotherName_NeitherHelpsNorHurtsAProof()
    {
        var s = await server.ScenarioAsync();
        async Task<HttpResponseMessage> AttestAsync(string address)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Instances) { Content = new FormUrlEncodedContent(s.Agent.AssertionForm()) };
            Evil(request);
            request.Headers.Add("DPoP", DpopProof.Create(s.Agent.Key, "POST", new Uri(address + Names.Paths.Instances), null, server.Time.GetUtcNow()));
            return await server.Client().SendAsync(request);
        }

        await (await AttestAsync("https://evil.test")).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "htu");
        Assert.Equal(HttpStatusCode.Created, (await AttestAsync(TestServer.Issuer)).StatusCode);
    }

    [Theory]
    [InlineData("ES256")]
    [InlineData("RS256")]
    [Trait("Attack", "5")]
    [Trait("Spec", "RFC7517-5")]
    public async Task KeySet_Published_HoldsPublicMembersAndDistinctIdsOnly(string algorithm)
    {
        var keyed = new TestServer();
        keyed.Settings["McpAuth:SigningAlgorithm"] = algorithm;
        await keyed.InitializeAsync();
        try
        {
            using var answer = await keyed.Client().GetAsync(Names.Paths.Jwks);
            Assert.Equal("application/jwk-set+json", answer.Content.Headers.ContentType?.ToString());
            var keys = JsonElement.Parse(await answer.Content.ReadAsStringAsync()).GetProperty("keys").EnumerateArray().ToList();

            string[] members = algorithm == "ES256" ? ["alg", "crv", "kid", "kty", "use", "x", "y"] : ["alg", "e", "kid", "kty", "n", "use"];
            Assert.All(keys, key => Assert.Equal(members, key.EnumerateObject().Select(m => m.Name).Order(StringComparer.Ordinal)));
            Assert.Equal(keys.Count, keys.Select(key => key.GetProperty("kid").GetString()).Distinct().Count());
            Assert.All(keys, key => Assert.Equal((algorithm, "sig"), (key.GetProperty("alg").GetString(), key.GetProperty("use").GetString())));
            Assert.True(VerificationKey.FromJwks(JsonElement.Parse(await answer.Content.ReadAsStringAsync())).Ok);
        }
        finally
        {
            await keyed.DisposeAsync();
        }
    }

    [Theory]
    [InlineData("POST", "/token", true)]
    [InlineData("POST", "/revoke", true)]
    [InlineData("GET", Names.Paths.OAuthMetadata, true)]
    [InlineData("GET", Names.Paths.OpenIdMetadata, true)]
    [InlineData("GET", "/jwks", true)]
    [InlineData("POST", "/introspect", false)]
    [InlineData("POST", "/agents/instances", false)]
    [InlineData("POST", "/tasks", false)]
    [InlineData("POST", "/guard/enroll", false)]
    [InlineData("POST", "/guard/revocations", false)]
    [InlineData("GET", "/health/ready", false)]
    [Trait("Attack", "7")]
    public async Task ForeignOrigin_WithCredentials_IsGrantedNothing(string method, string path, bool readable)
    {
        foreach (var origin in new[] { "https://evil.test", "null", TestServer.Issuer + ".evil.test" })
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), path);
            request.Headers.TryAddWithoutValidation("Origin", origin);
            request.Headers.TryAddWithoutValidation("Cookie", "session=1");
            using var answer = await server.Client().SendAsync(request);
            Granted(answer);

            using var ask = new HttpRequestMessage(HttpMethod.Options, path);
            ask.Headers.TryAddWithoutValidation("Origin", origin);
            ask.Headers.TryAddWithoutValidation("Access-Control-Request-Method", method);
            ask.Headers.TryAddWithoutValidation("Access-Control-Request-Headers", "authorization,x-evil");
            using var preflight = await server.Client().SendAsync(ask);
            Granted(preflight);
        }

        void Granted(HttpResponseMessage answer)
        {
            // A browser keeps an answer from the script of a credentialed request unless it names the origin and allows credentials.
            Assert.Equal(readable ? "*" : null, Header(answer, "Access-Control-Allow-Origin"));
            Assert.Null(Header(answer, "Access-Control-Allow-Credentials"));
            Assert.DoesNotContain("evil", answer.Headers.ToString(), StringComparison.OrdinalIgnoreCase);
        }
    }

    private static void Evil(HttpRequestMessage request)
    {
        request.Headers.Host = "evil.test";
        request.Headers.Add("X-Forwarded-Host", "evil.test");
        request.Headers.Add("X-Forwarded-Proto", "http");
        request.Headers.Add("X-Forwarded-Prefix", "/evil");
        request.Headers.Add("X-Forwarded-For", "127.0.0.1");
        request.Headers.Add("X-Original-URL", "/evil");
        request.Headers.Add("Forwarded", "host=evil.test;proto=http");
    }

    private static string? Header(HttpResponseMessage answer, string name) => answer.Headers.TryGetValues(name, out var values) ? string.Join(',', values) : null;

    private static string[] Strings(JsonElement metadata, string name) => [.. metadata.GetProperty(name).EnumerateArray().Select(v => v.GetString()!)];
}
