using System.Text;

namespace McpAuthServer.Storage;

/// <summary>
/// One SQL text, the same for both databases, with <c>@a</c>, <c>@b</c>… parameters; made once (a static field), prepared once per connection.
/// </summary>
internal sealed class Sql
{
    public Sql(string text)
    {
        Text = text;
        (Positional, Parameters) = Number(text);
    }

    /// <summary>As written; SQLite numbers named parameters by first appearance itself.</summary>
    public string Text { get; }

    /// <summary>The same with <c>$1</c>, <c>$2</c>… in the place of the names, as PostgreSQL takes it.</summary>
    public string Positional { get; }

    /// <summary>How many distinct parameters it has.</summary>
    public int Parameters { get; }

    /// <summary>Binds values in the order their parameters first appear. Allowed: string, long, int, bool, byte[], null.</summary>
    /// <exception cref="ArgumentException">The number of values is not the number of parameters.</exception>
    /// <exception cref="UnstorableTextException">A text holds U+0000.</exception>
    public Statement With(params ReadOnlySpan<object?> values)
    {
        if (values.Length != Parameters)
            throw new ArgumentException($"{values.Length} values for {Parameters} parameters: {Text}", nameof(values));
        foreach (var value in values)
            Storable(value as string);
        return new(this, values.Length == 0 ? [] : values.ToArray());
    }

    /// <summary>The text, if both databases can hold it.</summary>
    /// <exception cref="UnstorableTextException">It holds U+0000.</exception>
    public static string? Storable(string? text) => text?.Contains('\0') == true ? throw new UnstorableTextException() : text;

    /// <summary>Names inside literals, quoted identifiers and comments are text, not parameters.</summary>
    private static (string Positional, int Parameters) Number(string text)
    {
        var names = new List<string>();
        var output = new StringBuilder(text.Length);
        for (var at = 0; at < text.Length;)
        {
            var end = text[at] switch
            {
                '\'' or '"' => Closing(text, at),
                '-' when text.AsSpan(at).StartsWith("--") => Until(text, at, "\n"),
                '/' when text.AsSpan(at).StartsWith("/*") => Until(text, at, "*/"),
                '@' => Name(text, at),
                _ => at + 1,
            };
            if (text[at] == '@' && end > at + 1)
            {
                var name = text[at..end];
                if (!names.Contains(name, StringComparer.Ordinal)) names.Add(name);
                output.Append('$').Append(names.IndexOf(name) + 1);
            }
            else output.Append(text, at, end - at);
            at = end;
        }
        return (output.ToString(), names.Count);
    }

    private static int Closing(string text, int at)
    {
        var end = text.IndexOf(text[at], at + 1);
        return end < 0 ? text.Length : end + 1;
    }

    private static int Until(string text, int at, string mark)
    {
        var end = text.IndexOf(mark, at, StringComparison.Ordinal);
        return end < 0 ? text.Length : end + mark.Length;
    }

    private static int Name(string text, int at)
    {
        var end = at + 1;
        while (end < text.Length && (char.IsAsciiLetterOrDigit(text[end]) || text[end] == '_')) end++;
        return end;
    }
}

internal readonly record struct Statement(Sql Sql, object?[] Values);
