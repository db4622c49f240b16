using System.Buffers;
using McpAuth.Protocol.Text;

namespace McpAuth.Protocol.ToolCalls;

/// <summary>
/// A path that means the same to every file system and URI reader: <c>/a/b</c> or <c>a/b</c>. Anything that some reader would
/// canonicalise, decode or take for a drive, a stream or a scheme is refused rather than canonicalised here.
/// </summary>
internal sealed class PlainPath
{
    private static readonly SearchValues<char> Refused = SearchValues.Create("\\%:");

    private PlainPath(string text) => Text = text;

    public string Text { get; }

    /// <summary>Null when refused: <c>.</c>, <c>..</c> and empty segments (so also <c>/</c> alone, and a slash at the end), <c>\</c>, <c>%</c>,
    /// <c>:</c>, control characters, text that is not NFC.</summary>
    public static PlainPath? TryParse(string text)
    {
        if (text.AsSpan().ContainsAny(Refused) || text.Any(char.IsControl) || !Nfc.IsNormalized(text))
            return null;
        // One slash at the start says that the path is absolute; it ends no segment.
        foreach (var segment in text.AsSpan(text.StartsWith('/') ? 1 : 0).Split('/'))
        {
            if (text.AsSpan(text.StartsWith('/') ? 1 : 0)[segment] is "" or "." or "..")
                return null;
        }
        return new(text);
    }

    /// <summary>Whether this is <paramref name="root"/> or below it. Both are plain, so text up to a slash is whole segments.</summary>
    public bool IsUnder(PlainPath root) =>
        Text.StartsWith(root.Text, StringComparison.Ordinal) && (Text.Length == root.Text.Length || Text[root.Text.Length] == '/');
}
