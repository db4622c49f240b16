using System.Globalization;
using System.Text.Json.Nodes;

namespace McpAuth.Protocol.Tests.ToolCalls;

/// <summary>Random constraints, and pairs of them of which most should be child and parent. Seeded: the same seed, the same pairs.</summary>
internal sealed class Generator(int seed)
{
    private static readonly string[] Simple = [.. Pairs.Types.Where(type => type is not ("all" or "any"))];

    private static readonly string[] Scalars =
        ["1", "1.0", "2", "100", "1e2", "0.1", "0.3", "0.30000000000000004", "-2.5", "9007199254740993", "\"1\"", "\"\"", "\"a\"", "\"ab\"", "\"abc\"",
            "\"b\"", "\"/data\"", "\"/data/x\"", "\"/data/xy\"", "\"data/x\"", "\"/data/../x\"", "true", "false", "null", "[]", "[\"a\"]", "[\"a\",\"b\"]",
            "[\"b\",\"a\"]", "[1,\"a\",null]", "{}", "{\"k\":1,\"m\":[2]}", "{\"m\":[2.0],\"k\":1}"];

    private static readonly string[] Neighbours =
        ["\"\\/data/x/y\"", "\"/data/x/\"", "\"/data//x\"", "\"/data\\\\x\"", "\"/data/%2e\"", "\"c:/data\"", "\"/data/e\\u0301\"", "\"/data/\\u0001\"",
            "\"/dat\"", "\"A\"", "0", "-0", "1e-1", "50", "99.999", "[null]", "[[\"a\"]]", "[\"a\",\"b\",\"a\",1]"];

    private readonly Random random = new(seed);
    private readonly JsonNode?[] common = [.. Scalars.Concat(Neighbours).Select(text => JsonNode.Parse(text))];

    public (JsonObject Child, JsonObject Parent) Pair(string child, string parent)
    {
        if (random.Next(4) == 0 || !Pairs.CanAccept(child, parent))
            return (Constraint(child), Constraint(parent));
        switch (parent)
        {
            case "all":
                var below = Constraint(child);
                return (below, Composite("all", Many(0, 3, () => Widen(below))));
            case "any":
                var narrow = Constraint(child);
                var covering = child == "any" ? Clauses(narrow).Select(Widen) : [Widen(narrow)];
                return (narrow, Composite("any", covering.Concat(Many(0, 2, Clause))));
            default:
                var wide = Constraint(parent);
                return (Narrow(wide, child), wide);
        }
    }

    public JsonObject Constraint(string type) => type switch
    {
        "exact" => Of(type, "value", Value()),
        "one_of" or "not_one_of" or "subset" => Values(type, Many(0, 4, Value)),
        "contains" => Values(type, Many(0, 2, Value)),
        "range" => Range(),
        "prefix" => Of(type, "value", Pick("", "a", "ab", "abc", "/data", "/data/x")),
        "path_under" => Of(type, "value", Pick("/data", "/data/x", "/data/xy", "data", "data/x")),
        "wildcard" => new JsonObject { ["constraint_type"] = type },
        _ => Composite(type, Many(1, 3, Clause)),
    };

    public JsonNode? Value() => JsonNode.Parse(Pick(Scalars));

    /// <summary>Values at which constraints like these could differ: a fixed set, and neighbours of everything the two mention.</summary>
    public List<JsonNode?> Universe(params JsonNode[] constraints)
    {
        var values = common.ToList();
        foreach (var constraint in constraints)
            Mentioned(constraint, values);
        return values;
    }

    private static void Mentioned(JsonNode? node, List<JsonNode?> values)
    {
        switch (node)
        {
            case JsonObject members when members.ContainsKey("constraint_type"):
                foreach (var (name, value) in members.Where(member => member.Key != "constraint_type"))
                {
                    if (value is JsonArray list)
                    {
                        values.Add(list);
                        foreach (var item in list)
                            Mentioned(item, values);
                    }
                    else
                    {
                        Mentioned(value, values);
                    }
                }
                break;
            case JsonValue text when text.GetValueKind() == System.Text.Json.JsonValueKind.String:
                values.AddRange([text, (string)text! + "x", (string)text! + "/x", (string)text! + "/.."]);
                break;
            case JsonValue number when number.GetValueKind() == System.Text.Json.JsonValueKind.Number:
                var near = decimal.Parse(number.ToJsonString(), NumberStyles.Float, CultureInfo.InvariantCulture);
                values.AddRange([number, JsonNode.Parse(Text(near - 0.001m)), JsonNode.Parse(Text(near + 0.001m))]);
                break;
            default:
                values.Add(node);
                break;
        }
    }

    /// <summary>A clause that is not composite, or seldom one more level.</summary>
    private JsonObject Clause() => Constraint(random.Next(8) == 0 ? Pick("all", "any") : Pick(Simple));

    private JsonObject Narrow(JsonObject parent, string child)
    {
        var type = Type(parent);
        if (child == "any")
            return Composite(child, Many(1, 3, () => Narrow(parent, Pick([.. Simple.Where(t => Pairs.CanAccept(t, type))]))));
        if (child == "all")
        {
            // Beside the clause that counts, mostly such as leave something to admit: a pair whose child admits nothing proves nothing.
            var narrow = Narrow(parent, Pick([.. Simple.Where(t => Pairs.CanAccept(t, type))]));
            return Composite(child, Many(0, 2, () => random.Next(4) == 0 ? Clause() : Widen(narrow)).Append(narrow));
        }
        return (child, type) switch
        {
            (_, "wildcard") => Constraint(child),
            ("exact", _) => Of(child, "value", Admitted(parent)),
            ("one_of", "one_of") or ("subset", "subset") => Values(child, Some(List(parent))),
            ("one_of", _) => Values(child, Many(0, 3, () => Admitted(parent))),
            ("range", _) => Tighter(parent),
            ("prefix", _) => Of(child, "value", (string)parent["value"]! + Pick("", "a", "b/c")),
            ("path_under", _) => Of(child, "value", (string)parent["value"]! + Pick("", "/x", "/x/y")),
            _ => Values(child, List(parent).Concat(Many(0, 2, Value))), // not_one_of, contains: more
        };
    }

