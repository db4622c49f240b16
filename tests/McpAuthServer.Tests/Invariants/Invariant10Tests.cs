using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Invariants;

/// <summary>10. Identity comes from configuration, never from <c>Host</c> or forwarded headers.</summary>
public sealed class Invariant10Tests(TestServer server) : IClassFixture<TestServer>
{
    private const string Evil = "evil.test";

    [Theory]
    [InlineData(Names.Paths.OAuthMetadata)]
    [InlineData(Names.Paths.OpenIdMetadata)]
    [InlineData(Names.Paths.Jwks)]
    [InlineData(Names.Paths.HealthReady)]
    [InlineData("/tasks/tsk_x")]
    [InlineData("/nowhere")]
    [Trait("Attack", "2"), Trait("Spec", "RFC8414-3.3")]
    public async Task Invariant10_IdentityComesFromConfiguration_NoAnswerReflectsTheHost(string path)
    {
        using var plain = new HttpRequestMessage(HttpMethod.Get, path);
        using var evil = Disguised(HttpMethod.Get, path);
        var (expected, answer) = (await server.Client().SendAsync(plain), await server.Client().SendAsync(evil));
        Assert.Equal(expected.StatusCode, answer.StatusCode);
        Assert.Equal(await expected.Content.ReadAsStringAsync(), await answer.Content.ReadAsStringAsync());
        Assert.DoesNotContain(Evil, answer.Headers + answer.Content.Headers.ToString(), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    [Trait("Attack", "2")]
    public async Task Invariant10_IdentityComesFromConfiguration_TokensAndProofsIgnoreTheHost()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        async Task<HttpResponseMessage> ExchangeAsync(string proof)
        {
            using var request = Disguised(HttpMethod.Post, Names.Paths.Token);
            request.Content = new FormUrlEncodedContent(s.Agent.ExchangeForm(details: s.Details(["read_file"], new JsonObject { ["purpose"] = "p" })));
            request.Headers.Add("DPoP", proof);
            return await server.Client().SendAsync(request);
        }
        // The proof for the configured address is right, whatever host was called; one for the host that was called is not.
        var token = await (await ExchangeAsync(s.Agent.Proof(HttpMethod.Post, Names.Paths.Token))).ReadAsync(ProtocolJson.Default.TokenResponse);
        var claims = Answers.Claims(token.AccessToken);
        Assert.Equal((TestServer.Issuer, TestServer.Issuer), (claims.GetProperty("iss").GetString(), claims.GetProperty("task").GetProperty("issuer").GetString()));
        Assert.DoesNotContain(Evil, claims.GetRawText(), StringComparison.Ordinal);
        await (await ExchangeAsync(DpopProof.Create(s.Agent.Key, "POST", new Uri($"https://{Evil}/token"), null, server.Time.GetUtcNow())))
            .RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "htu");

        // Nor can a client be authenticated by an assertion for that host.
        using var assertion = Disguised(HttpMethod.Post, Names.Paths.Instances);
        var form = s.Agent.AssertionForm();
        form[Names.ClientAssertion.Parameter] = s.Agent.Assertion(new() { ["aud"] = $"https://{Evil}" });
        assertion.Content = new FormUrlEncodedContent(form);
        assertion.Headers.Add("DPoP", s.Agent.Proof(HttpMethod.Post, Names.Paths.Instances));
        await (await server.Client().SendAsync(assertion)).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidClient);

        // The address of a created task is a path of ours.
        using var create = Disguised(HttpMethod.Post, Names.Paths.Tasks);
        create.Content = System.Net.Http.Json.JsonContent.Create(new JsonObject { ["purpose"] = "p", ["authorization_details"] = s.Details(["read_file"]) });
        create.Headers.Authorization = new("DPoP", s.Agent.InstanceToken);
        create.Headers.Add("DPoP", s.Agent.Proof(HttpMethod.Post, Names.Paths.Tasks, s.Agent.InstanceToken));
        var created = await server.Client().SendAsync(create);
        Assert.Equal(HttpStatusCode.Created, created.StatusCode);
        Assert.StartsWith("/tasks/tsk_", created.Headers.Location!.ToString(), StringComparison.Ordinal);
    }

    private static HttpRequestMessage Disguised(HttpMethod method, string path)
    {
        var request = new HttpRequestMessage(method, path);
        request.Headers.Host = Evil;
        foreach (var (name, value) in new[]
        {
            ("X-Forwarded-Host", Evil), ("X-Forwarded-Proto", "http"), ("X-Forwarded-Prefix", "/" + Evil), ("X-Original-Host", Evil), ("Forwarded", $"host={Evil};proto=http"),
            ("X-Forwarded-For", "127.0.0.1"),
        })
            request.Headers.TryAddWithoutValidation(name, value);
        return request;
    }
}
