using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using McpAuth.Client;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;

namespace McpAuth.EndToEnd.Harness;

/// <summary>Sends bytes to a guarded tool server that no well-behaved client would, with a proper proof for each.</summary>
public sealed class RawCaller(string resource, SigningKey key, AccessToken token) : IDisposable
{
    private readonly HttpClient http = new(new DpopHandler(key, new Uri(resource), _ => new(token))) { Timeout = TimeSpan.FromSeconds(30) };

    public string Resource => resource;
    public AccessToken Token => token;

    /// <param name="arguments">JSON.</param>
    public Task<Answer> CallAsync(string tool, string arguments) =>
        SendAsync($$$"""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"{{{tool}}}","arguments":{{{arguments}}}}}""");

    public Task<Answer> ReadAsync(string path = "reports/q1.md") => CallAsync("read_file", $$"""{"path":"{{path}}"}""");

    /// <summary>Whether a call is refused at the door. One whose answer was cut off half way, because the end came meanwhile, is not yet.</summary>
    public async Task<bool> IsRefusedAsync()
    {
        try
        {
            return (await ReadAsync()).Status == 401;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    public async Task<Answer> SendAsync(string body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, resource);
        request.Content = new StringContent(body, new MediaTypeHeaderValue("application/json"));
        request.Headers.Add("Accept", "application/json, text/event-stream");
        request.Headers.Add(Names.Mcp.ProtocolVersionHeader, Names.Mcp.V20250618);
        using HttpResponseMessage response = await http.SendAsync(request);
        string text = await response.Content.ReadAsStringAsync();
        // A server that streams its answer sends the same message as an event.
        if (response.Content.Headers.ContentType?.MediaType == "text/event-stream")
            text = text.Split('\n').Single(l => l.StartsWith("data:", StringComparison.Ordinal))["data:".Length..];
        return new Answer((int)response.StatusCode, text.Length == 0 ? null : JsonNode.Parse(text));
    }

    public void Dispose() => http.Dispose();
}

/// <summary>What came back.</summary>
public sealed record Answer(int Status, JsonNode? Body)
{
    /// <summary>The tool ran, whatever it made of it.</summary>
    public bool Ran => Status == 200 && Body?["result"] is not null && Denial is null;

    public string? Text => Body?["result"]?["content"]?[0]?["text"]?.GetValue<string>();

    public string? Denial => Body?["result"]?["_meta"]?[Names.Mcp.DenialMeta]?["code"]?.GetValue<string>();

    public int? Error => Body?["error"]?["code"]?.GetValue<int>();

    public override string ToString() => $"{Status} {Body?.ToJsonString()}";
}
