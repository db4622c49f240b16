using System.Collections.Frozen;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Extensions;

/// <summary>One function or method of the extension types. The table is closed: Cedar has these and no others.</summary>
internal sealed class ExtensionFunction
{
    private static readonly FrozenDictionary<string, ExtensionFunction> All = new ExtensionFunction[]
    {
        Constructor("decimal", ValueKind.Decimal),
        Method("lessThan", ValueKind.Bool, ValueKind.Decimal, ValueKind.Decimal),
        Method("lessThanOrEqual", ValueKind.Bool, ValueKind.Decimal, ValueKind.Decimal),
        Method("greaterThan", ValueKind.Bool, ValueKind.Decimal, ValueKind.Decimal),
        Method("greaterThanOrEqual", ValueKind.Bool, ValueKind.Decimal, ValueKind.Decimal),
        Constructor("ip", ValueKind.IpAddress),
        Method("isIpv4", ValueKind.Bool, ValueKind.IpAddress),
        Method("isIpv6", ValueKind.Bool, ValueKind.IpAddress),
        Method("isLoopback", ValueKind.Bool, ValueKind.IpAddress),
        Method("isMulticast", ValueKind.Bool, ValueKind.IpAddress),
        Method("isInRange", ValueKind.Bool, ValueKind.IpAddress, ValueKind.IpAddress),
        Constructor("datetime", ValueKind.Datetime),
        Method("offset", ValueKind.Datetime, ValueKind.Datetime, ValueKind.Duration),
        Method("durationSince", ValueKind.Duration, ValueKind.Datetime, ValueKind.Datetime),
        Method("toDate", ValueKind.Datetime, ValueKind.Datetime),
        Method("toTime", ValueKind.Duration, ValueKind.Datetime),
        Constructor("duration", ValueKind.Duration),
        Method("toMilliseconds", ValueKind.Long, ValueKind.Duration),
        Method("toSeconds", ValueKind.Long, ValueKind.Duration),
        Method("toMinutes", ValueKind.Long, ValueKind.Duration),
        Method("toHours", ValueKind.Long, ValueKind.Duration),
        Method("toDays", ValueKind.Long, ValueKind.Duration),
    }.ToFrozenDictionary(f => f.Name, StringComparer.Ordinal);

    private ExtensionFunction(string name, bool isMethod, ValueKind result, ValueKind[] parameters) =>
        (Name, IsMethod, Result, Parameters) = (name, isMethod, result, parameters);

    public string Name { get; }

    /// <summary>Called as <c>a.name(…)</c>; else as <c>name(…)</c>, and then it makes a value of text.</summary>
    public bool IsMethod { get; }

    public ValueKind Result { get; }

    /// <summary>A method's target is the first.</summary>
    public IReadOnlyList<ValueKind> Parameters { get; }

    public static IEnumerable<string> Names => All.Keys;

    public static ExtensionFunction? Find(string name) => All.GetValueOrDefault(name);

    private static ExtensionFunction Constructor(string name, ValueKind result) => new(name, isMethod: false, result, [ValueKind.String]);

    private static ExtensionFunction Method(string name, ValueKind result, params ValueKind[] parameters) => new(name, isMethod: true, result, parameters);
}
