using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace McpAuthServer.Clients;

/// <summary>
/// A distinguished name as text (RFC 4514), to be compared with a certificate's subject: the same attributes in the same order, their values
/// character by character. Text is never made of the certificate's name: two names could look alike in it.
/// </summary>
internal sealed class DistinguishedName
{
    // RFC 4514 §3, and two that certificates have and tools print by name.
    private static readonly Dictionary<string, string> Types = new(StringComparer.OrdinalIgnoreCase)
    {
        ["CN"] = "2.5.4.3", ["L"] = "2.5.4.7", ["ST"] = "2.5.4.8", ["O"] = "2.5.4.10", ["OU"] = "2.5.4.11", ["C"] = "2.5.4.6", ["STREET"] = "2.5.4.9",
        ["DC"] = "0.9.2342.19200300.100.1.25", ["UID"] = "0.9.2342.19200300.100.1.1", ["serialNumber"] = "2.5.4.5", ["emailAddress"] = "1.2.840.113549.1.9.1",
    };

    private readonly List<(string Type, string Value)> attributes = [];

    private DistinguishedName() { }

    /// <summary>Null when it does not read. Sets of several attributes (<c>+</c>) and values in hexadecimal are not taken.</summary>
    public static DistinguishedName? Parse(string text)
    {
        var name = new DistinguishedName();
        for (var at = 0; at <= text.Length;)
        {
            // Blanks after a comma are not RFC 4514's, but tools print them.
            while (name.attributes.Count > 0 && at < text.Length && text[at] == ' ')
                at++;
            var equals = text.IndexOf('=', at);
            if (equals < 0 || TypeOf(text[at..equals]) is not { } type || ReadValue(text, equals + 1) is not var (value, end) || value.Length == 0)
                return null;
            name.attributes.Add((type, value));
            at = end + 1;
        }
        return name;
    }

    public bool Matches(X500DistinguishedName subject)
    {
        // Reversed, as RFC 4514 §2.1 writes it: the last in the certificate comes first.
        var at = 0;
        foreach (var relative in subject.EnumerateRelativeDistinguishedNames(reversed: true))
        {
            if (at == attributes.Count || relative.HasMultipleElements
                || relative.GetSingleElementType().Value != attributes[at].Type || relative.GetSingleElementValue() != attributes[at].Value)
                return false;
            at++;
        }
        return at == attributes.Count;
    }

    private static string? TypeOf(string name) =>
        Types.TryGetValue(name, out var type) ? type : name.Contains('.') && name.Split('.').All(IsNumber) ? name : null;

    private static bool IsNumber(string arc) => arc.Length is > 0 and <= 18 && arc.All(char.IsAsciiDigit) && (arc.Length == 1 || arc[0] != '0');

    /// <summary>A value (RFC 4514 §2.4) and where it ends: at a comma or the end. Null when it does not read.</summary>
    private static (string Value, int End)? ReadValue(string text, int at)
    {
        var bytes = new List<byte>();
        var blank = false;
        // Unescaped, these would mean something else than themselves.
        if (at < text.Length && text[at] is ' ' or '#')
            return null;
        while (at < text.Length && text[at] != ',')
        {
            if (text[at] is '"' or '+' or ';' or '<' or '>' or '\0')
                return null;
            blank = text[at] == ' ';
            if (text[at] != '\\')
            {
                var length = char.IsHighSurrogate(text[at]) && at + 1 < text.Length ? 2 : 1;
                bytes.AddRange(Encoding.UTF8.GetBytes(text, at, length));
                at += length;
            }
            else if (at + 1 < text.Length && text[at + 1] is ' ' or '"' or '#' or '+' or ',' or ';' or '<' or '=' or '>' or '\\')
            {
                bytes.Add((byte)text[at + 1]);
                at += 2;
            }
            else if (at + 2 < text.Length && char.IsAsciiHexDigit(text[at + 1]) && char.IsAsciiHexDigit(text[at + 2]))
            {
                bytes.Add(Convert.ToByte(text.Substring(at + 1, 2), 16));
                at += 3;
            }
            else
                return null;
        }
        if (blank)
            return null;
        try
        {
            return (new UTF8Encoding(false, throwOnInvalidBytes: true).GetString([.. bytes]), at);
        }
        catch (ArgumentException)
        {
            return null;
        }
    }
}
