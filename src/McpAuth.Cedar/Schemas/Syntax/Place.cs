using System.Text;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Schemas.Syntax;

/// <summary>Where a part of a schema stands: a range of the text, or a path in the JSON.</summary>
internal readonly record struct Place(SourceSpan Span, JsonPlace? Json = null);

/// <summary>A path in a JSON document; it becomes text only for a message, since names may be as long as the document.</summary>
internal sealed class JsonPlace(JsonPlace? parent, string step)
{
    private const int Longest = 64;

    public static JsonPlace Root { get; } = new(null, "$");

    private readonly JsonPlace? parent = parent;
    private readonly string step = step;

    public static implicit operator Place(JsonPlace path) => new(default, path);

    public JsonPlace Member(string name) => new(this, Identifiers.IsIdentifier(name) ? $".{Cut(name)}" : $"['{Cut(name)}']");

    public JsonPlace Item(int index) => new(this, $"[{index}]");

    public override string ToString()
    {
        var steps = new Stack<string>();
        for (JsonPlace? at = this; at is not null; at = at.parent) steps.Push(at.step);
        var text = new StringBuilder();
        foreach (string step in steps) text.Append(step);
        return text.ToString();
    }

    private static string Cut(string name) => name.Length <= Longest ? name : string.Concat(name.AsSpan(0, Longest), "…");
}
