using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Json;
using McpGuard.Sdk.Calls;
using McpGuard.Sdk.Tokens;

namespace McpGuard.Sdk.Http;

/// <summary>Takes out of a list's answer what its reader may not use.</summary>
internal static class ListAnswer
{
    /// <returns>The answer to send; null when it is neither JSON nor an event stream that can be read in full.</returns>
    public static byte[]? Filter(ReadOnlyMemory<byte> answer, string? contentType, Admission admission, ToolCatalogue catalogue)
    {
        try
        {
            return contentType?.StartsWith("text/event-stream", StringComparison.OrdinalIgnoreCase) is true
                ? Events(Encoding.UTF8.GetString(answer.Span), admission, catalogue) : Message(answer, admission, catalogue);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    private static byte[]? Message(ReadOnlyMemory<byte> json, Admission admission, ToolCatalogue catalogue)
    {
        if (JsonNode.Parse(json.Span, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false }) is not JsonObject message) return null;
        if (message["result"] is JsonObject result) Filter(result, admission, catalogue);
        return Encoding.UTF8.GetBytes(message.ToJsonString());
    }

    /// <summary>Each event is one message in one or more <c>data</c> lines.</summary>
    private static byte[]? Events(string stream, Admission admission, ToolCatalogue catalogue)
    {
        var result = new StringBuilder();
        foreach (string block in stream.ReplaceLineEndings("\n").Split("\n\n", StringSplitOptions.RemoveEmptyEntries))
        {
            string data = string.Join('\n', block.Split('\n').Where(l => l.StartsWith("data:", StringComparison.Ordinal)).Select(l => l.AsSpan(5).TrimStart(' ').ToString()));
            if (data.Length == 0) continue;
            if (Message(Encoding.UTF8.GetBytes(data), admission, catalogue) is not { } shown) return null;
            result.Append("event: message\ndata: ").Append(Encoding.UTF8.GetString(shown)).Append("\n\n");
        }
        return Encoding.UTF8.GetBytes(result.ToString());
    }

    private static void Filter(JsonObject result, Admission admission, ToolCatalogue catalogue)
    {
        ValidatedToken token = admission.Caller.Token;
        Keep("tools", item => Shows(item, token, catalogue));
        Keep("resources", item => Authorities.ShowsResource(token, item["uri"]!.GetValue<string>()));
        Keep("resourceTemplates", item => Authorities.ShowsResource(token, item["uriTemplate"]!.GetValue<string>()));
        Keep("prompts", item => Authorities.ShowsPrompt(token, item["name"]!.GetValue<string>()));
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
    private static bool Shows(JsonNode item, ValidatedToken token, ToolCatalogue catalogue) =>
        item["name"] is JsonValue name && name.TryGetValue(out string? text) && catalogue.Find(text) is { } tool && Authorities.Shows(token, tool)
        && StrictJson.Parse(item.ToJsonString(), new JsonLimits(Limits.GuardBody)).TryGet(out JsonElement listed, out _)
        && string.Equals(GuardedTool.ListedDigest(listed), tool.Listed, StringComparison.Ordinal);
}
