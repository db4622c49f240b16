using System.Text.Json.Nodes;

namespace McpAuthServer.Tests.Exchange.Trees;

/// <summary>Draws authority: at random, within some other, or a little beyond it.</summary>
internal sealed class AuthorityDraw(Random random)
{
    public static readonly string[] Tools = ["list_files", "read_file", "delete_file"];

    /// <summary>An entry at one tool server.</summary>
    public JsonObject Entry(string resource) => Entry(resource, Some(Tools).ToDictionary(t => t, _ => Tool()));

    public static JsonObject Entry(string resource, IReadOnlyDictionary<string, JsonObject> tools) => new()
    {
        ["type"] = "mcp_tool_call", ["locations"] = new JsonArray(resource), ["actions"] = new JsonArray("tools/call"),
        ["tools"] = new JsonObject(tools.Select(t => KeyValuePair.Create(t.Key, (JsonNode?)t.Value.DeepClone()))),
    };

    /// <summary>The entry but for these tools; null when nothing is left.</summary>
    public static JsonObject? Without(JsonObject entry, IReadOnlyCollection<string> tools)
    {
        var left = entry["tools"]!.AsObject().Where(t => !tools.Contains(t.Key)).ToDictionary(t => t.Key, t => t.Value!.AsObject());
        return left.Count == 0 ? null : Entry((string)entry["locations"]![0]!, left);
    }

    /// <summary>Of the entry's tools, those that all of the bounds have too, each as the narrowest of them has it; null when nothing is left.</summary>
    public static JsonObject? Common(JsonObject entry, IEnumerable<JsonArray> bounds)
    {
        var tools = entry["tools"]!.AsObject().ToDictionary(t => t.Key, t => t.Value!.AsObject());
        foreach (var bound in bounds)
        {
            var at = bound.FirstOrDefault(e => (string)e!["locations"]![0]! == (string)entry["locations"]![0]!);
            foreach (var (name, tool) in tools.ToList())
                if (at?["tools"]?[name] is not JsonObject other || (!ArgumentOracle.IsWithin(tool, other) && !ArgumentOracle.IsWithin(other, tool)))
                    tools.Remove(name);
                else if (!ArgumentOracle.IsWithin(tool, other))
                    tools[name] = other;
        }
        return tools.Count == 0 ? null : Entry((string)entry["locations"]![0]!, tools);
    }

    /// <summary>Within the entry.</summary>
    public JsonObject Within(JsonObject entry) =>
        Entry((string)entry["locations"]![0]!, Some([.. entry["tools"]!.AsObject().Select(t => t.Key)]).ToDictionary(t => t, t => Within(entry["tools"]![t]!)));

    /// <summary>Within the entry but for one tool, of which it wants more.</summary>
    public JsonObject Beyond(JsonObject entry)
    {
        var more = Within(entry);
        var tools = more["tools"]!.AsObject();
        var name = tools.ElementAt(random.Next(tools.Count)).Key;
        var tool = tools[name]!.AsObject();
        switch (random.Next(4))
        {
            case 0: tool.Remove("max_calls"); break;
            case 1: tool.Remove("args"); tool.Remove("optional"); break;
            case 2 when tool["max_calls"] is not null: tool["max_calls"] = (int)tool["max_calls"]! + 1; break;
            default:
                if (tool["args"]?["limit"] is { } limit && (string)limit["constraint_type"]! == "range")
                    limit["max"] = 51;
                else
                    tools[Tools[random.Next(Tools.Length)]] = Tool();
                break;
        }
        return more;
    }

    private JsonObject Tool()
    {
        var tool = new JsonObject();
        if (random.Next(3) > 0)
        {
            tool["args"] = new JsonObject { ["path"] = Path() };
            if (random.Next(2) == 0)
            {
                tool["args"]!["limit"] = Limit();
                if (random.Next(2) == 0)
                    tool["optional"] = new JsonArray("limit");
            }
        }
        if (random.Next(3) == 0)
            tool["max_calls"] = random.Next(2, 12);
        return tool;
    }

    private JsonObject Path() => random.Next(6) switch
    {
        0 => Of("wildcard"), 1 => Of("prefix", "value", Pick("/a", "/a/b", "/d")), 2 => Of("one_of", "values", new JsonArray("/a/b/c/f", "/d/f")),
        3 => Of("any", "of", new JsonArray(Of("path_under", "value", "/a"), Of("exact", "value", "/d/f"))),
        _ => Of("path_under", "value", Pick("/a", "/a/b", "/d")),
    };

    private JsonObject Limit() => new() { ["constraint_type"] = "range", ["min"] = random.Next(0, 5), ["max"] = random.Next(6, 51) };

    private JsonObject Within(JsonNode wider)
    {
        var tool = wider.DeepClone().AsObject();
        if (tool["args"] is not JsonObject { Count: > 0 } args)
            return random.Next(2) == 0 ? tool : WithCalls(Tool(), (int?)wider["max_calls"]);
        args["path"] = Within(args["path"]!, (string)args["path"]!["constraint_type"]!);
        if (args["limit"] is { } limit && random.Next(2) == 0 && (int)limit["min"]! + 1 < (int)limit["max"]!)
            limit["max"] = (int)limit["max"]! - 1;
        if (args["limit"] is not null && tool["optional"] is not null && random.Next(3) == 0)
        {
            tool.Remove("optional");
            if (random.Next(2) == 0)
                args.Remove("limit");
        }
        return WithCalls(tool, (int?)wider["max_calls"]);
    }

    private JsonNode Within(JsonNode constraint, string type) => random.Next(2) == 0 ? constraint.DeepClone() : type switch
    {
        "wildcard" => Path(), "prefix" or "path_under" => Of(type, "value", (string)constraint["value"]! + "/b"), "one_of" => Of("exact", "value", "/d/f"),
        "any" => Of("path_under", "value", "/a/b"), _ => constraint.DeepClone(),
    };

    private JsonObject WithCalls(JsonObject tool, int? most)
    {
        if (most is { } bound)
            tool["max_calls"] = Math.Min(bound, (int?)tool["max_calls"] ?? bound) is > 1 and var calls && random.Next(3) == 0 ? calls - 1 : Math.Min(bound, (int?)tool["max_calls"] ?? bound);
        return tool;
    }

    private List<string> Some(string[] among)
    {
        var some = among.Where(_ => random.Next(3) > 0).ToList();
        return some.Count > 0 ? some : [among[random.Next(among.Length)]];
    }

    private string Pick(params string[] among) => among[random.Next(among.Length)];

    private static JsonObject Of(string type) => new() { ["constraint_type"] = type };

    private static JsonObject Of(string type, string member, JsonNode value) => new() { ["constraint_type"] = type, [member] = value };
}
