using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Client;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.ToolCalls;
using McpAuth.Testing;

namespace McpAuth.Bench;

/// <summary>
/// From the moment the server's acknowledgement of a task's end arrives until each of several guards answers a call with the task's token by 401.
/// Every guard is another tool server with a stream of its own, and serves calls of other tasks all the while.
/// </summary>
internal static class RevocationBench
{
    /// <summary>As <see cref="Fleet.RoundAsync"/> takes them.</summary>
    private static readonly string[] Ways = ["", "cut_", "missed_"];

    /// <summary>The pause between two calls of the light load, per guard.</summary>
    private static readonly TimeSpan Load = TimeSpan.FromMilliseconds(200);

    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(5), Patience = TimeSpan.FromSeconds(30);

    public static async Task<Dictionary<string, double>> RunAsync(int rounds, string? only, Action<string> say)
    {
        var figures = new Dictionary<string, double>();
        // Each guard's flushes to the disk hold a thread; where each is a process of its own, they hold no other's.
        ThreadPool.SetMinThreads(100, 100);
        // With few guards more rounds, and each is asked again a millisecond after its answer; a hundred asked so often would be a test of the asking.
        foreach (var (guards, often, pause) in new[] { (3, 5 * rounds, TimeSpan.FromMilliseconds(1)), (100, rounds, TimeSpan.FromMilliseconds(40)) })
        {
            string[] cases = [.. Ways.Where(c => only is null || $"guards{guards}_{c}".TrimEnd('_') == only)];
            if (cases.Length == 0)
                continue;
            await using var fleet = await Fleet.StartAsync(guards, pause);
            for (var warmUp = 0; warmUp < 2 * Ways.Length; warmUp++)
                await fleet.RoundAsync(Ways[warmUp % Ways.Length]);
            await Task.Delay(WarmUp);
            foreach (var what in cases)
            {
                var times = new List<double>();
                for (var round = 0; round < often; round++)
                    times.AddRange(await fleet.RoundAsync(what));
                times.Sort();
                var name = $"guards{guards}_{what}";
                (figures[name + "p50_ms"], figures[name + "p99_ms"], figures[name + "max_ms"]) = (At(times, 0.5), At(times, 0.99), times[^1]);
                say($"{name.TrimEnd('_'),-18} p50 {At(times, 0.5),6:0.0} ms  p99 {At(times, 0.99),6:0.0} ms  max {times[^1],6:0.0} ms  of {times.Count}   load average {LoadAverage()}");
            }
            say($"{guards} guards served {await fleet.StopLoadAsync()} other calls meanwhile, and refused none");
        }
        return figures;
    }

    private static double At(List<double> sorted, double share) => sorted[(int)Math.Ceiling(share * sorted.Count) - 1];

    private static string LoadAverage() => File.Exists("/proc/loadavg") ? File.ReadAllText("/proc/loadavg").Split(' ')[0] : "unknown";

