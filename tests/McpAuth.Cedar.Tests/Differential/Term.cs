using System.Text;

namespace McpAuth.Cedar.Tests.Differential;

/// <summary>An expression as text with holes that hold expressions: all that writing and shrinking need to know.</summary>
/// <param name="Pieces">The text around the parts, one more than there are parts.</param>
internal sealed record Term(string[] Pieces, Term[] Parts)
{
    public static Term Leaf(string text) => new([text], []);

    /// <param name="form">Text in which each <c>§</c> is a hole.</param>
    public static Term Of(string form, params Term[] parts) => new(form.Split('§'), parts);

    /// <summary>As <see cref="Of"/>, with the parts as a list between commas.</summary>
    public static Term List(string open, string close, Term[] parts) =>
        parts.Length == 0 ? Leaf(open + close) : new([open, .. Enumerable.Repeat(", ", parts.Length - 1), close], parts);

    /// <summary>Every expression that is this with something smaller in some place.</summary>
    public IEnumerable<Term> Smaller()
    {
        foreach (Term part in Parts) yield return part;
        if (Parts.Length > 0)
            foreach (string leaf in new[] { "true", "1", "\"\"", "principal" }) yield return Leaf(leaf);
        for (int i = 0; i < Parts.Length; i++)
        {
            foreach (Term smaller in Parts[i].Smaller())
            {
                Term[] parts = [.. Parts];
                parts[i] = smaller;
                yield return this with { Parts = parts };
            }
        }
    }

    public override string ToString()
    {
        var text = new StringBuilder();
        Append(text);
        return text.ToString();
    }

    private void Append(StringBuilder text)
    {
        text.Append(Pieces[0]);
        for (int i = 0; i < Parts.Length; i++)
        {
            Parts[i].Append(text);
            text.Append(Pieces[i + 1]);
        }
    }
}
