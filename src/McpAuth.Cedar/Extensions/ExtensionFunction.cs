using System.Collections.Frozen;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Extensions;

/// <summary>One function or method of the extension types. The table is closed: Cedar has these and no others.</summary>
internal sealed class ExtensionFunction
{
    private static readonly FrozenDictionary<string, ExtensionFunction> All = new ExtensionFunction[]
    {
        Constructor(ExtensionOperation.Decimal, "decimal", ValueKind.Decimal),
        Method(ExtensionOperation.LessThan, "lessThan", ValueKind.Bool, ValueKind.Decimal, ValueKind.Decimal),
        Method(ExtensionOperation.LessThanOrEqual, "lessThanOrEqual", ValueKind.Bool, ValueKind.Decimal, ValueKind.Decimal),
        Method(ExtensionOperation.GreaterThan, "greaterThan", ValueKind.Bool, ValueKind.Decimal, ValueKind.Decimal),
        Method(ExtensionOperation.GreaterThanOrEqual, "greaterThanOrEqual", ValueKind.Bool, ValueKind.Decimal, ValueKind.Decimal),
        Constructor(ExtensionOperation.Ip, "ip", ValueKind.IpAddress),
        Method(ExtensionOperation.IsIpv4, "isIpv4", ValueKind.Bool, ValueKind.IpAddress),
        Method(ExtensionOperation.IsIpv6, "isIpv6", ValueKind.Bool, ValueKind.IpAddress),
        Method(ExtensionOperation.IsLoopback, "isLoopback", ValueKind.Bool, ValueKind.IpAddress),
        Method(ExtensionOperation.IsMulticast, "isMulticast", ValueKind.Bool, ValueKind.IpAddress),
        Method(ExtensionOperation.IsInRange, "isInRange", ValueKind.Bool, ValueKind.IpAddress, ValueKind.IpAddress),
        Constructor(ExtensionOperation.Datetime, "datetime", ValueKind.Datetime),
        Method(ExtensionOperation.Offset, "offset", ValueKind.Datetime, ValueKind.Datetime, ValueKind.Duration),
        Method(ExtensionOperation.DurationSince, "durationSince", ValueKind.Duration, ValueKind.Datetime, ValueKind.Datetime),
        Method(ExtensionOperation.ToDate, "toDate", ValueKind.Datetime, ValueKind.Datetime),
        Method(ExtensionOperation.ToTime, "toTime", ValueKind.Duration, ValueKind.Datetime),
        Constructor(ExtensionOperation.Duration, "duration", ValueKind.Duration),
        Method(ExtensionOperation.ToMilliseconds, "toMilliseconds", ValueKind.Long, ValueKind.Duration),
        Method(ExtensionOperation.ToSeconds, "toSeconds", ValueKind.Long, ValueKind.Duration),
        Method(ExtensionOperation.ToMinutes, "toMinutes", ValueKind.Long, ValueKind.Duration),
        Method(ExtensionOperation.ToHours, "toHours", ValueKind.Long, ValueKind.Duration),
        Method(ExtensionOperation.ToDays, "toDays", ValueKind.Long, ValueKind.Duration),
    }.ToFrozenDictionary(f => f.Name, StringComparer.Ordinal);

    private ExtensionFunction(ExtensionOperation operation, string name, bool isMethod, ValueKind result, ValueKind[] parameters) =>
        (Operation, Name, IsMethod, Result, Parameters) = (operation, name, isMethod, result, parameters);

    /// <summary>What <see cref="ExtensionOperations"/> switches on.</summary>
    public ExtensionOperation Operation { get; }

    public string Name { get; }

    /// <summary>Called as <c>a.name(…)</c>; else as <c>name(…)</c>, and then it makes a value of text.</summary>
    public bool IsMethod { get; }

    public ValueKind Result { get; }

    /// <summary>A method's target is the first.</summary>
    public IReadOnlyList<ValueKind> Parameters { get; }

    public static IEnumerable<string> Names => All.Keys;

    public static ExtensionFunction? Find(string name) => All.GetValueOrDefault(name);

    private static ExtensionFunction Constructor(ExtensionOperation operation, string name, ValueKind result) =>
        new(operation, name, isMethod: false, result, [ValueKind.String]);

    private static ExtensionFunction Method(ExtensionOperation operation, string name, ValueKind result, params ValueKind[] parameters) =>
        new(operation, name, isMethod: true, result, parameters);
}
