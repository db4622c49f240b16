using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace McpAuth.Cedar.Text;

/// <summary>A value in a JSON document and the way to it, which is spelt out only when there is something to say about it.</summary>
internal readonly struct JsonAt(JsonTree tree, int row, JsonAt.Step? way)
{
    public JsonValueKind Kind => tree.Kind(row);

    public bool TryText([NotNullWhen(true)] out string? text)
    {
        text = null;
        return Kind == JsonValueKind.String && tree.TryText(row, out text);
    }

    /// <summary>False for what is no integer of 64 bits; <c>1.0</c> and <c>1e3</c> are none.</summary>
    public bool TryInteger(out long value)
    {
        value = 0;
        return Kind == JsonValueKind.Number && tree.TryInteger(row, out value);
    }

    /// <summary>The members of an object as they stand there; the name is null where it holds half of a surrogate pair.</summary>
    public IEnumerable<(string? Name, JsonAt Value)> Members()
    {
        int end = tree.Next(row);
        for (int name = row + 1; name < end; name = tree.Next(name + 1))
        {
            tree.TryText(name, out string? text);
            yield return (text, new JsonAt(tree, name + 1, new Step(way, text ?? "", 0)));
        }
    }

    /// <summary>Whether this is an object with one member, of this name.</summary>
    public bool HasOnly(string name)
    {
        if (Kind != JsonValueKind.Object || tree.Next(row) == row + 1 || tree.Next(row + 2) != tree.Next(row)) return false;
        return tree.TryText(row + 1, out string? only) && only == name;
    }

    public IEnumerable<JsonAt> Items()
    {
        int end = tree.Next(row), index = 0;
        for (int item = row + 1; item < end; item = tree.Next(item)) yield return new JsonAt(tree, item, new Step(way, null, index++));
    }

    public override string ToString()
    {
        // Of a long way, what is near.
        const int Shown = 40;
        var steps = new List<Step>();
        Step? step = way;
        for (; step is not null && steps.Count < Shown; step = step.Parent) steps.Add(step);
        var text = new StringBuilder("$");
        if (step is not null) text.Append('…');
        for (int i = steps.Count - 1; i >= 0; i--)
        {
            if (steps[i].Name is not { } name) text.Append(CultureInfo.InvariantCulture, $"[{steps[i].Index}]");
            else if (Identifiers.IsIdentifier(name)) text.Append('.').Append(name);
            else
            {
                text.Append("[\"");
                StringEscapes.Append(text, name);
                text.Append("\"]");
            }
        }
        return text.ToString();
    }

    internal sealed record Step(Step? Parent, string? Name, int Index);
}
