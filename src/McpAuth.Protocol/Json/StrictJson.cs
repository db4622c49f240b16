using System.Text.Json;

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
public static class StrictJson
{
    /// <summary>Codes: <c>too_large</c>, <c>too_deep</c>, <c>invalid_utf8</c>, <c>invalid_json</c>, <c>duplicate_member</c>, <c>inexact_number</c>.</summary>
    public static Result<JsonElement> Parse(ReadOnlyMemory<byte> utf8, JsonLimits limits) => throw new NotImplementedException();

    /// <summary>As the other overload, for text that was already decoded; an unpaired surrogate is <c>invalid_utf8</c>.</summary>
    public static Result<JsonElement> Parse(string text, JsonLimits limits) => throw new NotImplementedException();
}
