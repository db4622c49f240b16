using System.Text;

namespace McpAuth.Protocol.ToolCalls;

/// <summary>Where in the input a fault lies (RFC 9535 §2.7 normalized in spirit: dot form for plain names, else a quoted bracket).</summary>
internal sealed record JsonPath(JsonPath? Parent, string? Name, int Position)
{
    private const int LongestName = 64;

    public static JsonPath Root { get; } = new(null, null, 0);

    public JsonPath Member(string name) => new(this, name, 0);

    public JsonPath Index(int position) => new(this, null, position);

    public override string ToString()
    {
        var text = new StringBuilder();
        Append(text);
        return text.ToString();
    }

    private void Append(StringBuilder text)
    {
        if (Parent is null)
        {
            text.Append('$');
            return;
        }
        Parent.Append(text);
        if (Name is null)
            text.Append('[').Append(Position).Append(']');
        else if (IsPlain(Name))
            text.Append('.').Append(Name);
        else
            AppendQuoted(text, Name);
    }

    private static bool IsPlain(string name) =>
        name.Length is > 0 and <= LongestName && !char.IsAsciiDigit(name[0]) && name.All(c => char.IsAsciiLetterOrDigit(c) || c == '_');

    // Names come from the sender and end in messages and logs: only printable ASCII goes through, and not without end.
    private static void AppendQuoted(StringBuilder text, string name)
    {
        text.Append("['");
        foreach (var c in name.AsSpan(0, Math.Min(name.Length, LongestName)))
        {
            if (c is '\'' or '\\')
                text.Append('\\').Append(c);
            else if (c is >= ' ' and <= '~')
                text.Append(c);
            else
                text.Append("\\u").Append(((int)c).ToString("x4", System.Globalization.CultureInfo.InvariantCulture));
        }
        text.Append(name.Length > LongestName ? "…']" : "']");
    }
}
