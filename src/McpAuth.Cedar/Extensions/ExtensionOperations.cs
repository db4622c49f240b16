using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Extensions;

/// <summary>What the functions and methods of the extension types do. Methods allocate nothing; nothing throws.</summary>
internal static class ExtensionOperations
{
    /// <summary>
    /// The result; no value when the number or the types of the arguments are wrong, a text is malformed, or the result does not fit in 64 bits.
    /// </summary>
    /// <param name="args">A method's target is the first.</param>
    public static Value Apply(ExtensionFunction f, ReadOnlySpan<Value> args)
    {
        if (args.Length != f.Parameters.Count) return default;
        return f.Operation switch
        {
            ExtensionOperation.Decimal => args[0].AsString is { } text ? ExtensionText.Read(ValueKind.Decimal, text) : default,
            ExtensionOperation.Ip => args[0].AsString is { } text ? ExtensionText.Read(ValueKind.IpAddress, text) : default,
            ExtensionOperation.Datetime => args[0].AsString is { } text ? ExtensionText.Read(ValueKind.Datetime, text) : default,
            ExtensionOperation.Duration => args[0].AsString is { } text ? ExtensionText.Read(ValueKind.Duration, text) : default,

            ExtensionOperation.LessThan => Decimals(args, out long a, out long b) ? Value.Of(a < b) : default,
            ExtensionOperation.LessThanOrEqual => Decimals(args, out long a, out long b) ? Value.Of(a <= b) : default,
            ExtensionOperation.GreaterThan => Decimals(args, out long a, out long b) ? Value.Of(a > b) : default,
            ExtensionOperation.GreaterThanOrEqual => Decimals(args, out long a, out long b) ? Value.Of(a >= b) : default,

            ExtensionOperation.IsIpv4 => args[0].AsIpAddress is { } ip ? Value.Of(!ip.IsIpv6) : default,
            ExtensionOperation.IsIpv6 => args[0].AsIpAddress is { } ip ? Value.Of(ip.IsIpv6) : default,
            ExtensionOperation.IsLoopback => args[0].AsIpAddress is { } ip ? Value.Of(ip.IsLoopback) : default,
            ExtensionOperation.IsMulticast => args[0].AsIpAddress is { } ip ? Value.Of(ip.IsMulticast) : default,
            ExtensionOperation.IsInRange =>
                args[0].AsIpAddress is { } ip && args[1].AsIpAddress is { } range ? Value.Of(ip.IsInRange(range)) : default,

            ExtensionOperation.Offset =>
                args[0].TryGetDatetime(out long time) && args[1].TryGetDuration(out long by) && Checked.Add(time, by, out long sum)
                    ? Value.OfDatetime(sum) : default,
            ExtensionOperation.DurationSince =>
                args[0].TryGetDatetime(out long time) && args[1].TryGetDatetime(out long since) && Checked.Subtract(time, since, out long between)
                    ? Value.OfDuration(between) : default,
            ExtensionOperation.ToDate =>
                args[0].TryGetDatetime(out long time) && Checked.Subtract(time, TimeOfDay(time), out long date) ? Value.OfDatetime(date) : default,
            ExtensionOperation.ToTime => args[0].TryGetDatetime(out long time) ? Value.OfDuration(TimeOfDay(time)) : default,

            // Towards zero, as Cedar divides.
            ExtensionOperation.ToMilliseconds => args[0].TryGetDuration(out long ms) ? Value.Of(ms) : default,
            ExtensionOperation.ToSeconds => args[0].TryGetDuration(out long ms) ? Value.Of(ms / 1_000) : default,
            ExtensionOperation.ToMinutes => args[0].TryGetDuration(out long ms) ? Value.Of(ms / 60_000) : default,
            ExtensionOperation.ToHours => args[0].TryGetDuration(out long ms) ? Value.Of(ms / 3_600_000) : default,
            ExtensionOperation.ToDays => args[0].TryGetDuration(out long ms) ? Value.Of(ms / DatetimeText.Day) : default,
            _ => default,
        };
    }

    private static bool Decimals(ReadOnlySpan<Value> args, out long a, out long b)
    {
        b = 0;
        return args[0].TryGetDecimal(out a) && args[1].TryGetDecimal(out b);
    }

    /// <summary>Milliseconds since the midnight before, also for a time before 1970.</summary>
    private static long TimeOfDay(long milliseconds)
    {
        long rest = milliseconds % DatetimeText.Day;
        return rest < 0 ? rest + DatetimeText.Day : rest;
    }
}
