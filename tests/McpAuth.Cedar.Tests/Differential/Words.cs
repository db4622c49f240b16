using System.Globalization;
using System.Text;

namespace McpAuth.Cedar.Tests.Differential;

/// <summary>Texts worth trying, and how the language quotes them.</summary>
internal static class Words
{
    public static readonly string[] Ids = ["alice", "bob", "", "x\"y\\", "é", "\U0001F600", "a b", "line\nfeed", "*", "e\u0301"];

    public static readonly string[] Names = ["a", "b", "name", "level", "x y", "é", "if", "", "is", "__x"];

    public static readonly string[] Texts = ["", "a", "abc", "aXbXc", "é", "e\u0301", "\U0001F600\U0001F601", "*", "a*b", "\\", "\"", "10.0.0.1", "\t\n", "\u200d", "A"];

    public static readonly string[] Longs = ["0", "1", "-1", "2", "7", "100", "9007199254740991", "-9007199254740991"];

    public static readonly string[] Extremes =
        ["9223372036854775807", "-9223372036854775808", "9223372036854775806", "4611686018427387904", "3037000500", "-3037000500", "1000000007"];

    public static readonly string[] Decimals = ["0.0", "1.5", "-1.2345", "1.50", "922337203685477.5807", "-922337203685477.5808", "0.0001"];

    public static readonly string[] Ips = ["10.0.0.1", "10.0.0.0/8", "::1", "fe80::/10", "127.0.0.1", "127.0.0.0/7", "255.255.255.255/32", "0.0.0.0/0", "::/0", "ff02::1", "224.0.0.1", "10.0.0.5/8"];

    public static readonly string[] Datetimes = ["1970-01-01", "2024-02-29", "2024-10-15T11:35:00Z", "2024-10-15T11:35:00.123+0130", "0000-01-01", "9999-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"];

    public static readonly string[] Durations = ["1h", "-1d2h3m4s5ms", "0ms", "9223372036854775807ms", "-9223372036854775808ms", "1d", "86400000ms", "1ms"];

    public static readonly string[] Malformed = ["", "1", "1.", "1.23456", "+1.0", "1.2.3", "010.0.0.1", "1.2.3.4/33", "::ffff:1.2.3.4", "2023-02-29", "2024-10-15T24:00:00Z", "1s1m", "1.0h", " 1h", "922337203685477.5808"];

    /// <summary>Between quotes, as policies and schemas write text.</summary>
    public static string Quote(string text, bool pattern = false)
    {
        var quoted = new StringBuilder("\"");
        foreach (Rune rune in text.EnumerateRunes())
        {
            switch (rune.Value)
            {
                case '"' or '\\': quoted.Append('\\').Append(rune); break;
                case '\n': quoted.Append("\\n"); break;
                case '*' when pattern: quoted.Append(@"\*"); break;
                case < 32 or 0x200d: quoted.Append(CultureInfo.InvariantCulture, $"\\u{{{rune.Value:x}}}"); break;
                default: quoted.Append(rune); break;
            }
        }
        return quoted.Append('"').ToString();
    }
}
