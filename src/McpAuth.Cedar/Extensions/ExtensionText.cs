using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Extensions;

/// <summary>Extension values and their text. Reading takes exactly what Cedar takes; each text that is written reads as the same value.</summary>
internal static class ExtensionText
{
    /// <summary>The value that a constructor makes of its argument; no value when the text is none of that type.</summary>
    public static Value Read(ValueKind kind, ReadOnlySpan<char> text) => kind switch
    {
        ValueKind.Decimal => DecimalText.TryRead(text, out long tenThousandths) ? Value.OfDecimal(tenThousandths) : default,
        ValueKind.IpAddress => IpText.Read(text) is { } address ? Value.Of(address) : default,
        ValueKind.Datetime => DatetimeText.TryRead(text, out long time) ? Value.OfDatetime(time) : default,
        ValueKind.Duration => DurationText.TryRead(text, out long duration) ? Value.OfDuration(duration) : default,
        _ => default,
    };

    /// <summary>The text that <see cref="Read"/> makes the same value of.</summary>
    public static string Of(CedarIpAddress address) => IpText.Of(address);
}
