using System.Text.Json.Nodes;
using McpAuth.Protocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace McpGuard.Gateway.Serving;

/// <summary>
/// The upstream's answer in place of the one that the MCP SDK makes: what a type of the SDK does not know gets through all the same. From the
/// SDK's comes what belongs to this hop, and which items of a list the guard left.
/// </summary>
internal static class RelayedAnswer
{
    private const string Item = "mcpguard.gateway.answer";

    /// <summary>Members of a result that say something about the hop it was sent over.</summary>
    private static readonly HashSet<string> OfTheHop = new(StringComparer.Ordinal) { "resultType", "cacheScope", "ttlMs", "_meta" };

    private static readonly (string List, string Key)[] Lists = [("tools", "name"), ("resources", "uri"), ("resourceTemplates", "uriTemplate"), ("prompts", "name")];

    public static void Put(MessageContext request, JsonObject answer) => request.Items[Item] = answer;

    public static McpMessageHandler Filter(McpMessageHandler next) => (message, cancellationToken) =>
    {
        if (message.JsonRpcMessage is JsonRpcResponse { Result: JsonObject made } response && message.Items.TryGetValue(Item, out object? item) && item is JsonObject answer)
            response.Result = Merge(made, answer);
        return next(message, cancellationToken);
    };

    private static JsonObject Merge(JsonObject made, JsonObject answer)
    {
        var result = new JsonObject();
        foreach ((string name, JsonNode? value) in answer)
        {
            if (!OfTheHop.Contains(name)) result[name] = value?.DeepClone();
        }
        foreach (string name in OfTheHop)
        {
            if (name != "_meta" && made[name] is { } own) result[name] = own.DeepClone();
        }
        foreach ((string list, string key) in Lists)
        {
            if (result[list] is not JsonArray items) continue;
            HashSet<string?> left = made[list] is JsonArray shown ? [.. shown.Select(i => Text(i, key))] : [];
            for (int i = items.Count - 1; i >= 0; i--)
            {
                if (Text(items[i], key) is not { } name || !left.Contains(name)) items.RemoveAt(i);
            }
        }
        JsonObject meta = answer["_meta"]?.DeepClone() as JsonObject ?? [];
        // Only the guard says what the guard denied.
        meta.Remove(Names.Mcp.DenialMeta);
        foreach ((string name, JsonNode? value) in made["_meta"] as JsonObject ?? []) meta[name] = value?.DeepClone();
        if (meta.Count > 0) result["_meta"] = meta;
        return result;
    }

    private static string? Text(JsonNode? item, string key) => item is JsonObject o && o[key] is JsonValue value && value.TryGetValue(out string? text) ? text : null;
}
