using System.Net.Http.Headers;
using McpAuth.Protocol;

namespace McpAuth.Bench;

/// <summary>The one call that is measured: <c>tools/call</c> of <c>echo</c>.</summary>
internal static class EchoCall
{
    public const string Body =
        """{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hello"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}""";

    private static readonly (string Name, string Value)[] Headers =
    [
        ("Accept", "application/json, text/event-stream"), (Names.Mcp.ProtocolVersionHeader, Names.Mcp.V20260728), (Names.Mcp.MethodHeader, "tools/call"), (Names.Mcp.NameHeader, "echo"),
    ];

    /// <summary>As <c>requests.lua</c> reads it.</summary>
    public static string Line(string token) =>
        string.Join('\t', [$"Authorization=Bearer {token}", "Content-Type=application/json", .. Headers.Select(h => $"{h.Name}={h.Value}"), $"body={Body}"]);

    /// <summary>A denial is a 200 too: whether the tool ran is in the text.</summary>
    public static async Task<(int Status, bool Ran, string Text)> SendAsync(HttpClient http, string resource, string token)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, resource) { Content = new StringContent(Body, new MediaTypeHeaderValue("application/json")) };
        request.Headers.Authorization = new("Bearer", token);
        foreach (var (name, value) in Headers)
            request.Headers.TryAddWithoutValidation(name, value);
        using var response = await http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        var ran = response.IsSuccessStatusCode && text.Contains("\"text\":\"hello\"", StringComparison.Ordinal) && !text.Contains("\"isError\":true", StringComparison.Ordinal);
        return ((int)response.StatusCode, ran, text);
    }
}
