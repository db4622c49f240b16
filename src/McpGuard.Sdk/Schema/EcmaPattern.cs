using System.Text;
using System.Text.RegularExpressions;

namespace McpGuard.Sdk.Schema;

/// <summary>
/// JSON Schema's patterns are ECMA-262 (§6.3.3). What .NET reads differently is rewritten (<c>$</c> would also match before a last line
/// feed, <c>\d</c> and <c>\w</c> all of Unicode); what cannot run in linear time is refused.
/// </summary>
internal static class EcmaPattern
{
    /// <summary>
    /// An answer that took longer is none. The engine has a limit of its own, so that it ends; but when that is reached it does not always throw, it has
    /// been seen to answer "match" (.NET 10.0, one in some tens).
    /// </summary>
    public static readonly TimeSpan InTime = TimeSpan.FromMilliseconds(250);

    private static readonly TimeSpan Limit = 2 * InTime;

    public static Regex Compile(string pattern, string path)
    {
        try
        {
            return new Regex(Translate(pattern, path), RegexOptions.NonBacktracking | RegexOptions.CultureInvariant, Limit);
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            throw new SchemaException("The pattern is not supported (no look-around, no back-references).", path);
        }
    }

    private static string Translate(string pattern, string path)
    {
        var result = new StringBuilder(pattern.Length + 16);
        bool inClass = false;
        for (int i = 0; i < pattern.Length; i++)
        {
            char c = pattern[i];
            if (c == '\\')
            {
                if (++i == pattern.Length) throw new SchemaException("The pattern ends in a backslash.", path);
                result.Append(Escape(pattern[i], inClass, path));
            }
            else if (inClass)
            {
                inClass = c != ']';
                // .NET would read a class subtraction.
                result.Append(c == '[' ? "\\[" : c.ToString());
            }
            else
            {
                // An empty class, and one that starts with a bracket, mean other things in the two languages.
                if (c == '[' && i + 1 < pattern.Length && (pattern[i + 1] == ']' || (pattern[i + 1] == '^' && i + 2 < pattern.Length && pattern[i + 2] == ']')))
                    throw new SchemaException("The pattern has an empty character class.", path);
                inClass = c == '[';
                result.Append(c switch { '$' => "\\z", '.' => "[^\\n\\r\\u2028\\u2029]", _ => c.ToString() });
            }
        }
        return result.ToString();
    }

    private static string Escape(char c, bool inClass, string path) => c switch
    {
        'd' => inClass ? "0-9" : "[0-9]",
        'w' => inClass ? "A-Za-z0-9_" : "[A-Za-z0-9_]",
        'D' or 'W' when inClass => throw new SchemaException("The pattern has a negated set inside a class.", path),
        'D' => "[^0-9]",
        'W' => "[^A-Za-z0-9_]",
        // .NET knows these, ECMAScript does not (or reads them otherwise).
        'A' or 'z' or 'Z' or 'G' or 'K' or 'Q' or 'E' or 'a' or 'e' or 'c' => throw new SchemaException($"The pattern has the escape \\{c}.", path),
        _ => "\\" + c,
    };
}
