using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Client;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using Microsoft.Data.Sqlite;

namespace McpAuth.EndToEnd.Harness;

/// <summary>
/// An installation of real processes: an authorization server (one on SQLite, or several nodes on one PostgreSQL database), guarded tool servers
/// with real files, and two registered agents, of which the first may hand off to the second.
/// </summary>
public sealed class Deployment : IAsyncDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly string[] Sensitivities = ["list_files:read", "read_file:read", "search_files:read", "write_file:write", "move_file:destructive", "delete_file:destructive"];

    private readonly TempDirectory directory = new();
    private readonly string? postgres;
    private readonly string keyEncryptionKey = Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));
    private readonly IReadOnlyDictionary<string, string?> settings;
    private int files;

    private Deployment(string? postgres, int nodes, string[] toolServers, IReadOnlyDictionary<string, string?>? settings)
    {
        (this.postgres, this.settings) = (postgres, settings ?? new Dictionary<string, string?>());
        Ports = [.. Enumerable.Range(0, nodes).Select(_ => FreePort.Next())];
        Issuer = string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{Ports[0]}");
        Servers = [.. toolServers.Select(name => new GuardedServer(name, Issuer, directory))];
        HostedResource = string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{FreePort.Next()}/mcp");
        Registry = RegistryFile();
    }

    /// <summary>All nodes have this one; that of node 0 is its address too.</summary>
    public string Issuer { get; }
    public int[] Ports { get; }
    public List<ChildProcess> Nodes { get; } = [];
    public GuardedServer[] Servers { get; }
    public TestAgent First { get; } = new("agt_first", "first-client");
    public TestAgent Second { get; } = new("agt_second", "second-client");

    /// <summary>A registered tool server that a test hosts itself; its one tool is <c>mark</c>, which writes.</summary>
    public string HostedResource { get; }
    public string HostedSecret { get; } = "enrolment-" + Guid.NewGuid().ToString("N");

    /// <summary>The registry file as it was last applied.</summary>
    public JsonObject Registry { get; }

    /// <param name="postgres">The connection string of an empty database; null = SQLite, and then one node.</param>
    public static Task<Deployment> StartAsync(string? postgres, int nodes, params string[] toolServers) => StartAsync(postgres, nodes, toolServers, _ => { });

    /// <param name="register">What else is registered before the first start.</param>
    /// <param name="settings">Environment variables of every node, beside those it needs.</param>
    public static async Task<Deployment> StartAsync(
        string? postgres, int nodes, string[] toolServers, Action<JsonObject> register, IReadOnlyDictionary<string, string?>? settings = null)
    {
        var deployment = new Deployment(postgres, nodes, toolServers, settings);
        try
        {
            register(deployment.Registry);
            var registry = deployment.WriteRegistry();
            // All at once: whoever comes first creates the schema and the signing key.
            for (var node = 0; node < nodes; node++)
                deployment.Nodes.Add(deployment.LaunchNode(node, node == 0 ? ["--apply", registry] : []));
            await Task.WhenAll(Enumerable.Range(0, nodes).Select(deployment.NodeReadyAsync));
            await Task.WhenAll(deployment.Servers.Select(s => s.StartAsync()));
            return deployment;
        }
        catch
        {
            await deployment.DisposeAsync();
            throw;
        }
    }

    /// <summary>Changes the registry by a process of its own on the same database; it is acknowledged when this returns.</summary>
    public async Task ApplyAsync(Action<JsonObject> change)
    {
        change(Registry);
        await using var apply = LaunchNode(0, ["--apply", WriteRegistry(), "--apply-only"]);
        Assert.True(await apply.WaitForExitAsync(Patience) == 0, apply.Text);
    }

    /// <summary>The key that signs, as the set of a node shows it; it stands first.</summary>
    public async Task<string> SigningKeyAsync(int node = 0)
    {
        using var http = new HttpClient(HandlerTo(node));
        using var set = JsonDocument.Parse(await http.GetStringAsync(new Uri(Issuer + Names.Paths.Jwks)));
        return set.RootElement.GetProperty("keys")[0].GetProperty("kid").GetString()!;
    }

    /// <summary>Revokes a signing key by a process of its own on the same database; it is acknowledged when this returns.</summary>
    public async Task RevokeKeyAsync(string kid)
    {
        await using var command = LaunchNode(0, ["--revoke-key", kid]);
        Assert.True(await command.WaitForExitAsync(Patience) == 0, command.Text);
    }

    /// <param name="kind"><c>agents</c>, <c>clients</c> or <c>tool_servers</c>.</param>
    public Task SetStateAsync(string kind, string id, string state) =>
        ApplyAsync(registry => registry[kind]!.AsArray().Single(o => o!["id"]!.GetValue<string>() == id)!["state"] = state);

    /// <summary>Takes a suspension back, and waits until every node has seen it: until then they refuse, which is the safe side.</summary>
    public async Task RestoreAsync(string kind, string id)
    {
        await SetStateAsync(kind, id, "active");
        for (var node = 0; node < Nodes.Count; node++)
        {
            var at = node;
            await Eventually.TrueAsync(() => AttestsAsync(at), $"node {at} has seen that {id} is active again", Patience);
        }

        async Task<bool> AttestsAsync(int at)
        {
            try
            {
                await (await AttestAsync(First, at)).DisposeAsync();
                return true;
            }
            catch (OAuthErrorException)
            {
                return false;
            }
        }
    }

    /// <summary>The one-time address at which a registered user sets a password.</summary>
    public async Task<string> SetupLinkAsync(string user)
    {
        await using var command = LaunchNode(0, ["--setup-link", user]);
        Assert.True(await command.WaitForExitAsync(Patience) == 0, command.Text);
        return command.Output.Last(line => line.StartsWith(Issuer, StringComparison.Ordinal));
    }

    /// <summary>All events of the types so far, oldest first, as they lie in the database of an installation on SQLite.</summary>
    public async Task<IReadOnlyList<JsonNode>> EventsAsync(params string[] types)
    {
        await using var connection = new SqliteConnection($"Data Source={directory["data/mcpauth.db"]};Mode=ReadOnly;Pooling=false");
        await connection.OpenAsync();
        await using var select = new SqliteCommand($"select body from audit_events where type in ({string.Join(',', types.Select(t => $"'{t}'"))}) order by place", connection);
        await using var rows = await select.ExecuteReaderAsync();
        var events = new List<JsonNode>();
        while (await rows.ReadAsync()) events.Add(JsonNode.Parse(rows.GetString(0))!);
        return events;
    }

    public async Task KillNodeAsync(int node = 0)
    {
        Nodes[node].Kill();
        await Nodes[node].WaitForExitAsync(Patience);
    }

    /// <summary>Starts a node again that was killed: same address, same data.</summary>
    public async Task RestartNodeAsync(int node = 0)
    {
        await Nodes[node].DisposeAsync();
        Nodes[node] = LaunchNode(node, []);
        await NodeReadyAsync(node);
    }

    /// <summary>Reaches a certain node under the one issuer, as a balancer in front of them would.</summary>
    public SocketsHttpHandler HandlerTo(int node) => new()
    {
        AllowAutoRedirect = false, UseCookies = false, UseProxy = false,
        ConnectCallback = async (_, cancel) =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(IPAddress.Loopback, Ports[node], cancel);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        },
    };

    public Task<AgentSession> AttestAsync(TestAgent agent, int node = 0) =>
        AgentSession.AttestAsync(Issuer, agent.Authentication, options: new ConnectionOptions { Handler = HandlerTo(node) });

    /// <summary>The same tools at each of <paramref name="servers"/> (default: all).</summary>
    /// <param name="tools">The <c>tools</c> member of RFC 9396 as in <c>mcp_tool_call</c>.</param>
    /// <param name="task">A <c>task</c> member to put in, or null.</param>
    public JsonElement Authority(string tools, GuardedServer[]? servers = null, string? task = null) =>
        JsonSerializer.SerializeToElement(new JsonArray([.. (servers ?? Servers).Select(s => Location(s.Resource, tools, task))]));

    /// <summary>The right to call <c>mark</c> at <see cref="HostedResource"/>.</summary>
    public JsonElement HostedAuthority() => JsonSerializer.SerializeToElement(new JsonArray(Location(HostedResource, """{"mark":{}}""", null)));

    /// <summary>The story of a task once every one of <paramref name="complete"/> holds: guards deliver in batches.</summary>
    public static async Task<IReadOnlyList<AuditEvent>> StoryAsync(AgentTask task, Func<IReadOnlyList<AuditEvent>, bool> complete)
    {
        using var limit = new CancellationTokenSource(Patience);
        while (true)
        {
            TaskStory story = await task.Story(limit.Token);
            if (complete(story.Events)) return story.Events;
            if (limit.IsCancellationRequested) Assert.Fail("The story stayed incomplete:\n" + string.Join('\n', story.Events.Select(e => $"{e.Type} {e.Outcome} {e.Tool} {e.Reason}")));
            await Task.Delay(50, CancellationToken.None);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var server in Servers) await server.DisposeAsync();
        foreach (var node in Nodes) await node.DisposeAsync();
        First.Key.Dispose();
        Second.Key.Dispose();
        directory.Dispose();
    }

    private ChildProcess LaunchNode(int node, IEnumerable<string> arguments) =>
        ChildProcess.StartDll(Built.Dll("src/McpAuthServer"), arguments, new Dictionary<string, string?>(GuardedServer.Runtime.Concat(Unlimited.Environment).Concat(settings).GroupBy(s => s.Key).Select(s => s.Last()))
        {
            ["McpAuth__Issuer"] = Issuer,
            ["McpAuth__DataDirectory"] = directory["data"],
            ["McpAuth__Postgres"] = postgres,
            ["McpAuth__KeyEncryptionKey"] = keyEncryptionKey,
            ["McpAuth__Node"] = string.Create(CultureInfo.InvariantCulture, $"node-{node}"),
            ["ASPNETCORE_URLS"] = string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{Ports[node]}"),
        });

    private Task NodeReadyAsync(int node) =>
        Nodes[node].WaitForHealthAsync(new Uri(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{Ports[node]}{Names.Paths.HealthReady}")), Patience);

    private string WriteRegistry() => directory.Write(string.Create(CultureInfo.InvariantCulture, $"registry-{files++}.json"), Registry.ToJsonString());

    private JsonObject RegistryFile()
    {
        var all = "{" + string.Join(',', Sensitivities.Select(t => $"\"{t.Split(':')[0]}\":{{}}")) + "}";
        var ceiling = new JsonArray([.. Servers.Select(s => Location(s.Resource, all, null)), Location(HostedResource, """{"mark":{}}""", null)]);
        return new JsonObject
        {
            ["users"] = new JsonArray(new JsonObject { ["id"] = "usr_ann", ["name"] = "Ann Example", ["email"] = "ann@example.com" }),
            ["agents"] = new JsonArray(Agent(First, [Second.Id]), Agent(Second, [])),
            ["clients"] = new JsonArray(Client(First), Client(Second)),
            ["tool_servers"] = new JsonArray([.. Servers.Select(s => new JsonObject
            {
                ["id"] = "srv_" + s.Name, ["resource"] = s.Resource, ["name"] = s.Name, ["owner"] = "usr_ann",
                ["enrolment_secrets"] = new JsonArray(s.EnrolmentSecret, s.ProbeSecret),
                ["tools"] = new JsonArray([.. Sensitivities.Select(t => new JsonObject { ["name"] = t.Split(':')[0], ["sensitivity"] = t.Split(':')[1], ["class"] = "files" })]),
            }), new JsonObject
            {
                ["id"] = "srv_hosted", ["resource"] = HostedResource, ["name"] = "hosted", ["owner"] = "usr_ann", ["enrolment_secrets"] = new JsonArray(HostedSecret),
                ["tools"] = new JsonArray(new JsonObject { ["name"] = "mark", ["sensitivity"] = "write", ["class"] = "files" }),
            }]),
        };

        JsonObject Agent(TestAgent agent, string[] handOffTo) => new()
        {
            ["id"] = agent.Id, ["name"] = agent.Id, ["owner"] = "usr_ann", ["purpose"] = "Works on files", ["tool_class"] = "files", ["require_dpop"] = true,
            ["max_task_seconds"] = 3600, ["ceiling"] = ceiling.DeepClone(), ["hand_off_to"] = new JsonArray([.. handOffTo.Select(a => JsonValue.Create(a))]),
        };

        static JsonObject Client(TestAgent agent) => new()
        {
            ["id"] = agent.ClientId, ["name"] = agent.ClientId, ["agent"] = agent.Id, ["auth_method"] = "private_key_jwt",
            ["jwks"] = new JsonObject { ["keys"] = new JsonArray(JsonNode.Parse(agent.Key.Public.Jwk.GetRawText())) },
            ["grant_types"] = new JsonArray(Names.Exchange.GrantType),
        };
    }

    private static JsonObject Location(string resource, string tools, string? task)
    {
        var location = new JsonObject
        {
            ["type"] = "mcp_tool_call", ["locations"] = new JsonArray(resource), ["actions"] = new JsonArray("tools/call"), ["tools"] = JsonNode.Parse(tools),
        };
        if (task is not null) location["task"] = JsonNode.Parse(task);
        return location;
    }
}
