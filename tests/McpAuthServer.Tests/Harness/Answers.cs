using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;

namespace McpAuthServer.Tests.Harness;

/// <summary>Reads answers; a test that expected success sees the refusal's text.</summary>
internal static class Answers
{
    public static async Task<T> ReadAsync<T>(this HttpResponseMessage response, JsonTypeInfo<T> type)
    {
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, $"{(int)response.StatusCode} {text}");
        return JsonSerializer.Deserialize(text, type)!;
    }

    /// <summary>Asserts a refusal: status, code, <c>no-store</c>, no token.</summary>
    public static async Task<ErrorResponse> RefusedAsync(this HttpResponseMessage response, HttpStatusCode status, string error, string? reason = null)
    {
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == status, $"expected {(int)status} {error}, got {(int)response.StatusCode} {text}");
        var refusal = JsonSerializer.Deserialize(text, ProtocolJson.Default.ErrorResponse)!;
        Assert.True(refusal.Error == error && (reason is null || refusal.Reason == reason), $"expected {error} {reason}, got {text}");
        Assert.True(response.Headers.CacheControl?.NoStore, "no-store is missing");
        Assert.DoesNotContain("\"access_token\"", text, StringComparison.Ordinal);
        return refusal;
    }

    public static async Task<ErrorResponse> ReadErrorAsync(this HttpResponseMessage response) =>
        JsonSerializer.Deserialize(await response.Content.ReadAsStringAsync(), ProtocolJson.Default.ErrorResponse)!;

    /// <summary>The claims of a token, unverified.</summary>
    public static JsonElement Claims(string token) =>
        Base64Url.TryDecode(token.Split('.')[1], out var bytes) ? JsonElement.Parse(bytes) : throw new FormatException("Not a JWT.");
}
