using System.Buffers;
using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;

namespace McpAuth.Protocol.Json;

/// <summary>Bounds of one strict parse.</summary>
/// <param name="MaxBytes">Longer input is refused with <c>too_large</c>.</param>
/// <param name="MaxDepth">Nesting of objects and arrays, the outermost counted as 1.</param>
public readonly record struct JsonLimits(int MaxBytes, int MaxDepth = Limits.JsonDepth);

/// <summary>
/// The only JSON reader for anything that came from outside (RFC 8259 §4, RFC 7493). Refuses: invalid UTF-8, lone surrogates
/// (also escaped), a byte-order mark, comments, trailing commas, trailing data, two members of one object whose
/// unescaped names are equal or equal but for case (ordinal ignore-case), numbers that are not exactly a binary64 value
/// (so every reader sees the same one), and anything past the limits.
/// </summary>
/// <remarks>
/// A number passes when the shortest decimal that reads back as its binary64 value is the number itself: 0.1, 12.50 and 1e2 pass;
/// 9007199254740993, 1e400, 1e-400 and 0.1000000000000000055511151231257827 do not, and neither does 18446744073709551616, which a
/// reader of integers and a reader of doubles would write back differently. Negative zero is refused: readers differ on its sign.
/// Noncharacters such as U+FFFF pass, because all readers agree on them.
/// </remarks>
public static class StrictJson
{
    /// <summary>Codes: <c>too_large</c>, <c>too_deep</c>, <c>invalid_utf8</c>, <c>invalid_json</c>, <c>duplicate_member</c>, <c>inexact_number</c>.</summary>
    public static Result<JsonElement> Parse(ReadOnlyMemory<byte> utf8, JsonLimits limits) => Parse(utf8.Span, limits);

