using System.Net.Http.Headers;
using McpAuth.Protocol;

namespace McpAuth.Bench;

/// <summary>The one call that is measured: <c>tools/call</c> of <c>echo</c>.</summary>
internal static class EchoCall
{
    public const string Echo = "echo", Erase = "erase", Said = "hello";

    /// <summary>As <c>requests.lua</c> reads it.</summary>
    /// <param name="proof">Of a token that is bound to a key.</param>
    public static string Line(string token, string tool = Echo, string? proof = null) => string.Join('\t',
        [
            proof is null ? $"Authorization=Bearer {token}" : $"Authorization=DPoP {token}\tDPoP={proof}", "Content-Type=application/json",
            .. Headers(tool).Select(h => $"{h.Name}={h.Value}"), $"body={Body(tool, Said)}",
        ]);

    private static string Body(string tool, string message) =>
        $$$$$"""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"{{{{{tool}}}}}","arguments":{"message":"{{{{{message}}}}}"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}""";

    private static (string Name, string Value)[] Headers(string tool) =>
    [
        ("Accept", "application/json, text/event-stream"), (Names.Mcp.ProtocolVersionHeader, Names.Mcp.V20260728), (Names.Mcp.MethodHeader, "tools/call"), (Names.Mcp.NameHeader, tool),
    ];

    /// <summary>A denial is a 200 too: whether the tool ran is in the text.</summary>
    public static async Task<(int Status, bool Ran, string Text)> SendAsync(HttpClient http, string resource, string token, string message = Said, string tool = Echo)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, resource) { Content = new StringContent(Body(tool, message), new MediaTypeHeaderValue("application/json")) };
        request.Headers.Authorization = new("Bearer", token);
        foreach (var (name, value) in Headers(tool))
            request.Headers.TryAddWithoutValidation(name, value);
        using var response = await http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        var ran = response.IsSuccessStatusCode && text.Contains($"\"text\":\"{message}\"", StringComparison.Ordinal) && !text.Contains("\"isError\":true", StringComparison.Ordinal);
        return ((int)response.StatusCode, ran, text);
    }
}
