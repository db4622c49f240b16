using System.Globalization;
using System.Text.Json.Nodes;
using McpAuth.Protocol.Jose;

namespace McpAuthServer.Tests.Harness;

/// <summary>
/// Somebody who tells programs who they are, with tokens of the shape that its documentation shows, and keys at an address of its own. Everything is named
/// after one scenario's agent.
/// </summary>
internal sealed class TestPlatform
{
    private static int next;

    private readonly Scenario scenario;
    private readonly TestInternet internet;

    private TestPlatform(Scenario scenario, TestInternet internet, string kind, string issuer, JsonObject claims, params string[] selectors)
    {
        (this.scenario, this.internet, Kind, Issuer, this.claims) = (scenario, internet, kind, issuer, claims);
        Select = new JsonObject(selectors.Select(s => s.Split('=', 2)).Select(p => KeyValuePair.Create(p[0], (JsonNode?)p[1])));
        Publish();
    }

    private readonly JsonObject claims;

    public static IReadOnlyList<string> Kinds => ["oidc", "kubernetes", "github", "gcp", "azure", "aws", "spiffe"];

    public string Kind { get; }
    public string Issuer { get; }
    public SigningKey Key { get; set; } = SigningKey.Create("RS256");

    /// <summary>What a binding to this program selects.</summary>
    public JsonObject Select { get; }

    public string Id => $"wli_{Kind}_{scenario.Suffix}";
    public string KeySet => $"https://{Host}/keys";
    private string Host { get; } = $"p{Interlocked.Increment(ref next).ToString(CultureInfo.InvariantCulture)}.client.test";

    /// <summary>The agent's client as its workloads have it: they authenticate by their own keys.</summary>
    public string Client => $"workload-{scenario.Suffix}";

    public static TestPlatform Of(string kind, Scenario s, TestInternet internet)
    {
        var n = s.Suffix;
        return kind switch
        {
            "kubernetes" => new(s, internet, kind, $"https://oidc.cluster-{n}.test", new()
            {
                ["sub"] = "system:serviceaccount:prod:summariser",
                ["kubernetes.io"] = new JsonObject
                {
                    ["namespace"] = "prod", ["node"] = new JsonObject { ["name"] = "node-1", ["uid"] = "646e7c5e" },
                    ["pod"] = new JsonObject { ["name"] = "summariser-69cbfb9798-jv9gn", ["uid"] = "778a530c" },
                    ["serviceaccount"] = new JsonObject { ["name"] = "summariser", ["uid"] = "a087d5a0-" + n }, ["warnafter"] = 1700000000,
                },
            }, "namespace=prod", "service_account=summariser", "service_account_uid=a087d5a0-" + n),
            "github" => new(s, internet, kind, $"https://token.actions.githubusercontent.com/e{n}", new()
            {
                ["sub"] = "repo:octo/reports:environment:prod", ["environment"] = "prod", ["ref"] = "refs/heads/main", ["repository"] = "octo/reports",
                ["repository_id"] = "74" + n, ["repository_owner"] = "octo", ["repository_owner_id"] = "65", ["run_id"] = "30433642", ["event_name"] = "push",
                ["runner_environment"] = "github-hosted", ["workflow_ref"] = "octo/reports/.github/workflows/run.yml@refs/heads/main",
                ["job_workflow_ref"] = "octo/reports/.github/workflows/run.yml@refs/heads/main", ["repository_visibility"] = "private",
            }, "repository_id=74" + n, "repository_owner_id=65", "job_workflow_ref=octo/reports/.github/workflows/run.yml@refs/heads/main", "environment=prod"),
            "gcp" => new(s, internet, kind, $"https://accounts.google.test/{n}", new()
            {
                ["sub"] = "1129" + n, ["azp"] = "1129" + n, ["email"] = "agent@project.iam.gserviceaccount.com", ["email_verified"] = true,
                ["google"] = new JsonObject
                {
                    ["compute_engine"] = new JsonObject
                    {
                        ["instance_id"] = "8756", ["instance_name"] = "vm-1", ["project_id"] = "project", ["project_number"] = 739419398126, ["zone"] = "europe-west1-b",
                        ["instance_creation_timestamp"] = 1700000000,
                    },
                },
            }, "sub=1129" + n, "email=agent@project.iam.gserviceaccount.com", "project_number=739419398126"),
            "azure" => new(s, internet, kind, $"https://sts.windows.test/{n}/", new()
            {
                ["sub"] = "oid-" + n, ["oid"] = "oid-" + n, ["tid"] = "tid-" + n, ["appid"] = "app", ["idtyp"] = "app", ["ver"] = "1.0",
                ["xms_mirid"] = "/subscriptions/s/resourcegroups/g/providers/Microsoft.Compute/virtualMachines/vm",
            }, "oid=oid-" + n, "tid=tid-" + n),
            "aws" => new(s, internet, kind, $"https://u{n}.tokens.sts.global.api.aws.test", new()
            {
                ["sub"] = $"arn:aws:iam::123456789012:role/agent-{n}",
                ["https://sts.amazonaws.com/"] = new JsonObject
                {
                    ["aws_account"] = "123456789012", ["source_region"] = "eu-central-1", ["org_id"] = "o-abc1234567", ["principal_id"] = "arn:aws:iam::123456789012:role/agent",
                },
            }, $"sub=arn:aws:iam::123456789012:role/agent-{n}", "aws_account=123456789012"),
            "spiffe" => new(s, internet, kind, $"spiffe://corp{n}.test", new() { ["sub"] = $"spiffe://corp{n}.test/ns/prod/sa/agent" }, $"spiffe_id=spiffe://corp{n}.test/ns/prod/sa/agent"),
            _ => new(s, internet, kind, $"https://idp{n}.client.test", new() { ["sub"] = "job-" + n, ["project_path"] = "group/project", ["pipeline"] = 7 }, "sub=job-" + n, "project_path=group/project"),
        };
    }

