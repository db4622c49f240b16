using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Testing;

namespace McpAuth.EndToEnd.Harness;

/// <summary>A client that administers an installation, whichever node it asks.</summary>
public sealed class Administrator(Deployment deployment)
{
    private readonly AdminClient client = new(deployment.Issuer);

    /// <summary>Registers it by a file; every node knows it afterwards.</summary>
    public async Task RegisterAsync()
    {
        await deployment.ApplyAsync(registry => registry["clients"]!.AsArray().Add(client.Entry));
        for (int node = 0; node < deployment.Nodes.Count; node++)
        {
            int at = node;
            await Eventually.TrueAsync(async () => (await client.TokenAsync(() => deployment.HandlerTo(at))).Status == HttpStatusCode.OK, "the node knows the client", Deployment.Patience);
        }
    }

    public Task<JsonObject> SendAsync(HttpMethod method, string path, JsonNode? body, int node) => client.SendAsync(method, path, body, () => deployment.HandlerTo(node));

    public Task<JsonObject> RevokeAsync(string level, string? id, int node)
    {
        var body = new JsonObject { ["level"] = level, ["reason"] = "an incident" };
        if (id is not null) body["id"] = id;
        return SendAsync(HttpMethod.Post, "/revocations", body, node);
    }
}
