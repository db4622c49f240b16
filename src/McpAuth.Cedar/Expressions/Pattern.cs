using System.Text;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Expressions;

/// <summary>
/// The pattern of <c>like</c>: text in which <c>*</c> stands for any characters. Matching takes time linear in the pattern and the text together, and no
/// memory.
/// </summary>
internal sealed class Pattern : IEquatable<Pattern>
{
    private readonly string[] pieces;
    private readonly Needle[] between;

    /// <param name="pieces">The literal pieces between the wildcards: <c>a*b</c> is <c>["a","b"]</c>; one piece means no wildcard.</param>
    public Pattern(params string[] pieces)
    {
        this.pieces = pieces;
        between = pieces.Length > 2 ? [.. pieces[1..^1].Where(p => p.Length > 0).Select(p => new Needle(p))] : [];
    }

    public IReadOnlyList<string> Pieces => pieces;

    /// <summary>
    /// The first piece must stand at the start and the last at the end; each one between is taken where it is first found, which leaves the most for
    /// the others.
    /// </summary>
    public bool Matches(ReadOnlySpan<char> text)
    {
        string first = pieces[0];
        if (pieces.Length == 1) return text.SequenceEqual(first);
        string last = pieces[^1];
        if (text.Length < first.Length + last.Length || !text.StartsWith(first) || !text.EndsWith(last)) return false;
        text = text[first.Length..^last.Length];
        foreach (Needle needle in between)
        {
            int at = needle.FirstIn(text);
            if (at < 0) return false;
            text = text[(at + needle.Length)..];
        }
        return true;
    }

    public bool Equals(Pattern? other) => other is not null && pieces.AsSpan().SequenceEqual(other.pieces);

    public override bool Equals(object? obj) => obj is Pattern other && Equals(other);

    public override int GetHashCode()
    {
        var hash = new HashCode();
        foreach (string piece in pieces) hash.Add(string.GetHashCode(piece, StringComparison.Ordinal));
        return hash.ToHashCode();
    }

    /// <summary>Between quotes, as a policy writes it.</summary>
    public override string ToString()
    {
        var text = new StringBuilder("\"");
        for (int i = 0; i < pieces.Length; i++)
        {
            if (i > 0) text.Append('*');
            foreach (Rune rune in pieces[i].EnumerateRunes())
                if (rune.Value == '*') text.Append(@"\*");
                else StringEscapes.Append(text, rune);
        }
        return text.Append('"').ToString();
    }
}
