using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Client;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.ToolCalls;
using McpAuth.Testing;

namespace McpAuth.Bench;

/// <summary>The token endpoint against its floor, in turn, on the same machine in the same run.</summary>
internal static class TokensBench
{
    private const string Resource = "https://files.bench/mcp";

    /// <summary>Seconds before anything counts: the runtime compiles what is hot.</summary>
    private const int WarmUp = 6;

    public static async Task<Dictionary<string, double>> RunAsync(int seconds, int rounds, string? only, Action<string> say)
    {
        using var directory = new TempDirectory();
        using var clientKey = SigningKey.Create();
        var secret = Convert.ToHexString(RandomNumberGenerator.GetBytes(32));
        var port = FreePort.Next();
        var issuer = $"http://127.0.0.1:{port}";
        var file = Path.Combine(directory.Path, "registry.json");
        await File.WriteAllTextAsync(file, Registry(clientKey, secret));

        await using var server = ChildProcess.StartDll(
            typeof(McpAuthServer.ServerOptions).Assembly.Location, ["--apply", file],
            new Dictionary<string, string?>(Unlimited.Environment)
            {
                ["McpAuth__Issuer"] = issuer, ["McpAuth__DataDirectory"] = Path.Combine(directory.Path, "data"), ["Logging__LogLevel__Default"] = "Warning",
                ["DOTNET_gcServer"] = "1",
            });
        await server.WaitForHealthAsync(new Uri(issuer + Names.Paths.HealthReady), TimeSpan.FromSeconds(30));

        using var instanceKey = SigningKey.Create();
        await using var session = await AgentSession.AttestAsync(issuer, ClientAuthentication.PrivateKeyJwt("bench-agent", clientKey), instanceKey);
        await using var task = await session.BeginTask("bench", Authority.ForTools(Resource, ["echo"]));
        var details = JsonNode.Parse(Authority.ForTools(Resource, ["echo"]).ToJson(task.Id))!.ToJsonString();
        var instanceToken = await AttestAsync(issuer, clientKey, instanceKey);

        var floorPort = FreePort.Next();
        var floorAddress = $"http://127.0.0.1:{floorPort}";
        var serverKeys = JsonElement.Parse(await new HttpClient().GetStringAsync(new Uri(issuer + Names.Paths.Jwks))).GetProperty("keys")[0];
        var keys = new JsonObject
        {
            ["client"] = JsonNode.Parse(clientKey.Public.Jwk.GetRawText()), ["instance"] = JsonNode.Parse(instanceKey.Public.Jwk.GetRawText()),
            ["server"] = JsonNode.Parse(serverKeys.GetRawText()),
        };
        await using var floor = ChildProcess.StartDll(
            typeof(TokensBench).Assembly.Location, ["floor", floorAddress, directory.Path, keys.ToJsonString()], new Dictionary<string, string?>());
        await floor.WaitForHealthAsync(new Uri(floorAddress + "/ready"), TimeSpan.FromSeconds(30));

        var requests = new TokenRequests(issuer, TimeProvider.System);
        // More than the machine can answer; every request is sent once.
        var cases = new (string Name, string Floor, int MostPerSecond, Func<int, IEnumerable<string>> Requests)[]
        {
            ("cc_secret", "/secret", 40_000, n => TokenRequests.Secret(n, "bench-secret", secret, Resource)),
            ("cc_pkjwt", "/pkjwt", 12_000, n => requests.Assertion(n, "bench-key", clientKey, Resource)),
            ("exchange", "/exchange", 8_000, n => requests.Exchange(n, "bench-agent", clientKey, instanceKey, instanceToken, Resource, details)),
        };
        var figures = new Dictionary<string, double>();
        foreach (var (name, path, rate, make) in cases.Where(c => only is null || c.Name == only))
        {
            List<Load> loads = [], floors = [];
            var (url, floorUrl) = (new Uri(issuer + Names.Paths.Token), new Uri(floorAddress + path));
            await Wrk.RunAsync(url, server.Id, make(rate * WarmUp), WarmUp);
            await Wrk.RunAsync(floorUrl, floor.Id, make(rate * WarmUp), WarmUp);
            for (var round = 0; round < rounds; round++)
            {
                floors.Add(await Wrk.RunAsync(floorUrl, floor.Id, make(rate * seconds), seconds));
                loads.Add(await Wrk.RunAsync(url, server.Id, make(rate * seconds), seconds));
            }
            var (load, under) = (Median(loads), Median(floors));
            figures[name + "_rps"] = load.RequestsPerSecond;
            figures[name + "_p50_ms"] = load.P50Milliseconds;
            figures[name + "_p99_ms"] = load.P99Milliseconds;
            figures[name + "_floor_rps"] = under.RequestsPerSecond;
            figures[name + "_cpu_us"] = load.CpuMicroseconds;
            figures[name + "_floor_cpu_us"] = under.CpuMicroseconds;
            figures[name + "_floor_ratio"] = load.RequestsPerSecond / under.RequestsPerSecond;
            say($"{name,-10} {load}   floor {under}   ratio {load.RequestsPerSecond / under.RequestsPerSecond:0.00}");
        }
        return figures;
    }

