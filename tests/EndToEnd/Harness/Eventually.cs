using System.Diagnostics;
using System.Text.Json.Nodes;
using McpAuth.Client;

namespace McpAuth.EndToEnd.Harness;

internal static class Eventually
{
    /// <summary>Asks until it is so.</summary>
    /// <returns>How long it took.</returns>
    public static async Task<TimeSpan> TrueAsync(Func<Task<bool>> condition, string what, TimeSpan within)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            bool holds = await condition();
            TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
            if (holds && elapsed <= within) return elapsed;
            Assert.True(elapsed <= within, $"Not within {within}: {what}.");
            await Task.Delay(5);
        }
    }
}

internal static class TokenClaims
{
    public static JsonNode Claims(this AccessToken token) => JsonNode.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(token.Value.Split('.')[1]))!;

    public static string Jti(this AccessToken token) => token.Claims()["jti"]!.GetValue<string>();
}
