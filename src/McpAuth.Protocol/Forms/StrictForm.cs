using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Unicode;

namespace McpAuth.Protocol.Forms;

/// <summary>
/// An <c>application/x-www-form-urlencoded</c> body read once (RFC 6749 §3.2, Appendix B): names are case-sensitive, a name that
/// stands twice is an error unless it may repeat, an empty value counts as absent, percent-encoding must be valid UTF-8 without NUL.
/// </summary>
public sealed class StrictForm
{
    private readonly List<KeyValuePair<string, string>> fields;

    private StrictForm(List<KeyValuePair<string, string>> fields, IReadOnlySet<string> repeated) => (this.fields, Repeated) = (fields, repeated);

    /// <summary>Names that stand more than once although they may not; empty unless <see cref="ParseRepeated"/> read the form.</summary>
    public IReadOnlySet<string> Repeated { get; }

    /// <param name="body">The whole body.</param>
    /// <param name="repeatable">Names that may stand more than once (RFC 8707 <c>resource</c>, RFC 8693 <c>audience</c>).</param>
    /// <param name="maxFields">More fields than this is <c>too_many_fields</c>.</param>
    /// <remarks>Codes: <c>duplicate_parameter</c>, <c>malformed_form</c>, <c>too_many_fields</c>.</remarks>
    public static Result<StrictForm> Parse(ReadOnlySpan<byte> body, IReadOnlySet<string> repeatable, int maxFields = 64)
    {
        var read = ParseRepeated(body, repeatable, maxFields);
        return read is { Ok: true, Value.Repeated: { Count: > 0 } repeated }
            ? new Fault("duplicate_parameter", "A parameter stands more than once.", Shown(repeated.First()))
            : read;
    }

    /// <summary>
    /// The same for an authorization request, where what a repeated parameter means depends on which it is: they are told in
    /// <see cref="Repeated"/>, and their value is the first. Codes: <c>malformed_form</c>, <c>too_many_fields</c>.
    /// </summary>
    public static Result<StrictForm> ParseRepeated(ReadOnlySpan<byte> body, IReadOnlySet<string> repeatable, int maxFields = 64)
    {
        ArgumentNullException.ThrowIfNull(repeatable);
        var repeated = new HashSet<string>(StringComparer.Ordinal);
        var fields = new List<KeyValuePair<string, string>>(Math.Min(maxFields, 16));
        var buffer = ArrayPool<byte>.Shared.Rent(body.Length);
        try
        {
            foreach (var range in body.Split((byte)'&'))
            {
                var field = body[range];
                if (field.IsEmpty)
                    continue;
                if (fields.Count == maxFields)
                    return new Fault("too_many_fields", $"The form has more than {maxFields} fields.");
                var equals = field.IndexOf((byte)'=');
                var name = equals < 0 ? field : field[..equals];
                var value = equals < 0 ? default : field[(equals + 1)..];
                if (Decode(name, buffer) is not { Length: > 0 } decodedName || Decode(value, buffer) is not { } decodedValue)
                    return new Fault("malformed_form", "A name or value of the form is empty, badly percent-encoded, not UTF-8, or holds NUL.");
                // RFC 6749 §3.2: not more than once; judged after decoding, and before empty values are dropped.
                if (!repeatable.Contains(decodedName) && fields.Exists(f => f.Key == decodedName))
                    repeated.Add(decodedName);
                fields.Add(new(decodedName, decodedValue));
            }
        }
        finally
        {
            // Secrets and tokens pass through here.
            ArrayPool<byte>.Shared.Return(buffer, clearArray: true);
        }
        // RFC 6749 §3.2: a parameter without a value is treated as if it were omitted.
        fields.RemoveAll(static f => f.Value.Length == 0);
        return new StrictForm(fields, repeated);
    }

    /// <summary>The single value, or null when the parameter is absent or empty; of a repeatable one, the first value.</summary>
    public string? this[string name]
    {
        get
        {
            foreach (var field in fields)
                if (field.Key == name)
                    return field.Value;
            return null;
        }
    }

    public IReadOnlyList<string> Values(string name) => [.. from field in fields where field.Key == name select field.Value];

    public bool TryGet(string name, [NotNullWhen(true)] out string? value) => (value = this[name]) is not null;

    /// <summary>Every name that has a value, once, in the order of the form.</summary>
    public IEnumerable<string> Names => fields.Select(static f => f.Key).Distinct(StringComparer.Ordinal);

    // RFC 6749 Appendix B: '+' is a space, %XX a byte of UTF-8.
    private static string? Decode(ReadOnlySpan<byte> text, byte[] buffer)
    {
        var length = 0;
        for (var i = 0; i < text.Length; i++)
        {
            var b = text[i];
            if (b == '+')
            {
                b = (byte)' ';
            }
            else if (b == '%')
            {
                if (text.Length - i < 3 || !char.IsAsciiHexDigit((char)text[i + 1]) || !char.IsAsciiHexDigit((char)text[i + 2]))
                    return null;
                b = (byte)((HexValue(text[i + 1]) << 4) | HexValue(text[i + 2]));
                i += 2;
            }
            if (b == 0)
                return null;
            buffer[length++] = b;
        }
        var decoded = buffer.AsSpan(0, length);
        return Utf8.IsValid(decoded) ? Encoding.UTF8.GetString(decoded) : null;
    }

    private static int HexValue(byte digit) => digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;

    // Faults are shown and logged: the sender's name is cut, and cannot break a line or a header.
    private static string Shown(string name) =>
        string.Concat(name.Take(64).Select(static c => c is >= ' ' and <= '~' ? c : '?'));
}