    /// <summary>Tells the server of the platform, of its binding to the scenario's agent, and of the client that its programs are.</summary>
    public async Task RegisterAsync(Action<JsonObject>? issuer = null, Action<JsonArray>? trust = null)
    {
        var record = new JsonObject { ["id"] = Id, ["name"] = Kind, ["kind"] = Kind, ["issuer"] = Issuer, ["jwks_uri"] = KeySet };
        issuer?.Invoke(record);
        var bindings = new JsonArray(Binding());
        trust?.Invoke(bindings);
        var agent = scenario.File["agents"]!.AsArray()[0]!.DeepClone().AsObject();
        agent["trust"] = bindings;
        await scenario.Server.ApplyAsync(new JsonObject
        {
            ["workload_issuers"] = new JsonArray(record), ["agents"] = new JsonArray(agent),
            ["clients"] = new JsonArray(new JsonObject
            {
                ["id"] = Client, ["name"] = "Workload", ["agent"] = scenario.Agent.Id, ["auth_method"] = "instance_key", ["grant_types"] = new JsonArray(McpAuth.Protocol.Names.Exchange.GrantType, McpAuth.Protocol.Names.Assertions.JwtBearer),
            }),
        }.ToJsonString());
    }

    public JsonObject Binding() => new() { ["issuer"] = Id, ["client"] = Client, ["select"] = Select.DeepClone() };

    /// <summary>Puts these keys where it says they are; without any, its own.</summary>
    public void Publish(params SigningKey[] keys) => internet.Put(KeySet, Keys([.. keys.Length > 0 ? keys : [Key]]).ToJsonString());

    public JsonObject Keys(params SigningKey[] keys)
    {
        var set = new JsonArray();
        foreach (var key in keys)
        {
            var jwk = JsonNode.Parse(key.Public.Jwk.GetRawText())!.AsObject();
            jwk["use"] = Kind == "spiffe" ? "jwt-svid" : "sig";
            set.Add(jwk);
        }
        return new JsonObject { ["keys"] = set };
    }

    public void IsDown() => internet.Places[KeySet["https://".Length..]] = TestPlace.Of(503, "", []);

    /// <summary>What it gives the program: good for ten minutes. <paramref name="change"/> alters the claims; null removes one.</summary>
    public string Token(Action<JsonObject>? change = null, SigningKey? key = null, string type = "JWT")
    {
        var now = scenario.Server.Time.GetUtcNow();
        var all = claims.DeepClone().AsObject();
        if (Kind != "spiffe")
            all["iss"] = Issuer;
        (all["aud"], all["iat"], all["nbf"], all["exp"]) = (TestServer.Issuer, now.ToUnixTimeSeconds(), now.ToUnixTimeSeconds(), now.AddMinutes(10).ToUnixTimeSeconds());
        all["jti"] = McpAuth.Protocol.Id.New("jti_", now);
        change?.Invoke(all);
        return (key ?? Key).Sign(type, json =>
        {
            foreach (var (name, value) in all)
            {
                json.WritePropertyName(name);
                value!.WriteTo(json);
            }
        });
    }

    /// <summary>The program shows it at <c>/token</c>, for a task of its own; null as a proof = none.</summary>
    public Task<HttpResponseMessage> GrantAsync(string? token = null, SigningKey? instance = null, Action<Dictionary<string, string>>? change = null, bool proven = true, HttpClient? node = null)
    {
        var form = new Dictionary<string, string>
        {
            ["grant_type"] = McpAuth.Protocol.Names.Assertions.JwtBearer, ["assertion"] = token ?? Token(), ["resource"] = scenario.Resource,
            ["authorization_details"] = scenario.Details(["read_file"], new JsonObject { ["purpose"] = "a task" }).ToJsonString(),
        };
        change?.Invoke(form);
        return scenario.Agent.PostFormAsync("/token", form, proven ? scenario.Agent.Proof(HttpMethod.Post, "/token", key: instance) : null, node);
    }

    /// <summary>The program shows it at <c>/agents/instances</c>.</summary>
    /// <param name="instance">The program's own key; null = the scenario's agent's.</param>
    public Task<HttpResponseMessage> AttestAsync(string? token = null, SigningKey? instance = null, Dictionary<string, string>? more = null)
    {
        var form = new Dictionary<string, string>(more ?? []) { ["assertion"] = token ?? Token() };
        return scenario.Agent.AttestRawAsync(form, scenario.Agent.Proof(HttpMethod.Post, "/agents/instances", key: instance));
    }
}
