using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol.Json;

namespace McpGuard.Gateway.Upstreams;

/// <summary>What an upstream's <c>tools/list</c> said, as it said it. Immutable.</summary>
internal sealed class UpstreamTools
{
    private const int MostTools = 1000, MostPages = 64, LongestCursor = 4096, LongestName = 128, LargestDefinition = 256 * 1024;

    private readonly FrozenDictionary<string, string> digests;

    private UpstreamTools(IReadOnlyList<JsonElement> definitions) =>
        (Definitions, digests) = (definitions, definitions.ToFrozenDictionary(d => d.GetProperty("name").GetString()!, CanonicalJson.Digest, StringComparer.Ordinal));

    public static UpstreamTools None { get; } = new([]);

    public IReadOnlyList<JsonElement> Definitions { get; }

    public bool Same(UpstreamTools other) => digests.Count == other.digests.Count && digests.All(d => other.Has(d.Key, d.Value));

    /// <summary>Whether the tool is here, and the same there.</summary>
    public bool Agrees(UpstreamTools other, string tool) => digests.TryGetValue(tool, out string? digest) && other.Has(tool, digest);

    private bool Has(string tool, string digest) => digests.TryGetValue(tool, out string? mine) && string.Equals(mine, digest, StringComparison.Ordinal);

    /// <param name="page">Asks for one page; null asks for the first.</param>
    /// <param name="refused">Told of each tool that is not offered, and why.</param>
    /// <exception cref="UpstreamException">The list is none, or has no end.</exception>
    public static async Task<UpstreamTools> Read(Func<string?, Task<JsonObject>> page, Action<string, string> refused)
    {
        List<JsonElement> definitions = [];
        HashSet<string> names = new(StringComparer.Ordinal);
        HashSet<string> cursors = new(StringComparer.Ordinal);
        string? cursor = null;
        int listed = 0;
        for (int pages = 0; pages < MostPages; pages++)
        {
            JsonObject result = await page(cursor);
            if (result["tools"] is not JsonArray tools) throw new UpstreamException("Its list of tools is none.");
            listed += tools.Count;
            if (listed > MostTools) throw new UpstreamException($"It lists more than {MostTools} tools.");
            foreach (JsonNode? tool in tools)
            {
                if (Offered(tool, out string label, out string why) is { } definition && Once(names, label, ref why)) definitions.Add(definition);
                else refused(label, why);
            }
            cursor = result["nextCursor"] is JsonValue next && next.TryGetValue(out string? text) ? text : null;
            if (cursor is null) return new UpstreamTools(definitions);
            if (cursor.Length > LongestCursor || !cursors.Add(cursor)) throw new UpstreamException("Its list of tools has no end.");
        }
        throw new UpstreamException("Its list of tools has no end.");
    }

    private static bool Once(HashSet<string> names, string name, ref string why)
    {
        why = "it has the name of another";
        return names.Add(name);
    }

    /// <summary>Strictly: what two readers could read in two ways is not a definition that somebody can approve.</summary>
    private static JsonElement? Offered(JsonNode? tool, out string label, out string why)
    {
        (label, why) = ("?", "it is not an object with a name");
        if (tool is not JsonObject) return null;
        if (!StrictJson.Parse(tool.ToJsonString(), new JsonLimits(LargestDefinition)).TryGet(out JsonElement definition, out McpAuth.Protocol.Fault? fault))
        {
            why = fault.Message;
            return null;
        }
        if (!definition.TryGetProperty("name", out JsonElement name) || name.ValueKind != JsonValueKind.String) return null;
        string text = name.GetString()!;
        label = new string([.. text.Take(LongestName).Select(c => c is > ' ' and <= '~' ? c : '?')]);
        why = "its name is not [A-Za-z0-9_./-]{1,128}";
        return text.Length is > 0 and <= LongestName && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '/' or '-') ? definition : null;
    }
}
