namespace McpAuth.Cedar.Expressions;

/// <summary>A text to be found in others, in time linear in both.</summary>
internal sealed class Needle
{
    /// <summary><c>IndexOf</c> is vectorised, but compares the needle anew at every place: only good as long as that is a small constant.</summary>
    private const int Short = 16;

    private readonly string text;

    /// <summary>
    /// Of a long needle: for each of its prefixes, the length of the longest shorter prefix that it ends with (Knuth, Morris, Pratt 1977). After a mismatch
    /// the search goes on from there and never goes back in the text.
    /// </summary>
    private readonly int[]? borders;

    public Needle(string text)
    {
        this.text = text;
        if (text.Length <= Short) return;
        borders = new int[text.Length];
        for (int i = 1, matched = 0; i < text.Length; i++)
        {
            while (matched > 0 && text[i] != text[matched]) matched = borders[matched - 1];
            if (text[i] == text[matched]) matched++;
            borders[i] = matched;
        }
    }

    public int Length => text.Length;

    /// <summary>Where it stands first; -1 when it does not.</summary>
    public int FirstIn(ReadOnlySpan<char> haystack)
    {
        if (borders is null) return haystack.IndexOf(text, StringComparison.Ordinal);
        int matched = 0;
        for (int i = 0; i < haystack.Length; i++)
        {
            while (matched > 0 && haystack[i] != text[matched]) matched = borders[matched - 1];
            if (haystack[i] == text[matched]) matched++;
            if (matched == text.Length) return i + 1 - matched;
        }
        return -1;
    }
}
