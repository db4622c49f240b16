using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Json;
using McpGuard.Sdk.Calls;

namespace McpGuard.Sdk.Http;

/// <summary>Takes out of a list's answer what its reader may not use.</summary>
internal static class ListAnswer
{
    /// <returns>The answer to send; null when it is neither JSON nor an event stream that can be read in full.</returns>
    public static byte[]? Filter(ReadOnlyMemory<byte> answer, string? contentType, Admission admission, ListRules rules)
    {
        try
        {
            return contentType?.StartsWith("text/event-stream", StringComparison.OrdinalIgnoreCase) is true
                ? Events(Encoding.UTF8.GetString(answer.Span), admission, rules) : Message(answer, admission, rules);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    private static byte[]? Message(ReadOnlyMemory<byte> json, Admission admission, ListRules rules)
    {
        if (JsonNode.Parse(json.Span, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false }) is not JsonObject message) return null;
        if (message["result"] is JsonObject result) Filter(result, admission, rules);
        return Encoding.UTF8.GetBytes(message.ToJsonString());
    }

    /// <summary>Each event is one message in one or more <c>data</c> lines.</summary>
    private static byte[]? Events(string stream, Admission admission, ListRules rules)
    {
        var result = new StringBuilder();
        foreach (string block in stream.ReplaceLineEndings("\n").Split("\n\n", StringSplitOptions.RemoveEmptyEntries))
        {
            string data = string.Join('\n', block.Split('\n').Where(l => l.StartsWith("data:", StringComparison.Ordinal)).Select(l => l.AsSpan(5).TrimStart(' ').ToString()));
            if (data.Length == 0) continue;
            if (Message(Encoding.UTF8.GetBytes(data), admission, rules) is not { } shown) return null;
            result.Append("event: message\ndata: ").Append(Encoding.UTF8.GetString(shown)).Append("\n\n");
        }
        return Encoding.UTF8.GetBytes(result.ToString());
    }

    private static void Filter(JsonObject result, Admission admission, ListRules rules)
    {
        Caller caller = admission.Caller;
        Keep("tools", item => Shows(item, caller, rules));
        Keep("resources", item => rules.Resource(caller, item["uri"]!.GetValue<string>()));
        Keep("resourceTemplates", item => rules.Template(caller, item["uriTemplate"]!.GetValue<string>()));
        Keep("prompts", item => rules.Prompt(caller, item["name"]!.GetValue<string>()));
        if (admission.Modern) result["cacheScope"] = "private";

        void Keep(string list, Func<JsonNode, bool> shows)
        {
            if (result[list] is not JsonArray items) return;
            for (int i = items.Count - 1; i >= 0; i--)
            {
                if (items[i] is not JsonObject item || !shows(item)) items.RemoveAt(i);
            }
        }
    }

    /// <summary>What is listed must be what was approved, to the last character.</summary>
    private static bool Shows(JsonNode item, Caller caller, ListRules rules) =>
        item["name"] is JsonValue name && name.TryGetValue(out string? text) && rules.Tool(caller, text) is { } tool
        && StrictJson.Parse(item.ToJsonString(), new JsonLimits(Limits.GuardBody)).TryGet(out JsonElement listed, out _)
        && string.Equals(GuardedTool.ListedDigest(listed), tool.Listed, StringComparison.Ordinal);
}
