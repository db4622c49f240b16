using System.Text.Json.Nodes;

namespace McpAuthServer.Tests.Exchange.Trees;

/// <summary>
/// Whether a call is admitted by authority as it stands in JSON: written from the description of the grammar, for a few constraints, and sharing no code with the
/// server. The subset rule is unknown to it: it only tries calls.
/// </summary>
internal static class ArgumentOracle
{
    private static readonly string[] Paths = ["/a", "/a/x", "/a/b", "/a/b/c", "/a/b/c/f", "/a/bc", "/d", "/d/f", "/e/f", "ab"];

    private static readonly decimal[] Limits = [-1, 0, 1, 4, 5, 6, 9, 10, 20, 49, 50, 51];

    /// <summary>Calls to try: present and absent arguments, and one that no definition knows.</summary>
    public static readonly IReadOnlyList<JsonObject> Calls =
    [
        .. from path in Paths.Prepend(null)
           from limit in Limits.Select(l => (decimal?)l).Prepend(null)
           from more in new[] { false, true }
           select Call(path, limit, more),
    ];

    /// <param name="tool">Its definition: <c>args</c>, <c>optional</c>, <c>max_calls</c>.</param>
    public static bool Admits(JsonNode tool, JsonObject call)
    {
        if (tool["args"] is not JsonObject { Count: > 0 } args)
            return true;
        var optional = tool["optional"]?.AsArray().Select(n => (string)n!).ToHashSet() ?? [];
        return call.All(given => args.ContainsKey(given.Key))
            && args.All(arg => call[arg.Key] is { } value ? Satisfies(arg.Value!, value) : optional.Contains(arg.Key));
    }

    /// <summary>Whether every call that one definition of a tool admits the other admits, too, and as often.</summary>
    public static bool IsWithin(JsonNode tool, JsonNode wider) =>
        (wider["max_calls"] is not { } most || (tool["max_calls"] is { } calls && (int)calls <= (int)most)) && Calls.All(call => !Admits(tool, call) || Admits(wider, call));

    private static bool Satisfies(JsonNode constraint, JsonNode value) => (string)constraint["constraint_type"]! switch
    {
        "wildcard" => true,
        "exact" => JsonNode.DeepEquals(constraint["value"], value),
        "one_of" => constraint["values"]!.AsArray().Any(v => JsonNode.DeepEquals(v, value)),
        "prefix" => Text(value) is { } text && text.StartsWith((string)constraint["value"]!, StringComparison.Ordinal),
        "path_under" => Text(value) is { } path && (path == (string)constraint["value"]! || path.StartsWith((string)constraint["value"]! + "/", StringComparison.Ordinal)),
        "range" => Number(value) is { } number && (constraint["min"] is not { } min || number >= Number(min)) && (constraint["max"] is not { } max || number <= Number(max)),
        "all" => constraint["of"]!.AsArray().All(c => Satisfies(c!, value)),
        "any" => constraint["of"]!.AsArray().Any(c => Satisfies(c!, value)),
        var other => throw new InvalidOperationException($"The oracle does not know {other}."),
    };

    private static string? Text(JsonNode value) => value.GetValueKind() == System.Text.Json.JsonValueKind.String ? (string)value! : null;

    private static decimal? Number(JsonNode value) => value.GetValueKind() == System.Text.Json.JsonValueKind.Number
        ? decimal.Parse(value.ToJsonString(), System.Globalization.NumberStyles.Float, System.Globalization.CultureInfo.InvariantCulture) : null;

    private static JsonObject Call(string? path, decimal? limit, bool more)
    {
        var call = new JsonObject();
        if (path is not null)
            call["path"] = path;
        if (limit is not null)
            call["limit"] = limit;
        if (more)
            call["more"] = true;
        return call;
    }
}