    private sealed class Fleet : IAsyncDisposable
    {
        // A hundred guards do not share one disk, and none of them the server's.
        private readonly TempDirectory directory = new(), disks = new(inMemory: true);
        private readonly string issuer = $"http://127.0.0.1:{FreePort.Next()}";
        private readonly string secret = Convert.ToHexString(RandomNumberGenerator.GetBytes(32));
        private readonly SigningKey key = SigningKey.Create();
        private readonly HttpClient http = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false });
        private readonly CancellationTokenSource stop = new();
        private readonly TimeSpan pause;
        private readonly string[] resources;
        private readonly List<FleetGuard> guards = [];
        private ChildProcess server = null!;
        private AgentSession session = null!;
        private Task<int>[] load = [];

        private Fleet(int count, TimeSpan pause) => (resources, this.pause) = ([.. Enumerable.Range(0, count).Select(_ => $"http://127.0.0.1:{FreePort.Next()}/mcp")], pause);

        public static async Task<Fleet> StartAsync(int count, TimeSpan pause)
        {
            var fleet = new Fleet(count, pause);
            try
            {
                await fleet.StartAsync();
                return fleet;
            }
            catch
            {
                await fleet.DisposeAsync();
                throw;
            }
        }

        private async Task StartAsync()
        {
            server = ChildProcess.StartDll(
                typeof(McpAuthServer.ServerOptions).Assembly.Location, ["--apply", directory.Write("registry.json", Registry())], new Dictionary<string, string?>(Unlimited.Environment)
                {
                    ["McpAuth__Issuer"] = issuer, ["McpAuth__DataDirectory"] = directory["data"], ["Logging__LogLevel__Default"] = "Warning",
                });
            await server.WaitForHealthAsync(new Uri(issuer + Names.Paths.HealthReady), TimeSpan.FromSeconds(60));
            foreach (var (resource, i) in resources.Select((r, i) => (r, i)))
            {
                var guard = new FleetGuard(issuer, resource, SecretOf(i), disks[$"guard-{i}"]);
                guards.Add(guard);
                await guard.StartAsync();
            }
            session = await AgentSession.AttestAsync(issuer, ClientAuthentication.PrivateKeyJwt("bench-key", key));
            load = [.. resources.Select(r => LoadAsync(r, stop.Token))];
        }

        /// <summary>One task, a token of it for every guard, and its end.</summary>
        /// <param name="what">
        /// What happens to the guards' connections: nothing; <c>cut_</c>: they are cut and come back, then the task ends; <c>missed_</c>: they are cut, and the task ends
        /// before they are back.
        /// </param>
        /// <returns>For each guard the milliseconds from the acknowledgement to its first refusal; 0 for one that refused before that had arrived.</returns>
        public async Task<double[]> RoundAsync(string what)
        {
            await using var task = await session.BeginTask("one round", AuthorityOver(resources));
            var tokens = new string[resources.Length];
            for (var i = 0; i < resources.Length; i++)
            {
                tokens[i] = await TokenAsync(resources[i], task.Id);
                await AllowedAsync(resources[i], tokens[i]);
            }
            if (what == "cut_")
            {
                guards.ForEach(g => g.Cut());
                await Task.WhenAll(guards.Select(g => g.BackAsync()));
            }
            // Polls hang for a second: the end shall come at any moment of theirs.
            await Task.Delay(RandomNumberGenerator.GetInt32(1000));
            var asking = resources.Select((resource, i) => UntilRefusedAsync(resource, tokens[i], pause * i / resources.Length)).ToArray();
            if (what == "missed_")
                guards.ForEach(g => g.Cut());
            await task.Complete();
            var acknowledged = Stopwatch.GetTimestamp();
            var refused = await Task.WhenAll(asking).WaitAsync(Patience);
            if (what == "missed_")
                await Task.WhenAll(guards.Select(g => g.BackAsync()));
            return [.. refused.Select(at => Math.Max(0, Stopwatch.GetElapsedTime(acknowledged, at).TotalMilliseconds))];
        }

        /// <returns>How many calls of the light load were allowed; one that was not fails the measurement.</returns>
        public async Task<int> StopLoadAsync()
        {
            await stop.CancelAsync();
            return (await Task.WhenAll(load)).Sum();
        }

        public async ValueTask DisposeAsync()
        {
            await stop.CancelAsync();
            await ((Task)Task.WhenAll(load)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (session is not null)
                await session.DisposeAsync();
            foreach (var guard in guards)
                await guard.DisposeAsync();
            if (server is not null)
                await server.DisposeAsync();
            http.Dispose();
            key.Dispose();
            stop.Dispose();
            directory.Dispose();
            disks.Dispose();
        }

        /// <returns>When the first refusal had arrived.</returns>
        private async Task<long> UntilRefusedAsync(string resource, string token, TimeSpan after)
        {
            await Task.Delay(after);
            while (true)
            {
                try
                {
                    var (status, ran, text) = await EchoCall.SendAsync(http, resource, token);
                    if (status == StatusCodes.Status401Unauthorized)
                        return Stopwatch.GetTimestamp();
                    if (!ran)
                        throw new InvalidOperationException($"{resource} answered {status} {text}");
                }
                catch (HttpRequestException)
                {
                    // A call that ran as its authority ended, and did not come to its end: the next one is refused.
                }
                await Task.Delay(pause);
            }
        }

        private async Task<int> LoadAsync(string resource, CancellationToken cancel)
        {
            var (token, since) = (await TokenAsync(resource, null), Stopwatch.GetTimestamp());
            for (var calls = 0; ; calls++)
            {
                if (cancel.IsCancellationRequested)
                    return calls;
                if (Stopwatch.GetElapsedTime(since) > Limits.AccessToken / 2)
                    (token, since) = (await TokenAsync(resource, null), Stopwatch.GetTimestamp());
                await AllowedAsync(resource, token);
                await Task.Delay(Load, CancellationToken.None);
            }
        }

        private async Task AllowedAsync(string resource, string token)
        {
            var (status, ran, text) = await EchoCall.SendAsync(http, resource, token);
            if (!ran)
                throw new InvalidOperationException($"{resource} answered {status} {text}");
        }

        /// <param name="task">Null: a new one.</param>
        private async Task<string> TokenAsync(string resource, string? task)
        {
            var details = JsonNode.Parse(Authority.ForTools(resource, ["echo"]).ToJson(task))!;
            if (task is null)
                details[0]!["task"] = new JsonObject { ["purpose"] = "light load" };
            using var form = new FormUrlEncodedContent(new Dictionary<string, string>
            {
                ["grant_type"] = Names.OAuth.ClientCredentials, ["client_id"] = "bench", ["client_secret"] = secret, ["resource"] = resource,
                [Names.Resources.AuthorizationDetails] = details.ToJsonString(),
            });
            using var response = await http.PostAsync(new Uri(issuer + Names.Paths.Token), form);
            var text = await response.Content.ReadAsStringAsync();
            return response.IsSuccessStatusCode ? JsonElement.Parse(text).GetProperty("access_token").GetString()! : throw new InvalidOperationException(text);
        }

        private static JsonElement AuthorityOver(IEnumerable<string> resources) => JsonElement.Parse(AuthorityOf(resources).ToJsonString());

        private static JsonArray AuthorityOf(IEnumerable<string> resources) =>
            [.. resources.Select(r => JsonNode.Parse(Authority.ForTools(r, ["echo"]).ToJson())![0]!.DeepClone())];

        private string SecretOf(int guard) => $"{secret}-{guard}";

        private string Registry() => new JsonObject
        {
            ["users"] = new JsonArray(new JsonObject { ["id"] = "usr_bench", ["name"] = "Bench" }),
            ["agents"] = new JsonArray(new JsonObject
            {
                ["id"] = "agt_bench", ["name"] = "Bench", ["owner"] = "usr_bench", ["purpose"] = "Is measured", ["tool_class"] = "bench", ["client_credentials"] = true,
                ["ceiling"] = AuthorityOf(resources),
            }),
            ["clients"] = new JsonArray(new JsonObject
            {
                ["id"] = "bench", ["name"] = "Bench", ["agent"] = "agt_bench", ["auth_method"] = "client_secret_post", ["secret"] = secret,
                ["grant_types"] = new JsonArray(Names.OAuth.ClientCredentials),
            }, new JsonObject
            {
                ["id"] = "bench-key", ["name"] = "Bench", ["agent"] = "agt_bench", ["auth_method"] = "private_key_jwt", ["grant_types"] = new JsonArray(Names.Exchange.GrantType),
                ["jwks"] = new JsonObject { ["keys"] = new JsonArray(JsonNode.Parse(key.Public.Jwk.GetRawText())) },
            }),
            ["tool_servers"] = new JsonArray([.. resources.Select((resource, i) => new JsonObject
            {
                ["id"] = $"srv_{i}", ["resource"] = resource, ["name"] = $"server {i}", ["owner"] = "usr_bench", ["enrolment_secrets"] = new JsonArray(SecretOf(i)),
                ["tools"] = new JsonArray(new JsonObject { ["name"] = "echo", ["sensitivity"] = "read", ["class"] = "bench" }),
            })]),
        }.ToJsonString();
    }
}
