using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.ToolCalls;
using McpAuth.Testing;

namespace McpAuth.Bench;

/// <summary>
/// A guarded echo tool, under a hundred policies, against the bare one, each right after it: recording to the spool only, delivering to a real server on the same cores, with tokens it has not
/// seen, with proofs, for a tool that can destroy, and through the gateway. And the decision alone.
/// </summary>
internal sealed class GuardBench : IAsyncDisposable
{
    private const int WarmUp = 8, Prepared = 64;

    /// <summary>What can be sent once only is measured for so many seconds, and this many are prepared for each.</summary>
    private const int ShortSeconds = 3, PreparedASecond = 9000;

    private const string Bare = "bare", Least = "least", Spool = "spool", Deliver = "deliver", Gateway = "gateway";

    private static readonly string[] Hosts = [Bare, Least, Spool, Deliver, Gateway];

    private static readonly string[] Guarded = [Spool, Deliver, Gateway];

    /// <param name="Name">Of its figures.</param>
    /// <param name="Host">The process that is measured.</param>
    /// <param name="Lines">The requests; null: one token, over and over.</param>
    private sealed record Case(string Name, string Host, Func<GuardBench, string, Task<string[]>>? Lines = null, string Tool = EchoCall.Echo);

    private static readonly Case Floor = new(Bare, Bare);

    private static readonly Case[] Cases =
    [
        new(Least, Least), new("guarded", Spool), new("delivered", Deliver), new("gateway", Gateway), new("cold", Spool, (bench, resource) => bench.FreshTokensAsync(resource)),
        new("dpop", Spool, (bench, resource) => bench.FreshProofsAsync(resource)), new("destructive", Spool, Tool: EchoCall.Erase),
    ];

    private readonly TempDirectory directory = new();
    private readonly string issuer = $"http://127.0.0.1:{FreePort.Next()}", secret = Convert.ToHexString(RandomNumberGenerator.GetBytes(32));
    private readonly Dictionary<string, string> addresses = Hosts.ToDictionary(host => host, _ => $"http://127.0.0.1:{FreePort.Next()}");
    private readonly Dictionary<string, ChildProcess> running = [];
    private readonly SigningKey key = SigningKey.Create();
    private readonly HttpClient http = new(new SocketsHttpHandler { UseProxy = false, MaxConnectionsPerServer = 16 });

    public static async Task<Dictionary<string, double>> RunAsync(int seconds, int rounds, string? only, Action<string> say)
    {
        await using var bench = new GuardBench();
        await bench.StartAsync();
        var cases = Cases.Where(c => c.Name is Least || only is null || only == c.Name).ToArray();
        var pairs = cases.ToDictionary(c => c.Name, _ => new List<(Load Bare, Load Load)>());
        for (var round = -1; round < rounds; round++)
            foreach (var one in cases)
            {
                var pair = await bench.PairAsync(one, seconds, warmUp: round < 0);
                if (round >= 0)
                    pairs[one.Name].Add(pair);
            }
        var (decision, bytes) = DecisionBench.Run(bench.Resource(Spool), TimeSpan.FromSeconds(seconds));

        var figures = new Dictionary<string, double> { ["decision_p50_us"] = decision, ["decision_alloc_bytes"] = bytes };
        Tell(Bare, [.. pairs.Values.SelectMany(p => p).Select(p => p.Bare)]);
        foreach (var (name, measured) in pairs)
        {
            // The machine is not the same from one minute to the next: a case is compared with the bare tool of its own minute.
            var (ratio, p50, p99) = (Median(measured.Select(m => m.Load.RequestsPerSecond / m.Bare.RequestsPerSecond)),
                Median(measured.Select(m => m.Load.P50Milliseconds - m.Bare.P50Milliseconds)), Median(measured.Select(m => m.Load.P99Milliseconds - m.Bare.P99Milliseconds)));
            Tell(name, [.. measured.Select(m => m.Load)], $"   ratio {ratio:0.00}, added p50 {p50:0.00} p99 {p99:0.00} ms");
            (figures[name + "_ratio"], figures[name + "_added_p50_ms"], figures[name + "_added_p99_ms"]) = (ratio, p50, p99);
        }
        say($"decision     p50 {decision:0.00} us, {bytes:0} B, {DecisionBench.Policies} policies");
        return figures;

        void Tell(string name, Load[] loads, string compared = "")
        {
            var median = loads.OrderBy(l => l.RequestsPerSecond).ElementAt(loads.Length / 2);
            say($"{name,-12} {median}{compared}");
            (figures[name + "_rps"], figures[name + "_cpu_us"], figures[name + "_p50_ms"], figures[name + "_p99_ms"]) =
                (median.RequestsPerSecond, median.CpuMicroseconds, median.P50Milliseconds, median.P99Milliseconds);
        }
    }

