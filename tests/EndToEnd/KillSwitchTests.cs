using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;
using McpAuth.Testing;
using McpGuard.Sdk;
using Xunit.Abstractions;

namespace McpAuth.EndToEnd;

/// <summary>
/// The kill switch, drilled: an agent with many living tokens at many guards is suspended while another agent works on.
/// <c>MCPAUTH_SOAK=1</c> does it ten times.
/// </summary>
[Trait("Suite", "soak")]
public sealed class KillSwitchTests(ITestOutputHelper output) : IAsyncLifetime
{
    private const int Guards = 10, Tokens = 1000, TokensOfTheOther = 20, AtATime = 8;
    private const string Rogue = "agt_rogue", Steady = "agt_steady";
    private static readonly int Rounds = Environment.GetEnvironmentVariable("MCPAUTH_SOAK") == "1" ? 10 : 1;

    /// <summary>Five times what is promised: a busy machine is not a broken promise.</summary>
    private static readonly TimeSpan Bound = 5 * Limits.RevocationBound;

    private readonly string[] resources = [.. Enumerable.Range(0, Guards).Select(_ => string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{FreePort.Next()}/mcp"))];
    private readonly string secret = "secret-of-" + Guid.NewGuid().ToString("N");
    private readonly CountingPolicy allowed = new();
    private readonly List<HostedTool> hosts = [];
    private readonly HttpClient http = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false });
    private Deployment deployment = null!;

    public async Task InitializeAsync()
    {
        deployment = await Deployment.StartAsync(postgres: null, nodes: 1, [], Register);
        hosts.AddRange(resources.Select((resource, i) => new HostedTool(deployment.Issuer, resource, SecretOf(Server(i)), allowed)));
        await Task.WhenAll(hosts.Select(h => h.StartAsync()));
    }

    public async Task DisposeAsync()
    {
        foreach (HostedTool host in hosts) await host.DisposeAsync();
        http.Dispose();
        if (deployment is not null) await deployment.DisposeAsync();
    }

    [Fact]
    [Trait("Attack", "103")]
    [Trait("Attack", "147")]
    [Trait("Spec", "Invariant-6")]
    public async Task AgentSuspended_NoneOfItsThousandTokensWorksAtAnyGuard_AndNoOtherAgentNotices()
    {
        for (var round = 0; round < Rounds; round++)
        {
            Held[] dead = await TokensAsync(Rogue, Tokens), living = await TokensAsync(Steady, TokensOfTheOther);
            Assert.Equal(Tokens, dead.Select(t => t.Token).Distinct().Count());
            Assert.Equal(Guards, dead.Select(t => t.Resource).Distinct().Count());
            using var end = new CancellationTokenSource();
            Task<Worked>[] others = [.. living.Select(t => WorkAsync(t, end.Token))];
            int mark = allowed.Of(Steady);

            // Before: all of them work, and every guard has seen every one.
            Assert.Equal(Tokens, (await AskAsync(dead)).Count(a => a.Ran));
            mark = await MoreAsync(mark);

            await deployment.SetStateAsync("agents", Rogue, "suspended");
            long acknowledged = Stopwatch.GetTimestamp();

            // Meanwhile: each guard may take as long as is promised.
            TimeSpan[] refused = await Task.WhenAll(dead.DistinctBy(t => t.Resource).Select(t =>
                Eventually.TrueAsync(async () => (await CallAsync(t)).Revoked, $"{t.Resource} refuses", Bound)));
            output.WriteLine($"the last guard refused {refused.Max().TotalMilliseconds:0} ms after the suspension, at the latest");
            mark = await MoreAsync(mark);

            // After: none, anywhere, for the one right reason, and nothing is decided any more, let alone run.
            int before = allowed.Of(Rogue);
            Answered[] answers = await AskAsync(dead);
            Assert.Equal((Tokens, Tokens), (answers.Length, answers.Count(a => a.Revoked)));
            Assert.Equal(before, allowed.Of(Rogue));
            Assert.True(Stopwatch.GetElapsedTime(acknowledged) < Limits.AccessToken, "The tokens had ended by themselves.");
            await MoreAsync(mark);
            (int status, JsonNode? answer) = await RequestAsync(Rogue, resources[0]);
            Assert.Equal((400, Names.Errors.UnauthorizedClient), (status, answer?["error"]?.GetValue<string>()));

            await end.CancelAsync();
            Worked[] worked = await Task.WhenAll(others);
            Assert.All(worked, w => Assert.True(w is { Allowed: > 0, Refused: null }, $"another agent's call was refused: {w.Refused}"));
            output.WriteLine($"the other agent's calls: {worked.Sum(w => w.Allowed)} allowed, none refused");
            if (round + 1 < Rounds) await RestoreAsync();
        }

        // The other agent goes on: at least one call of every guard's is answered from now on.
        async Task<int> MoreAsync(int since)
        {
            await Eventually.TrueAsync(() => Task.FromResult(allowed.Of(Steady) > since + TokensOfTheOther), "the other agent works", Deployment.Patience);
            return allowed.Of(Steady);
        }
    }

