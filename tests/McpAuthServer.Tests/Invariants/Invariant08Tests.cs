using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Invariants;

/// <summary>8. No secret at rest or in a log (the server's part).</summary>
public sealed class Invariant08Tests : IAsyncLifetime
{
    private readonly TestServer server = new();

    public Task InitializeAsync()
    {
        // Everything that any part of the server would ever log, whatever its configuration says.
        foreach (var category in new[] { "Default", "Microsoft", "Microsoft.AspNetCore", "Microsoft.Hosting.Lifetime" })
            server.Settings[$"Logging:LogLevel:{category}"] = "Trace";
        return server.InitializeAsync();
    }

    public Task DisposeAsync() => server.DisposeAsync();

    [Fact]
    [Trait("Attack", "92"), Trait("Attack", "162")]
    public async Task Invariant08_NoSecretAtRestOrInALog_NoneOfThoseUsedIsFoundInDatabaseLogOrRefusal()
    {
        var s = await server.ScenarioAsync(o => o.FurtherAgents = 1);
        var secrets = new Dictionary<string, string> { ["enrolment secret"] = s.EnrolmentSecret, ["client secret"] = s.ServiceSecret };
        foreach (var agent in s.Agents)
        {
            await agent.AttestAsync();
            secrets[$"instance token of {agent.Id}"] = agent.InstanceToken;
            secrets[$"client key of {agent.Id}"] = Base64Url.Encode(agent.ClientKey.ExportPkcs8());
        }
        var guard = await TestGuard.OfAsync(s);
        secrets["guard token"] = guard.Token;
        secrets["args key"] = guard.Enrolled.ArgsKey.Key;
        var task = await s.Agent.BeginTaskAsync("read_file");
        var root = await s.Agent.TaskTokenAsync(task, "read_file");
        var taken = await s.Agents[1].TakeOverAsync(root.AccessToken);
        (secrets["root"], secrets["taken"], secrets["by scope"]) = (root.AccessToken, taken.AccessToken, (await (await s.ServiceTokenAsync()).ReadAsync(ProtocolJson.Default.TokenResponse)).AccessToken);

        // Everything that goes wrong, with secrets in the wrong places too.
        var refusals = new List<HttpResponseMessage>();
        var (assertion, proof) = (s.Agent.Assertion(), s.Agent.Proof(HttpMethod.Post, Names.Paths.Token));
        (secrets["assertion"], secrets["proof"]) = (assertion, proof);
        var form = s.Agent.ExchangeForm(root.AccessToken);
        form[Names.ClientAssertion.Parameter] = assertion;
        await s.Agent.ExchangeRawAsync(form, proof);
        refusals.Add(await s.Agent.ExchangeRawAsync(form, proof));
        refusals.Add(await s.Agents[1].ExchangeRawAsync(s.Agents[1].ExchangeForm(root.AccessToken)));
        refusals.Add(await s.ServiceTokenAsync("tool:" + s.ServiceSecret));
        refusals.Add(await s.ServiceTokenAsync(change: f => f["client_secret"] = s.ServiceSecret));
        refusals.Add(await s.ServiceTokenAsync(change: f => f["grant_type"] = root.AccessToken));
        refusals.Add(await s.ServiceTokenAsync(change: f => f["resource"] = root.AccessToken));
        refusals.Add(await server.Client().PostAsync($"{Names.Paths.Token}?client_secret={s.ServiceSecret}", new FormUrlEncodedContent([])));
        refusals.Add(await guard.EnrollRawAsync());
        // (Not in a path: whoever logs requests logs paths, and no path of ours takes a secret.)
        refusals.Add(await s.Agent.CallAsync(HttpMethod.Get, "/tasks/tsk_unknown", token: root.AccessToken));
        refusals.Add(await s.Agent.CallAsync(HttpMethod.Post, Names.Paths.Tasks, new JsonObject { ["purpose"] = 1, ["authorization_details"] = root.AccessToken }));
        refusals.Add(await guard.CallAsync(Names.Paths.GuardRevocations, new JsonObject { ["stream"] = guard.Token, ["after"] = 0 }));
        await guard.SpendAsync(taken.AccessToken, "read_file");
        await guard.IntrospectAsync(taken.AccessToken);
        var revoke = s.Agent.AssertionForm();
        revoke["token"] = root.AccessToken;
        await s.Agent.PostFormAsync(Names.Paths.Revoke, revoke, null);
        await s.Agent.CallAsync(HttpMethod.Post, $"/tasks/{task}/complete");

        var places = new Dictionary<string, string> { ["log"] = string.Join('\n', server.Logs.Lines) };
        foreach (var file in Directory.EnumerateFiles(server.DataDirectory, "*", SearchOption.AllDirectories))
        {
            await using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            using var copy = new MemoryStream();
            await stream.CopyToAsync(copy);
            places[Path.GetFileName(file)] = Encoding.Latin1.GetString(copy.GetBuffer(), 0, (int)copy.Length);
        }
        foreach (var refusal in refusals)
        {
            Assert.InRange((int)refusal.StatusCode, 400, 499);
            places[$"refusal {places.Count}"] = await refusal.Content.ReadAsStringAsync();
        }
        // The search finds what is there: an id that is no secret stands in log or database.
        Assert.Contains(places, p => p.Value.Contains(task, StringComparison.Ordinal) && p.Key.StartsWith("mcpauth.db", StringComparison.Ordinal));
        Assert.True(server.Logs.Lines.Count > 100, $"only {server.Logs.Lines.Count} lines were logged");
        foreach (var (name, secret) in secrets)
            foreach (var (place, text) in places)
            {
                Assert.False(text.Contains(secret, StringComparison.Ordinal), $"{name} in {place}");
                // Of a token, its signature alone is as bad as the whole.
                if (secret.Split('.') is [_, _, var signature])
                    Assert.False(text.Contains(signature, StringComparison.Ordinal), $"signature of {name} in {place}");
                if (name == "args key")
                {
                    Assert.True(Base64Url.TryDecode(secret, out var raw));
                    Assert.False(text.Contains(Encoding.Latin1.GetString(raw), StringComparison.Ordinal), $"{name} in {place}");
                }
            }
    }

