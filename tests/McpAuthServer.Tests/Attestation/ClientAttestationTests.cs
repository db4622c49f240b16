using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Attestation;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Attestation;

/// <summary>Attesters of clients (draft-ietf-oauth-attestation-based-client-auth), with DPoP as the proof.</summary>
[Trait("Spec", "attestation-based-client-auth")]
public sealed class ClientAttestationTests(TestServer server) : IClassFixture<TestServer>
{
    private sealed record Scene(Scenario S, SigningKey Attester, string Client)
    {
        public string Attestation(Action<JsonObject>? change = null, SigningKey? by = null, string type = Names.ClientAttestation.Type, SigningKey? instance = null)
        {
            var now = S.Server.Time.GetUtcNow();
            var claims = new JsonObject
            {
                ["sub"] = Client, ["iat"] = now.ToUnixTimeSeconds(), ["exp"] = now.AddMinutes(30).ToUnixTimeSeconds(),
                ["cnf"] = new JsonObject { ["jwk"] = JsonNode.Parse((instance ?? S.Agent.Key).Public.Jwk.GetRawText()) },
            };
            change?.Invoke(claims);
            return (by ?? Attester).Sign(type, json =>
            {
                foreach (var (name, value) in claims)
                {
                    json.WritePropertyName(name);
                    value!.WriteTo(json);
                }
            });
        }

        public Task<HttpResponseMessage> AttestAsync(params (string Name, string Value)[] headers) => AttestAsync([], headers);

        public async Task<HttpResponseMessage> AttestAsync(Dictionary<string, string> form, params (string Name, string Value)[] headers)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Instances) { Content = new FormUrlEncodedContent(form) };
            request.Headers.Add("DPoP", S.Agent.Proof(HttpMethod.Post, Names.Paths.Instances));
            foreach (var (name, value) in headers)
                request.Headers.TryAddWithoutValidation(name, value);
            return await S.Server.Client().SendAsync(request);
        }

        public Task<HttpResponseMessage> AttestAsync(string attestation) => AttestAsync((Names.ClientAttestation.Header, attestation));
    }

    private async Task<Scene> SceneAsync()
    {
        var s = await server.ScenarioAsync();
        var scene = new Scene(s, SigningKey.Create(), "attested-" + s.Suffix);
        var agent = s.File["agents"]![0]!.DeepClone().AsObject();
        agent["trust"] = new JsonArray(new JsonObject { ["issuer"] = "wli_" + s.Suffix, ["client"] = scene.Client, ["select"] = new JsonObject { ["sub"] = scene.Client } });
        await server.ApplyAsync(new JsonObject
        {
            ["workload_issuers"] = new JsonArray(new JsonObject
            {
                ["id"] = "wli_" + s.Suffix, ["name"] = "Attester", ["kind"] = "attester", ["issuer"] = $"https://attester-{s.Suffix}.test",
                ["jwks"] = new JsonObject { ["keys"] = new JsonArray(JsonNode.Parse(scene.Attester.Public.Jwk.GetRawText())) },
            }),
            ["agents"] = new JsonArray(agent),
            ["clients"] = new JsonArray(new JsonObject
            {
                ["id"] = scene.Client, ["name"] = "Attested", ["agent"] = s.Agent.Id, ["auth_method"] = "instance_key", ["grant_types"] = new JsonArray(Names.Exchange.GrantType),
            }),
        }.ToJsonString());
        return scene;
    }

    [Fact]
    public async Task Attestation_WithAProofByItsKey_MakesAnInstance()
    {
        var scene = await SceneAsync();
        var mark = await server.NowAsync();

        var instance = await (await scene.AttestAsync(scene.Attestation())).ReadAsync(ProtocolJson.Default.InstanceResponse);

        Assert.Equal(scene.S.Agent.Id, instance.Agent);
        var e = Assert.Single(await server.SinceAsync(mark));
        Assert.Equal((AuditTypes.InstanceAttested, "attester", scene.Client), (e.Type, (string?)e.Data!["evidence"], e.Client));
        // An attestation is good until it is over; the same key may come with it again.
        Assert.Equal(HttpStatusCode.OK, (await scene.AttestAsync(scene.Attestation())).StatusCode);
    }

    public static TheoryData<string, string, string> Broken => new()
    {
        { "by another key", Names.ClientAttestation.Invalid, Names.Reasons.BadSignature }, { "of another type", Names.ClientAttestation.Invalid, "wrong_type" },
        { "of another client", Names.ClientAttestation.Invalid, EvidenceVerifier.UnknownIssuer }, { "of another attester", Names.ClientAttestation.Invalid, EvidenceVerifier.UnknownIssuer },
        { "over", Names.ClientAttestation.UseFresh, Names.Reasons.Expired }, { "without iat", Names.ClientAttestation.Invalid, Names.Reasons.Malformed },
        { "without a key", Names.ClientAttestation.Invalid, Names.Reasons.Malformed }, { "with a private key", Names.ClientAttestation.Invalid, Names.Reasons.Malformed },
        { "good for too long", Names.ClientAttestation.Invalid, EvidenceVerifier.TooLong }, { "of another program's key", Names.ClientAttestation.Invalid, Attesting.OtherKey },
        { "twice", Names.ClientAttestation.Invalid, "two_methods" }, { "beside other evidence", Names.ClientAttestation.Invalid, "two_methods" }, { "with another proof", Names.ClientAttestation.Invalid, "two_methods" },
    };

    [Theory]
    [MemberData(nameof(Broken))]
    public async Task Attestation_WrongInOneThing_IsRefused(string how, string error, string reason)
    {
        var scene = await SceneAsync();
        using var other = SigningKey.Create();
        long In(int minutes) => server.Time.GetUtcNow().AddMinutes(minutes).ToUnixTimeSeconds();
        var good = scene.Attestation();
        await server.RefusedAsync(() => how switch
        {
            "by another key" => scene.AttestAsync(scene.Attestation(by: other)),
            "of another type" => scene.AttestAsync(scene.Attestation(type: "JWT")),
            "of another client" => scene.AttestAsync(scene.Attestation(c => c["sub"] = scene.S.Agent.ClientId)),
            "of another attester" => scene.AttestAsync(scene.Attestation(c => c["iss"] = "https://other.test")),
            "over" => scene.AttestAsync(scene.Attestation(c => c["exp"] = In(-1))),
            "without iat" => scene.AttestAsync(scene.Attestation(c => c.Remove("iat"))),
            "without a key" => scene.AttestAsync(scene.Attestation(c => c.Remove("cnf"))),
            "with a private key" => scene.AttestAsync(scene.Attestation(c => c["cnf"]!["jwk"]!["d"] = "AA")),
            "good for too long" => scene.AttestAsync(scene.Attestation(c => c["exp"] = In(120))),
            "of another program's key" => scene.AttestAsync(scene.Attestation(instance: other)),
            "beside other evidence" => scene.AttestAsync(new Dictionary<string, string> { ["assertion"] = "e30.e30.AA" }, (Names.ClientAttestation.Header, good)),
            "twice" => scene.AttestAsync((Names.ClientAttestation.Header, good), (Names.ClientAttestation.Header, good)),
            _ => scene.AttestAsync((Names.ClientAttestation.Header, good), (Names.ClientAttestation.ProofHeader, good)),
        }, HttpStatusCode.BadRequest, error, reason, AuditTypes.InstanceRefused, reason);
    }
}
