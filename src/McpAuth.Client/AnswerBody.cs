using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Json;

namespace McpAuth.Client;

/// <summary>Reads the body of an answer within bounds.</summary>
internal static class AnswerBody
{
    /// <summary>The JSON, or null when the body is of another type, longer than it may be, or not strict JSON.</summary>
    public static async Task<JsonElement?> Read(HttpContent content, CancellationToken cancellationToken)
    {
        if (content.Headers.ContentType?.MediaType is not { } type
            || !(type.Equals("application/json", StringComparison.OrdinalIgnoreCase) || type.EndsWith("+json", StringComparison.OrdinalIgnoreCase)))
            return null;

        using Stream stream = await content.ReadAsStreamAsync(cancellationToken);
        byte[] bytes = new byte[Math.Min(content.Headers.ContentLength is { } length and > 0 ? length + 1 : 4096, Limits.GuardBody + 1)];
        int read = 0;
        while (true)
        {
            int more = await stream.ReadAsync(bytes.AsMemory(read), cancellationToken);
            if (more == 0) break;
            read += more;
            if (read > Limits.GuardBody) return null;
            if (read == bytes.Length) Array.Resize(ref bytes, Math.Min(bytes.Length * 2, Limits.GuardBody + 1));
        }
        return StrictJson.Parse(bytes.AsMemory(0, read), new JsonLimits(Limits.GuardBody)).TryGet(out JsonElement json, out _) ? json : null;
    }
}
