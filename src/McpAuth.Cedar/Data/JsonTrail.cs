using System.Globalization;
using System.Text;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Data;

/// <summary>Where a reader stands in its document. The text is only made when there is something to report.</summary>
internal sealed class JsonTrail(string root = "$")
{
    /// <summary>Names come from the document: a report shows no more of one than this.</summary>
    private const int Shown = 64;

    private readonly List<(string? Name, int Index)> steps = [];

    public void Enter(string name) => steps.Add((name, 0));

    public void Enter(int index) => steps.Add((null, index));

    public void Leave() => steps.RemoveAt(steps.Count - 1);

    /// <summary>Such as <c>$[3].attrs.home["zip code"]</c>.</summary>
    public override string ToString()
    {
        var text = new StringBuilder(root);
        foreach ((string? name, int index) in steps)
        {
            if (name is null)
            {
                text.Append(CultureInfo.InvariantCulture, $"[{index}]");
            }
            else if (Identifiers.IsIdentifier(name) && name.Length <= Shown)
            {
                text.Append('.').Append(name);
            }
            else
            {
                text.Append("[\"");
                StringEscapes.Append(text, name.Length <= Shown ? name : name.AsSpan(0, Shown));
                text.Append(name.Length <= Shown ? "\"]" : "…\"]");
            }
        }
        return text.ToString();
    }
}