    /// <summary>Calls until told to stop, politely.</summary>
    private async Task<Worked> WorkAsync(Held held, CancellationToken end)
    {
        for (var count = 0; ; count++)
        {
            if (end.IsCancellationRequested) return new Worked(count, null);
            Answered answer = await CallAsync(held);
            if (!answer.Ran) return new Worked(count, answer);
            await Task.Delay(20, CancellationToken.None);
        }
    }

    private async Task<Answered[]> AskAsync(IEnumerable<Held> tokens)
    {
        var answers = new ConcurrentBag<Answered>();
        await Parallel.ForEachAsync(tokens, new ParallelOptions { MaxDegreeOfParallelism = AtATime }, async (held, _) => answers.Add(await CallAsync(held)));
        return [.. answers];
    }

    private async Task<Answered> CallAsync(Held held)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, held.Resource);
        request.Content = new StringContent("""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"mark","arguments":{}}}""", new MediaTypeHeaderValue("application/json"));
        request.Headers.Authorization = new("Bearer", held.Token);
        request.Headers.Add("Accept", "application/json, text/event-stream");
        request.Headers.Add(Names.Mcp.ProtocolVersionHeader, Names.Mcp.V20250618);
        try
        {
            using HttpResponseMessage response = await http.SendAsync(request);
            return new Answered((int)response.StatusCode, response.Headers.WwwAuthenticate.ToString(), await response.Content.ReadAsStringAsync());
        }
        catch (HttpRequestException cut)
        {
            // The end came while its answer was on the way.
            return new Answered(0, "", cut.Message);
        }
    }

    /// <summary>As many as asked for, spread evenly over the guards, each of a task and a grant of its own.</summary>
    private async Task<Held[]> TokensAsync(string agent, int count)
    {
        var tokens = new ConcurrentBag<Held>();
        await Parallel.ForEachAsync(Enumerable.Range(0, count), new ParallelOptions { MaxDegreeOfParallelism = AtATime }, async (i, _) =>
        {
            string resource = resources[i % Guards];
            (int status, JsonNode? answer) = await RequestAsync(agent, resource);
            Assert.True(status == 200, $"{status} {answer}");
            tokens.Add(new Held(resource, answer!["access_token"]!.GetValue<string>()));
        });
        return [.. tokens];
    }

    private async Task<(int Status, JsonNode? Answer)> RequestAsync(string agent, string resource)
    {
        JsonObject location = Location(resource);
        location["task"] = new JsonObject { ["purpose"] = "leave marks" };
        using var form = new FormUrlEncodedContent(new Dictionary<string, string>
        {
            [Names.OAuth.GrantType] = Names.OAuth.ClientCredentials, ["client_id"] = ClientOf(agent), ["client_secret"] = SecretOf(agent), [Names.Resources.Resource] = resource,
            [Names.Resources.AuthorizationDetails] = new JsonArray(location).ToJsonString(),
        });
        using HttpResponseMessage response = await http.PostAsync(new Uri(deployment.Issuer + Names.Paths.Token), form);
        return ((int)response.StatusCode, JsonNode.Parse(await response.Content.ReadAsStringAsync()));
    }

    private async Task RestoreAsync()
    {
        await deployment.SetStateAsync("agents", Rogue, "active");
        await Eventually.TrueAsync(async () => (await RequestAsync(Rogue, resources[0])).Status == 200, "the agent gets tokens again", Deployment.Patience);
        foreach (Held token in await TokensAsync(Rogue, Guards))
            await Eventually.TrueAsync(async () => (await CallAsync(token)).Ran, $"{token.Resource} takes it again", Deployment.Patience);
    }

    private void Register(JsonObject registry)
    {
        foreach (string agent in new[] { Rogue, Steady })
        {
            registry["agents"]!.AsArray().Add(new JsonObject
            {
                ["id"] = agent, ["name"] = agent, ["owner"] = "usr_ann", ["purpose"] = "Leaves marks", ["tool_class"] = "files", ["client_credentials"] = true,
                ["ceiling"] = new JsonArray([.. resources.Select(Location)]),
            });
            registry["clients"]!.AsArray().Add(new JsonObject
            {
                ["id"] = ClientOf(agent), ["name"] = agent, ["agent"] = agent, ["auth_method"] = "client_secret_post", ["secret"] = SecretOf(agent),
                ["grant_types"] = new JsonArray(Names.OAuth.ClientCredentials),
            });
        }
        for (var i = 0; i < Guards; i++)
        {
            registry["tool_servers"]!.AsArray().Add(new JsonObject
            {
                ["id"] = Server(i), ["resource"] = resources[i], ["name"] = Server(i), ["owner"] = "usr_ann", ["enrolment_secrets"] = new JsonArray(SecretOf(Server(i))),
                ["tools"] = new JsonArray(new JsonObject { ["name"] = "mark", ["sensitivity"] = "read", ["class"] = "files" }),
            });
        }
    }

    private static JsonObject Location(string resource) => new()
    {
        ["type"] = "mcp_tool_call", ["locations"] = new JsonArray(resource), ["actions"] = new JsonArray("tools/call"), ["tools"] = new JsonObject { ["mark"] = new JsonObject() },
    };

    private static string ClientOf(string agent) => "client-of-" + agent;

    private string SecretOf(string whose) => $"{secret}-{whose}";

    private static string Server(int guard) => string.Create(CultureInfo.InvariantCulture, $"srv_drill{guard}");

    private sealed record Held(string Resource, string Token);

    private sealed record Worked(int Allowed, Answered? Refused);

    private sealed record Answered(int Status, string Challenge, string Body)
    {
        public bool Ran => Status == 200 && Body.Contains("\"result\"", StringComparison.Ordinal) && !Body.Contains("\"isError\":true", StringComparison.Ordinal);

        /// <summary>Refused at the door as a token that is good no more.</summary>
        public bool Revoked => Status == 401 && Challenge.Contains($"error=\"{Names.Errors.InvalidToken}\"", StringComparison.Ordinal);
    }

    /// <summary>Allows, and counts for each agent what was decided.</summary>
    private sealed class CountingPolicy : CallPolicy
    {
        private readonly ConcurrentDictionary<string, int> counts = new();

        public int Of(string agent) => counts.GetValueOrDefault(agent);

        public override ValueTask<PolicyVerdict> Decide(CallContext call, CancellationToken cancellationToken)
        {
            counts.AddOrUpdate(call.Agent ?? "", 1, static (_, count) => count + 1);
            return new(PolicyVerdict.Allow());
        }
    }
}