    [Fact]
    public async Task Invariant08_Identifiers_AreFreshForEveryToken()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var task = await s.Agent.BeginTaskAsync("read_file");
        var ids = new HashSet<string>();
        for (var i = 0; i < 20; i++)
        {
            // The clock stands still, so only randomness tells them apart.
            var token = await s.Agent.TaskTokenAsync(task, "read_file");
            Assert.True(ids.Add(token.Jti()) && ids.Add(token.Grant()));
        }
    }

    [Fact]
    public async Task Invariant08_UnexpectedInput_NeverAnswersWithAStackTrace()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        foreach (var (method, path) in new[] { ("POST", "/token"), ("POST", "/revoke"), ("POST", "/introspect"), ("POST", "/tasks"), ("POST", "/agents/instances"), ("POST", "/guard/enroll"), ("POST", "/guard/audit") })
            foreach (var body in new[] { "", "null", "{", "[]", "\0", new string('a', 70_000), "a=%zz", "{\"a\":1,\"a\":2}" })
                foreach (var type in new[] { "application/json", "application/x-www-form-urlencoded", "text/plain" })
                {
                    using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = new StringContent(body, Encoding.UTF8, type) };
                    var answer = await server.Client().SendAsync(request);
                    var text = await answer.Content.ReadAsStringAsync();
                    Assert.InRange((int)answer.StatusCode, 400, 499);
                    Assert.DoesNotContain("   at ", text, StringComparison.Ordinal);
                    Assert.DoesNotContain("Exception", text, StringComparison.Ordinal);
                }
        Assert.Equal(HttpStatusCode.Created, (await s.Agent.BeginTaskRawAsync(s.Details(["read_file"]))).StatusCode);
    }
}
