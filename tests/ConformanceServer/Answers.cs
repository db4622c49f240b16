using System.Text.Json;
using ModelContextProtocol.Protocol;

namespace ConformanceServer;

/// <summary>What a client answered. It comes from outside: whatever does not have the form asked for counts as no answer.</summary>
internal static class Answers
{
    public static string? Text(RequestParams? call, string key, string member) =>
        Member(Object(call, key), "content") is { ValueKind: JsonValueKind.Object } content && Accepted(call, key)
        && Member(content, member) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    public static bool Accepted(RequestParams? call, string key) => Member(Object(call, key), "action") is { ValueKind: JsonValueKind.String } action && action.ValueEquals("accept");

    public static string? Sampled(RequestParams? call, string key) =>
        Member(Object(call, key), "content") is { ValueKind: JsonValueKind.Object } content && Member(content, "text") is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    public static string? Roots(RequestParams? call, string key) => Member(Object(call, key), "roots") is { ValueKind: JsonValueKind.Array } roots
        ? string.Join(", ", roots.EnumerateArray().Select(r => Member(r, "uri") is { ValueKind: JsonValueKind.String } uri ? uri.GetString() : "?")) : null;

    private static JsonElement? Object(RequestParams? call, string key) => call?.InputResponses?.TryGetValue(key, out InputResponse? given) is true ? given.RawValue : null;

    private static JsonElement? Member(JsonElement? of, string name) => of is { ValueKind: JsonValueKind.Object } o && o.TryGetProperty(name, out JsonElement value) ? value : null;
}