    /// <summary>As the other overload, for text that was already decoded; an unpaired surrogate is <c>invalid_utf8</c>.</summary>
    public static Result<JsonElement> Parse(string text, JsonLimits limits)
    {
        ArgumentNullException.ThrowIfNull(text);
        // A UTF-16 code unit is at least one byte: refuse before transcoding.
        if (text.Length > limits.MaxBytes)
            return TooLarge(limits);
        var buffer = ArrayPool<byte>.Shared.Rent(checked(text.Length * 3));
        try
        {
            if (Utf8.FromUtf16(text, buffer, out _, out var written, replaceInvalidSequences: false) != OperationStatus.Done)
                return InvalidUtf8;
            return Parse(buffer.AsSpan(0, written), limits);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer, clearArray: true);
        }
    }

    /// <summary>The element has its own copy of the text.</summary>
    internal static Result<JsonElement> Parse(ReadOnlySpan<byte> utf8, JsonLimits limits) =>
        Check(utf8, limits) is { } fault ? fault : JsonElement.Parse(utf8, new JsonDocumentOptions { MaxDepth = limits.MaxDepth });

    /// <summary>What <see cref="Parse(ReadOnlyMemory{byte}, JsonLimits)"/> says of a text, for readers of their own; null when it says nothing against it.</summary>
    public static Fault? Check(ReadOnlySpan<byte> utf8, JsonLimits limits)
    {
        if (utf8.Length > limits.MaxBytes)
            return TooLarge(limits);
        // RFC 8259 §8.1: UTF-8, and a byte-order mark is not added; skipping one would let two readers see two texts.
        if (!Utf8.IsValid(utf8))
            return InvalidUtf8;
        if (utf8.StartsWith("\uFEFF"u8))
            return new Fault("invalid_json", "The text starts with a byte-order mark.");
        try
        {
            return Check(utf8, limits.MaxDepth);
        }
        catch (JsonException e)
        {
            // The platform's reader throws; its message may quote the input, so only the position is repeated.
            return new Fault("invalid_json", string.Create(CultureInfo.InvariantCulture,
                $"The text is not valid JSON (line {(e.LineNumber ?? 0) + 1}, byte {(e.BytePositionInLine ?? 0) + 1})."));
        }
    }

    private static Fault? Check(ReadOnlySpan<byte> utf8, int maxDepth)
    {
        // One level more than allowed, so that the level too many is seen here and named, not thrown.
        var reader = new Utf8JsonReader(utf8, new JsonReaderOptions { MaxDepth = maxDepth + 1 });
        using var names = new MemberNames();
        Span<int> owners = maxDepth <= 256 ? stackalloc int[maxDepth + 1] : new int[maxDepth + 1];
        var objects = 0;
        while (reader.Read())
        {
            switch (reader.TokenType)
            {
                case JsonTokenType.StartObject or JsonTokenType.StartArray:
                    if (reader.CurrentDepth >= maxDepth)
                        return new Fault("too_deep", $"Nesting is deeper than {maxDepth}.");
                    owners[reader.CurrentDepth] = objects++;
                    break;
                case JsonTokenType.PropertyName:
                    if (reader.ValueIsEscaped && HasLoneSurrogate(reader.ValueSpan))
                        return LoneSurrogate;
                    // RFC 8259 §4, RFC 7493 §2.3: names are unique, judged after unescaping.
                    var length = reader.CopyString(names.Room(reader.ValueSpan.Length));
                    if (!names.Add(owners[reader.CurrentDepth - 1], length))
                        return new Fault("duplicate_member", "An object has two members with this name, or names equal but for case.", Shown(reader));
                    break;
                case JsonTokenType.String:
                    if (reader.ValueIsEscaped && HasLoneSurrogate(reader.ValueSpan))
                        return LoneSurrogate;
                    break;
                case JsonTokenType.Number:
                    if (!IsExact(reader.ValueSpan))
                        return new Fault("inexact_number", "A number is not exact in binary64.");
                    break;
            }
        }
        return null;
    }

    // RFC 7493 §2.2: no more magnitude or precision than binary64 holds.
    private static bool IsExact(ReadOnlySpan<byte> number)
    {
        // Any decimal of up to 15 digits in binary64's normal range survives the round trip: no need to try.
        if (number.Length <= 15 && !number.ContainsAny("-eE"u8))
            return true;
        if (!ShortestDecimal.TryRead(number, out var written))
            return false;
        if (written.Count == 0)
            return !written.Negative;
        return double.TryParse(number, NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
            && double.IsFinite(value) && value != 0 && ShortestDecimal.Of(value).Equals(written);
    }

    // RFC 8259 §8.2, RFC 7493 §2.1. Raw UTF-8 cannot hold one; an escape can. The reader has already checked the escapes' form.
    private static bool HasLoneSurrogate(ReadOnlySpan<byte> escaped)
    {
        for (var i = escaped.IndexOf((byte)'\\'); i >= 0 && i < escaped.Length; i++)
        {
            if (escaped[i] != '\\')
                continue;
            if (escaped[++i] != 'u')
                continue;
            var unit = Unit(escaped[(i + 1)..]);
            i += 4;
            if (char.IsLowSurrogate(unit))
                return true;
            if (!char.IsHighSurrogate(unit))
                continue;
            if (!escaped[(i + 1)..].StartsWith("\\u"u8) || !char.IsLowSurrogate(Unit(escaped[(i + 3)..])))
                return true;
            i += 6;
        }
        return false;
    }

    private static char Unit(ReadOnlySpan<byte> digits) =>
        (char)int.Parse(digits[..4], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    // Faults are shown and logged: the sender's name is cut, and cannot break a line or a header.
    private static string Shown(in Utf8JsonReader reader)
    {
        var name = reader.GetString()!;
        return string.Create(Math.Min(name.Length, 64), name, static (shown, name) =>
        {
            for (var i = 0; i < shown.Length; i++)
                shown[i] = name[i] is >= ' ' and <= '~' ? name[i] : '?';
        });
    }

    private static Fault TooLarge(JsonLimits limits) => new("too_large", $"The text is longer than {limits.MaxBytes} bytes.");

    private static readonly Fault InvalidUtf8 = new("invalid_utf8", "The text is not valid UTF-8.");
    private static readonly Fault LoneSurrogate = new("invalid_utf8", "A string holds an unpaired surrogate.");
}
