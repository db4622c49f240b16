using McpAuth.Protocol.Messages;

namespace McpAuthServer.Tests.Harness;

/// <summary>What every test of exchanges begins with.</summary>
internal static class Exchanging
{
    /// <summary>A scenario whose agents are attested.</summary>
    /// <param name="further">Agents beside the first.</param>
    public static async Task<Scenario> ReadyAsync(TestServer server, int further = 0)
    {
        var s = await server.ScenarioAsync(o => o.FurtherAgents = further);
        foreach (var agent in s.Agents)
            await agent.AttestAsync();
        return s;
    }

    /// <summary>The first token of a task in which files are listed and read.</summary>
    public static async Task<TokenResponse> StartAsync(TestAgent agent) =>
        await agent.TaskTokenAsync(await agent.BeginTaskAsync("list_files", "read_file"), "list_files", "read_file");

    public static async Task<TokenResponse> IssuedAsync(TestAgent agent, Dictionary<string, string> form) =>
        await (await agent.ExchangeRawAsync(form)).ReadAsync(ProtocolJson.Default.TokenResponse);
}