    private static double Median(IEnumerable<double> values) => values.Order().ToArray() is var sorted ? sorted[sorted.Length / 2] : 0;

    private string Resource(string host) => addresses[host] + "/mcp";

    private async Task StartAsync()
    {
        var admin = new AdminClient(issuer);
        var file = Path.Combine(directory.Path, "registry.json");
        await File.WriteAllTextAsync(file, Registry(admin));
        await BeginAsync("server", issuer, typeof(McpAuthServer.ServerOptions).Assembly.Location, ["--apply", file], new Dictionary<string, string?>(Unlimited.Environment)
        {
            ["McpAuth__Issuer"] = issuer, ["McpAuth__DataDirectory"] = Path.Combine(directory.Path, "data"), ["Logging__LogLevel__Default"] = "Warning",
        });
        foreach (var host in (string[])[Bare, Least, Spool, Deliver])
        {
            var setup = new EchoServer.Setup(addresses[host], host, issuer, host + secret, Path.Combine(directory.Path, host));
            await BeginAsync(host, addresses[host], typeof(GuardBench).Assembly.Location, ["echo", JsonSerializer.Serialize(setup)], new Dictionary<string, string?>());
        }
        var gateway = Path.Combine(directory.Path, "gateway.json");
        await File.WriteAllTextAsync(gateway, Configuration());
        await BeginAsync(Gateway, addresses[Gateway], typeof(McpGuard.Gateway.Configuration.GatewayConfiguration).Assembly.Location, ["--config", gateway],
            new Dictionary<string, string?> { ["BENCH_SECRET"] = Gateway + secret });
        foreach (var host in Guarded)
            await GovernAsync(admin, host);
    }

    private async Task BeginAsync(string name, string address, string program, string[] arguments, IReadOnlyDictionary<string, string?> environment)
    {
        running[name] = ChildProcess.StartDll(program, arguments, environment);
        await running[name].WaitForHealthAsync(new Uri(address + Names.Paths.HealthReady), TimeSpan.FromSeconds(60));
    }

    /// <summary>Activates the policies, and waits until the guard decides by them.</summary>
    private async Task GovernAsync(AdminClient admin, string host)
    {
        var policies = $"/tool-servers/srv_{host}/policies";
        var draft = await admin.SendAsync(HttpMethod.Post, policies, new JsonObject { ["policies"] = DecisionBench.Text() });
        await admin.SendAsync(HttpMethod.Post, $"{policies}/{(string)draft["id"]!}/activate", new JsonObject());
        var token = await TokenAsync(host);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while ((await EchoCall.SendAsync(http, Resource(host), token, DecisionBench.Blocked)).Ran)
            await Task.Delay(100, limit.Token);
    }

    private async Task<(Load Bare, Load Load)> PairAsync(Case one, int seconds, bool warmUp)
    {
        // What a case sends once only warms up with it: the code is the same but for the validation.
        var length = one.Lines is not null ? Math.Min(seconds, ShortSeconds) : warmUp ? WarmUp : seconds;
        var prepared = await PrepareAsync(one);
        var floor = await PrepareAsync(Floor);
        await SettleAsync();
        return (await MeasureAsync(Floor, floor, length), await MeasureAsync(one, prepared, length));
    }

    private async Task<string[]> PrepareAsync(Case one)
    {
        var resource = Resource(one.Host);
        var token = !Guarded.Contains(one.Host) ? "none" : await TokenAsync(one.Host);
        // A denial is a 200 too, so one answer is read before anything is measured.
        var (status, ran, text) = await EchoCall.SendAsync(http, resource, token, tool: one.Tool);
        if (!ran)
            throw new InvalidOperationException($"{resource} answered {status} {text}");
        return one.Lines is { } prepare ? await prepare(this, resource) : [.. Enumerable.Repeat(EchoCall.Line(token, one.Tool), Prepared)];
    }

