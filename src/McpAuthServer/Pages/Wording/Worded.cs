namespace McpAuthServer.Pages.Wording;

/// <summary>Something in words.</summary>
/// <param name="Full">All of it, where <paramref name="Short"/> is only the beginning; else null.</param>
public sealed record Worded(string Short, string? Full = null)
{
    /// <param name="word">Words it with lists of at most so many members, and values of at most so many characters.</param>
    internal static Worded Of(Func<int, int, string> word)
    {
        var (brief, full) = (word(5, 80), word(int.MaxValue, int.MaxValue));
        return new(brief, brief == full ? null : full);
    }

    /// <summary>Free text: its beginning, and the whole.</summary>
    internal static Worded Text(string text, int most)
    {
        var (brief, full) = (ShownText.Of(text, most), ShownText.Of(text));
        return new(brief, brief == full ? null : full);
    }

    /// <summary><c>a, b, c and 12 more</c></summary>
    internal static string List(IReadOnlyList<string> all, int most) =>
        all.Count <= most ? string.Join(", ", all) : $"{string.Join(", ", all.Take(most))} and {all.Count - most} more";
}
