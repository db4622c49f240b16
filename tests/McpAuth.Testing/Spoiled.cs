using System.Text;

namespace McpAuth.Testing;

/// <summary>
/// What becomes of a sound text when it is cut, repeated, swapped and sprinkled with what readers stumble over. A pure function of its edits, so that
/// a generator can make them and a failing case can be had again.
/// </summary>
public static class Spoiled
{
    private static readonly string[] Stumbling =
    [
        "", "\0", "%", "%00", "%zz", "%C3%28", "%ED%A0%80", "%F5%80%80%80", "+", "&", "&&", "=", "==", "\"", "\\", "\\u0000", "\\ud800", "\uD800", "\uFFFD", "\u202E", "İ", "ﬀ",
        "{", "}", "[", "]", "[[[[[[[[", "{\"a\":{\"a\":{\"a\":", "null", "true", "-0", "1e400", "1E-400", "99999999999999999999", "0x10", "NaN", ".", "..", "/../", "//", "/\\", ";", "#",
        "javascript:", "http://127.0.0.1@evil.test", "https://[::ffff:7f00:1]", ":", ":65536", ":-1", "\r\n", "\t", " ", "'", "<script>", "eyJhbGciOiJub25lIn0.", "....", "-_-_", "a%26b%3Dc",
    ];

    /// <param name="edits">Each: what is done, where (taken modulo the length), and to how much.</param>
    public static string Apply(string text, IEnumerable<(int Kind, int At, int Length)> edits)
    {
        var spoiled = new StringBuilder(text);
        foreach (var (kind, at, length) in edits)
        {
            var start = spoiled.Length == 0 ? 0 : at % spoiled.Length;
            var part = spoiled.ToString(start, Math.Min(length, spoiled.Length - start));
            _ = (kind % 6) switch
            {
                0 => spoiled.Remove(start, part.Length),
                1 => spoiled.Insert(start, part),
                2 => spoiled.Insert(start, Stumbling[length * 31 % Stumbling.Length]),
                3 => spoiled.Remove(start, part.Length).Insert(start, Stumbling[at % Stumbling.Length]),
                4 => spoiled.Append('&').Append(part),
                _ => spoiled.Remove(start, part.Length).Insert(start, part.ToUpperInvariant()),
            };
            // Repeating grows: far above any limit is as good as above it.
            if (spoiled.Length > 1 << 18)
                spoiled.Length = 1 << 18;
        }
        return spoiled.ToString();
    }
}
