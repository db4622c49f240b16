using McpAuth.Client;
using McpAuth.Protocol.Jose;

namespace McpAuth.EndToEnd.Harness;

/// <summary>A guard of a tool server that asks every node about its tokens.</summary>
internal sealed class NodeProbes : IDisposable
{
    private readonly SigningKey key = SigningKey.Create();
    private readonly List<GuardChannel> channels = [];

    public static async Task<NodeProbes> EnrolAsync(Deployment deployment, GuardedServer server)
    {
        var probes = new NodeProbes();
        var enrolled = await GuardChannel.EnrollAsync(deployment.Issuer, server.Resource, server.ProbeSecret, probes.key, Reaching(0));
        for (var node = 0; node < deployment.Nodes.Count; node++) probes.channels.Add(new GuardChannel(deployment.Issuer, enrolled.GuardId, probes.key, Reaching(node)));
        return probes;

        ConnectionOptions Reaching(int node) => new() { Handler = deployment.HandlerTo(node) };
    }

    /// <summary>Whether each node calls the token active, asked at this moment.</summary>
    public async Task<bool[]> ActiveAsync(string token) => await Task.WhenAll(channels.Select(async c => (await c.Introspect(token)).Active));

    public void Dispose()
    {
        channels.ForEach(c => c.Dispose());
        key.Dispose();
    }
}
