using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.ToolCalls;
using McpAuth.Testing;

namespace McpAuth.Bench;

/// <summary>A guarded echo tool against the bare one: recording to the spool only, and delivering to a real server on the same cores.</summary>
internal static class GuardBench
{
    private const int WarmUp = 8, Prepared = 64;

    private static readonly string[] Modes = ["bare", "spool", "deliver"];

    public static async Task<Dictionary<string, double>> RunAsync(int seconds, int rounds, Action<string> say)
    {
        using var directory = new TempDirectory();
        var issuer = $"http://127.0.0.1:{FreePort.Next()}";
        var secret = Convert.ToHexString(RandomNumberGenerator.GetBytes(32));
        var modes = Modes.ToDictionary(mode => mode, _ => $"http://127.0.0.1:{FreePort.Next()}");
        var file = Path.Combine(directory.Path, "registry.json");
        await File.WriteAllTextAsync(file, Registry(modes, secret));
        await using var server = ChildProcess.StartDll(typeof(McpAuthServer.ServerOptions).Assembly.Location, ["--apply", file], new Dictionary<string, string?>(Unlimited.Environment)
        {
            ["McpAuth__Issuer"] = issuer, ["McpAuth__DataDirectory"] = Path.Combine(directory.Path, "data"), ["Logging__LogLevel__Default"] = "Warning",
        });
        await server.WaitForHealthAsync(new Uri(issuer + Names.Paths.HealthReady), TimeSpan.FromSeconds(60));

        var hosts = new Dictionary<string, ChildProcess>();
        try
        {
            foreach (var (mode, address) in modes)
            {
                var setup = new EchoServer.Setup(address, mode, issuer, mode + secret, Path.Combine(directory.Path, mode));
                hosts[mode] = ChildProcess.StartDll(typeof(GuardBench).Assembly.Location, ["echo", JsonSerializer.Serialize(setup)], new Dictionary<string, string?>());
                await hosts[mode].WaitForHealthAsync(new Uri(address + Names.Paths.HealthReady), TimeSpan.FromSeconds(60));
            }
            var loads = modes.Keys.ToDictionary(mode => mode, _ => new List<Load>());
            for (var round = -1; round < rounds; round++)
                foreach (var (mode, address) in modes)
                {
                    var token = mode == "bare" ? "none" : await TokenAsync(issuer, secret, address + "/mcp");
                    await CheckAsync(address, token);
                    var load = await Wrk.RunAsync(new Uri(address + "/mcp"), hosts[mode].Id, Enumerable.Repeat(EchoCall.Line(token), Prepared), round < 0 ? WarmUp : seconds, again: true);
                    if (round >= 0)
                        loads[mode].Add(load);
                }
            var median = loads.ToDictionary(l => l.Key, l => l.Value.OrderBy(x => x.RequestsPerSecond).ElementAt(l.Value.Count / 2));
            foreach (var (mode, load) in median)
                say($"{mode,-8} {load}   ratio {load.RequestsPerSecond / median["bare"].RequestsPerSecond:0.00}");
            return new Dictionary<string, double>
            {
                ["bare_rps"] = median["bare"].RequestsPerSecond, ["guarded_rps"] = median["spool"].RequestsPerSecond, ["delivered_rps"] = median["deliver"].RequestsPerSecond,
                ["bare_cpu_us"] = median["bare"].CpuMicroseconds, ["guarded_cpu_us"] = median["spool"].CpuMicroseconds, ["delivered_cpu_us"] = median["deliver"].CpuMicroseconds,
                ["bare_p99_ms"] = median["bare"].P99Milliseconds, ["guarded_p99_ms"] = median["spool"].P99Milliseconds, ["delivered_p99_ms"] = median["deliver"].P99Milliseconds,
                ["guarded_ratio"] = median["spool"].RequestsPerSecond / median["bare"].RequestsPerSecond,
                ["delivered_ratio"] = median["deliver"].RequestsPerSecond / median["bare"].RequestsPerSecond,
            };
        }
        finally
        {
            foreach (var host in hosts.Values)
                await host.DisposeAsync();
        }
    }

    /// <summary>A denial is a 200 too, so one answer is read before anything is measured.</summary>
    private static async Task CheckAsync(string address, string token)
    {
        using var http = new HttpClient();
        var (status, ran, text) = await EchoCall.SendAsync(http, address + "/mcp", token);
        if (!ran)
            throw new InvalidOperationException($"{address} answered {status} {text}");
    }

    private static async Task<string> TokenAsync(string issuer, string secret, string resource)
    {
        using var http = new HttpClient();
        using var response = await http.PostAsync(new Uri(issuer + Names.Paths.Token), new FormUrlEncodedContent(new Dictionary<string, string>
        {
            ["grant_type"] = "client_credentials", ["client_id"] = "bench", ["client_secret"] = secret, ["resource"] = resource,
        }));
        var text = await response.Content.ReadAsStringAsync();
        return response.IsSuccessStatusCode ? JsonElement.Parse(text).GetProperty("access_token").GetString()! : throw new InvalidOperationException(text);
    }

    private static string Registry(Dictionary<string, string> modes, string secret) => new JsonObject
    {
        ["users"] = new JsonArray(new JsonObject { ["id"] = "usr_bench", ["name"] = "Bench" }),
        ["tool_servers"] = new JsonArray([.. modes.Select(m => new JsonObject
        {
            ["id"] = "srv_" + m.Key, ["resource"] = m.Value + "/mcp", ["name"] = m.Key, ["owner"] = "usr_bench", ["enrolment_secrets"] = new JsonArray(m.Key + secret),
            ["tools"] = new JsonArray(new JsonObject { ["name"] = "echo", ["sensitivity"] = "read" }),
        })]),
        ["clients"] = new JsonArray(new JsonObject
        {
            ["id"] = "bench", ["name"] = "Bench", ["auth_method"] = "client_secret_post", ["secret"] = secret, ["grant_types"] = new JsonArray("client_credentials"),
            ["authority"] = new JsonArray([.. modes.Values.Select(address => JsonNode.Parse(Authority.ForTools(address + "/mcp", ["echo"]).ToJson())![0]!.DeepClone())]),
        }),
    }.ToJsonString();
}