    private Task<Load> MeasureAsync(Case one, string[] lines, int seconds) =>
        Wrk.RunAsync(new Uri(Resource(one.Host)), running[one.Host].Id, lines, seconds, again: one.Lines is null);

    /// <summary>What was recorded before is delivered: the server works on nothing any more.</summary>
    private async Task SettleAsync()
    {
        using var server = Process.GetProcessById(running["server"].Id);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        for (var idle = 0; idle < 2;)
        {
            var before = server.TotalProcessorTime;
            await Task.Delay(500, limit.Token);
            server.Refresh();
            idle = server.TotalProcessorTime - before < TimeSpan.FromMilliseconds(75) ? idle + 1 : 0;
        }
    }

    private async Task<string[]> FreshTokensAsync(string resource)
    {
        var lines = new string[ShortSeconds * PreparedASecond];
        await Parallel.ForAsync(0, lines.Length, new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (i, _) => lines[i] = EchoCall.Line(await TokenAsync(Spool)));
        return lines;
    }

    private async Task<string[]> FreshProofsAsync(string resource)
    {
        var (lines, uri, token) = (new string[ShortSeconds * PreparedASecond], new Uri(resource), await TokenAsync(Spool, bound: true));
        Parallel.For(0, lines.Length, i => lines[i] = EchoCall.Line(token, proof: DpopProof.Create(key, "POST", uri, token, TimeProvider.System.GetUtcNow())));
        return lines;
    }

    private async Task<string> TokenAsync(string host, bool bound = false)
    {
        var endpoint = new Uri(issuer + Names.Paths.Token);
        using var request = new HttpRequestMessage(HttpMethod.Post, endpoint)
        {
            Content = new FormUrlEncodedContent(new Dictionary<string, string>
            {
                ["grant_type"] = "client_credentials", ["client_id"] = "bench", ["client_secret"] = secret, ["resource"] = Resource(host),
                ["scope"] = $"{Names.Scopes.ToolPrefix}{EchoCall.Echo} {Names.Scopes.ToolPrefix}{EchoCall.Erase}",
            }),
        };
        if (bound)
            request.Headers.Add(Names.Dpop.Header, DpopProof.Create(key, "POST", endpoint, null, TimeProvider.System.GetUtcNow()));
        using var response = await http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        return response.IsSuccessStatusCode ? JsonElement.Parse(text).GetProperty("access_token").GetString()! : throw new InvalidOperationException(text);
    }

    private string Registry(AdminClient admin)
    {
        return new JsonObject
        {
            ["users"] = new JsonArray(new JsonObject { ["id"] = "usr_bench", ["name"] = "Bench" }),
            ["tool_servers"] = new JsonArray([.. Guarded.Select(host => new JsonObject
            {
                ["id"] = "srv_" + host, ["resource"] = Resource(host), ["name"] = host, ["owner"] = "usr_bench", ["enrolment_secrets"] = new JsonArray(host + secret),
                ["tools"] = new JsonArray(
                    new JsonObject { ["name"] = EchoCall.Echo, ["sensitivity"] = "read" }, new JsonObject { ["name"] = EchoCall.Erase, ["sensitivity"] = "destructive" }),
            })]),
            ["clients"] = new JsonArray(admin.Entry, new JsonObject
            {
                ["id"] = "bench", ["name"] = "Bench", ["auth_method"] = "client_secret_post", ["secret"] = secret, ["grant_types"] = new JsonArray("client_credentials"),
                ["authority"] = new JsonArray([.. Guarded.Select(host => JsonNode.Parse(Authority.ForTools(Resource(host), [EchoCall.Echo, EchoCall.Erase]).ToJson())![0]!.DeepClone())]),
            }),
        }.ToJsonString();
    }

    private string Configuration() => new JsonObject
    {
        ["listen"] = addresses[Gateway], ["authorization_server"] = issuer, ["log_level"] = "warning",
        ["upstreams"] = new JsonObject
        {
            ["echo"] = new JsonObject
            {
                ["resource"] = Resource(Gateway), ["enrolment_secret"] = new JsonObject { ["env"] = "BENCH_SECRET" }, ["http"] = new JsonObject { ["url"] = Resource(Bare) },
            },
        },
    }.ToJsonString();

    public async ValueTask DisposeAsync()
    {
        foreach (var process in running.Values.Reverse())
            await process.DisposeAsync();
        http.Dispose();
        key.Dispose();
        directory.Dispose();
    }
}
