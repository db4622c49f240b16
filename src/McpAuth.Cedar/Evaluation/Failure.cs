using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Evaluation;

internal enum FailureCode : byte
{
    /// <summary>A record has no such attribute.</summary>
    NoAttribute,

    /// <summary>An entity has no such attribute, or is not among those known.</summary>
    NoEntityAttribute,
    NoTag,

    /// <summary>An operand has a type that the operator does not take.</summary>
    WrongType,

    /// <summary>The operands of a comparison have types that cannot be compared.</summary>
    NotComparable,

    /// <summary>Beyond 64 bits.</summary>
    Overflow,

    /// <summary>An extension function's text is malformed, or its result out of range.</summary>
    BadArgument,
    WrongArgumentCount,

    /// <summary>The caller's data could not be converted exactly (<c>Mcp</c>: an argument of a tool call).</summary>
    NotConvertible,

    /// <summary>It will be known at the call (<c>Mcp</c>: arguments and approval, while nothing is called yet).</summary>
    NotYetKnown,
}

/// <summary>Why an evaluation has no value. A value itself: failing allocates nothing, and the sentence is only made when somebody reads it.</summary>
/// <param name="Name">The attribute or function.</param>
/// <param name="Actual">The type that was found, for the two codes about types.</param>
/// <param name="Expected">The type that was needed.</param>
internal readonly record struct Failure(FailureCode Code, string Name = "", ValueKind Actual = default, ValueKind Expected = default)
{
    public override string ToString() => Code switch
    {
        FailureCode.NoAttribute => $"the record has no attribute `{Name}`",
        FailureCode.NoEntityAttribute => $"the entity has no attribute `{Name}`, or is not known",
        FailureCode.NoTag => "the entity has no such tag, or is not known",
        FailureCode.WrongType => $"expected {Word(Expected)}, got {Word(Actual)}",
        FailureCode.NotComparable => $"{Word(Expected)} and {Word(Actual)} cannot be compared",
        FailureCode.Overflow => "the result does not fit into 64 bits",
        FailureCode.BadArgument => $"`{Name}` cannot take this argument, or its result is out of range",
        FailureCode.NotYetKnown => $"`{Name}` is not known before the call",
        FailureCode.WrongArgumentCount => $"`{Name}` was called with another number of arguments than it has",
        _ => $"`{Name}` has no exact value in the policy's types",
    };

    private static string Word(ValueKind kind) => kind switch
    {
        ValueKind.Bool => "bool",
        ValueKind.Long => "long",
        ValueKind.String => "string",
        ValueKind.Entity => "entity",
        ValueKind.Set => "set",
        ValueKind.Record => "record",
        ValueKind.Decimal => "decimal",
        ValueKind.IpAddress => "ipaddr",
        ValueKind.Datetime => "datetime",
        ValueKind.Duration => "duration",
        _ => "nothing",
    };
}
