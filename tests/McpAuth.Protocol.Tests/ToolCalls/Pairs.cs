namespace McpAuth.Protocol.Tests.ToolCalls;

/// <summary>Which ordered pairs of constraint types the wire document's rule can ever accept.</summary>
internal static class Pairs
{
    public static readonly string[] Types =
        ["exact", "one_of", "not_one_of", "range", "prefix", "path_under", "contains", "subset", "all", "any", "wildcard"];

    // Row: child; columns: the parents under which it can be, besides all, any and wildcard, under which everything can be.
    private static readonly Dictionary<string, string[]> Rule = new()
    {
        ["exact"] = ["exact", "one_of", "range", "prefix", "path_under"],
        ["one_of"] = ["one_of", "range", "prefix"],
        ["not_one_of"] = ["not_one_of"],
        ["range"] = ["range"],
        ["prefix"] = ["prefix"],
        ["path_under"] = ["path_under"],
        ["contains"] = ["contains"],
        ["subset"] = ["subset"],
        ["all"] = Types,
        ["any"] = Types,
        ["wildcard"] = [],
    };

    public static bool CanAccept(string child, string parent) => parent is "all" or "any" or "wildcard" || Rule[child].Contains(parent);

    public static IEnumerable<(string Child, string Parent)> All => from child in Types from parent in Types select (child, parent);
}
