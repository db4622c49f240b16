using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Keys;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Harness;

/// <summary>What tests read of a token, and forge.</summary>
internal static class TokenText
{
    public static string Jti(this TokenResponse token) => Answers.Claims(token.AccessToken).GetProperty("jti").GetString()!;

    public static string Task(this TokenResponse token) => Answers.Claims(token.AccessToken).GetProperty("task").GetProperty("id").GetString()!;

    public static string Grant(this TokenResponse token) => Answers.Claims(token.AccessToken).GetProperty("grant").GetString()!;

    public static long Expires(this TokenResponse token) => Answers.Claims(token.AccessToken).GetProperty("exp").GetInt64();

    public static string[] Lineage(this TokenResponse token) =>
        [.. Answers.Claims(token.AccessToken).GetProperty("lineage").EnumerateArray().Select(e => e.GetString()!)];

    /// <summary>The same header and claims, some of them changed, under another signature (or none).</summary>
    /// <param name="sign">Signs header and payload; null keeps the old signature.</param>
    public static string Forge(string token, Action<JsonObject>? header = null, Action<JsonObject>? claims = null, Func<byte[], byte[]>? sign = null)
    {
        var parts = token.Split('.');
        var input = $"{Change(parts[0], header)}.{Change(parts[1], claims)}";
        return $"{input}.{(sign is null ? parts[2] : Base64Url.Encode(sign(System.Text.Encoding.ASCII.GetBytes(input))))}";
    }

    /// <summary>The same with other claims, signed by the server's own key: what it would have issued by another rule.</summary>
    public static string Resign(TestServer server, string token, Action<JsonObject> claims) =>
        Forge(token, null, claims, input => Harness.Forge.Es256(server.Services.GetRequiredService<SigningKeyRing>().Current.Active, input));

    private static string Change(string part, Action<JsonObject>? change)
    {
        Assert.True(Base64Url.TryDecode(part, out var bytes));
        var json = JsonNode.Parse(bytes)!.AsObject();
        change?.Invoke(json);
        return Base64Url.Encode(JsonSerializer.SerializeToUtf8Bytes(json));
    }

    /// <summary>Details whose one tool has this definition.</summary>
    public static JsonArray With(this JsonArray details, string tool, JsonObject definition)
    {
        details[0]!["tools"]![tool] = definition;
        return details;
    }
}