    private JsonObject Widen(JsonObject child)
    {
        var type = Type(child);
        if (random.Next(5) == 0)
            return Pick(Copy(child), Constraint("wildcard"), Composite("any", [Copy(child), Clause()]), Composite("all", [Copy(child)]));
        switch (type)
        {
            case "all" when Clauses(child).Count > 0:
                return Widen(Pick([.. Clauses(child)]));
            case "any":
                return Composite("any", Clauses(child).Select(Widen).Concat(Many(0, 1, Clause)));
            case "exact":
                return Pick(Copy(child), Values("one_of", Many(0, 2, Value).Append(child["value"]?.DeepClone())));
            case "one_of" or "subset":
                return Values(type, List(child).Concat(Many(0, 2, Value)));
            case "not_one_of" or "contains":
                return Values(type, Some(List(child)));
            case "prefix":
                var text = (string)child["value"]!;
                return Of(type, "value", text[..random.Next(text.Length + 1)]);
            case "range":
                var wider = Copy(child);
                wider.Remove(Pick("min_inclusive", "max_inclusive", "min", "max"));
                return wider;
            default:
                return Copy(child);
        }
    }

    private JsonNode? Admitted(JsonObject parent)
    {
        switch (Type(parent))
        {
            case "exact":
                return Respell(parent["value"]);
            case "one_of":
                return List(parent) is { Count: > 0 } values ? Respell(Pick([.. values])) : null;
            case "range":
                return JsonNode.Parse(Text(Inside(parent)));
            case "prefix":
                return (string)parent["value"]! + Pick("", "a", "/x");
            default:
                return (string)parent["value"]! + Pick("", "/x", "/y/z");
        }
    }

    /// <summary>The same value in other words, where there are any.</summary>
    private JsonNode? Respell(JsonNode? value) =>
        value is JsonValue && value.GetValueKind() == System.Text.Json.JsonValueKind.Number && !value.ToJsonString().Contains('e', StringComparison.Ordinal)
            ? JsonNode.Parse(Pick(value.ToJsonString(), value.ToJsonString() + "e0", value.ToJsonString() + (value.ToJsonString().Contains('.', StringComparison.Ordinal) ? "0" : ".00")))
            : value?.DeepClone();

    private JsonObject Range()
    {
        decimal low = random.Next(-20, 20) / 10m, high = low + random.Next(0, 30) / 10m;
        var range = new JsonObject { ["constraint_type"] = "range" };
        if (random.Next(4) != 0)
            (range["min"], range["min_inclusive"]) = (JsonNode.Parse(Text(low)), random.Next(2) == 0);
        if (random.Next(4) != 0)
            (range["max"], range["max_inclusive"]) = (JsonNode.Parse(Text(high)), random.Next(2) == 0);
        return range;
    }

    private JsonObject Tighter(JsonObject parent)
    {
        decimal a = Inside(parent), b = Inside(parent);
        return new JsonObject
        {
            ["constraint_type"] = "range",
            ["min"] = JsonNode.Parse(Text(Math.Min(a, b))),
            ["max"] = JsonNode.Parse(Text(Math.Max(a, b))),
            ["min_inclusive"] = random.Next(2) == 0,
            ["max_inclusive"] = random.Next(2) == 0,
        };
    }

    /// <summary>Between the bounds or on one, whether it is included or not.</summary>
    private decimal Inside(JsonObject range)
    {
        decimal low = (decimal?)range["min"] ?? (decimal?)range["max"] - 3 ?? -3, high = (decimal?)range["max"] ?? low + 3;
        return Pick(low, high, (low + high) / 2, (low + high) / 2);
    }

    private static string Text(decimal number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Type(JsonObject constraint) => (string)constraint["constraint_type"]!;

    private static JsonObject Copy(JsonObject constraint) => constraint.DeepClone().AsObject();

    private static List<JsonObject> Clauses(JsonObject composite) => [.. composite["of"]!.AsArray().Select(clause => clause!.AsObject())];

    private static List<JsonNode?> List(JsonObject constraint) => [.. constraint["values"]!.AsArray()];

    private static JsonObject Of(string type, string name, JsonNode? value) => new() { ["constraint_type"] = type, [name] = value };

    private static JsonObject Values(string type, IEnumerable<JsonNode?> values) =>
        Of(type, "values", new JsonArray([.. values.Select(value => value?.DeepClone())]));

    private static JsonObject Composite(string type, IEnumerable<JsonObject> clauses) => Of(type, "of", new JsonArray([.. clauses.Select(Copy)]));

    private List<T> Many<T>(int least, int most, Func<T> make) => [.. Enumerable.Range(0, random.Next(least, most + 1)).Select(_ => make())];

    private List<T> Some<T>(List<T> all) => [.. all.Where(_ => random.Next(2) == 0)];

    public T Pick<T>(params T[] choices) => choices[random.Next(choices.Length)];
}