    /// <summary>Attests again with the same key, which renews the same instance, for a token to put into prepared requests.</summary>
    private static async Task<string> AttestAsync(string issuer, SigningKey clientKey, SigningKey instanceKey)
    {
        var endpoint = new Uri(issuer + Names.Paths.Instances);
        var now = TimeProvider.System.GetUtcNow();
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, endpoint)
        {
            Content = new FormUrlEncodedContent(new Dictionary<string, string>
            {
                [Names.ClientAssertion.TypeParameter] = Names.ClientAssertion.JwtBearer,
                [Names.ClientAssertion.Parameter] = ClientAssertion.Sign(clientKey, "bench-agent", issuer, TimeSpan.FromMinutes(4)),
            }),
        };
        request.Headers.Add(Names.Dpop.Header, DpopProof.Create(instanceKey, "POST", endpoint, null, now));
        using var response = await http.SendAsync(request);
        response.EnsureSuccessStatusCode();
        return JsonElement.Parse(await response.Content.ReadAsStringAsync()).GetProperty("access_token").GetString()!;
    }

    private static Load Median(List<Load> loads) => loads.OrderBy(l => l.RequestsPerSecond).ElementAt(loads.Count / 2);

    private static string Registry(SigningKey key, string secret)
    {
        JsonNode Ceiling() => JsonNode.Parse(Authority.ForTools(Resource, ["echo"]).ToJson())!;
        JsonObject Jwks() => new() { ["keys"] = new JsonArray(JsonNode.Parse(key.Public.Jwk.GetRawText())) };
        return new JsonObject
        {
            ["users"] = new JsonArray(new JsonObject { ["id"] = "usr_bench", ["name"] = "Bench" }),
            ["tool_servers"] = new JsonArray(new JsonObject
            {
                ["id"] = "srv_bench", ["resource"] = Resource, ["name"] = "Bench", ["owner"] = "usr_bench",
                ["tools"] = new JsonArray(new JsonObject { ["name"] = "echo", ["sensitivity"] = "read" }),
            }),
            ["agents"] = new JsonArray(new JsonObject { ["id"] = "agt_bench", ["name"] = "Bench", ["owner"] = "usr_bench", ["purpose"] = "load", ["ceiling"] = Ceiling() }),
            ["clients"] = new JsonArray(
                new JsonObject
                {
                    ["id"] = "bench-agent", ["name"] = "Agent", ["agent"] = "agt_bench", ["auth_method"] = "private_key_jwt", ["jwks"] = Jwks(),
                    ["grant_types"] = new JsonArray(Names.Exchange.GrantType),
                },
                new JsonObject
                {
                    ["id"] = "bench-key", ["name"] = "Key", ["auth_method"] = "private_key_jwt", ["jwks"] = Jwks(), ["grant_types"] = new JsonArray("client_credentials"),
                    ["authority"] = Ceiling(),
                },
                new JsonObject
                {
                    ["id"] = "bench-secret", ["name"] = "Secret", ["auth_method"] = "client_secret_post", ["secret"] = secret, ["grant_types"] = new JsonArray("client_credentials"),
                    ["authority"] = Ceiling(),
                }),
        }.ToJsonString();
    }
}
