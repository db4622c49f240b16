using System.Text.Json.Nodes;
using McpAuth.Client;
using McpAuth.Protocol;
using McpAuth.Testing;
using ModelContextProtocol.Client;

namespace McpAuth.EndToEnd.Harness;

/// <summary>The gateway as a process.</summary>
internal sealed class GatewayProcess : IAsyncDisposable
{
    private readonly ChildProcess process;

    private GatewayProcess(ChildProcess process) => this.process = process;

    public string Output => process.Text;

    /// <param name="file">The configuration file.</param>
    public static async Task<GatewayProcess> StartAsync(string file, string listen, IReadOnlyDictionary<string, string?> environment)
    {
        var gateway = new GatewayProcess(ChildProcess.StartDll(Built.Dll("src/McpGuard.Gateway"), ["--config", file], environment));
        try
        {
            await gateway.process.WaitForHealthAsync(new Uri(listen + Names.Paths.HealthReady), Deployment.Patience);
            return gateway;
        }
        catch
        {
            await gateway.DisposeAsync();
            throw;
        }
    }

    /// <summary>The official client, with tokens of the task.</summary>
    public static Task<McpClient> ConnectAsync(AgentTask task, string resource) => McpClient.CreateAsync(new HttpClientTransport(
        new HttpClientTransportOptions { Endpoint = new Uri(resource), TransportMode = HttpTransportMode.StreamableHttp }, new HttpClient(task.CreateHandler(resource)), ownsHttpClient: true));

    /// <summary>A client of the agent's, with a key of its own.</summary>
    public static JsonObject Client(TestAgent agent) => new()
    {
        ["id"] = agent.ClientId, ["name"] = agent.ClientId, ["agent"] = agent.Id, ["auth_method"] = Names.ClientAssertion.PrivateKeyJwt,
        ["jwks"] = new JsonObject { ["keys"] = new JsonArray(JsonNode.Parse(agent.Key.Public.Jwk.GetRawText())) }, ["grant_types"] = new JsonArray(Names.Exchange.GrantType),
    };

    public async ValueTask DisposeAsync()
    {
        await process.StopAsync(Deployment.Patience);
        await process.DisposeAsync();
    }
}
