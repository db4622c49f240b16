using System.Runtime.CompilerServices;
using McpAuth.Cedar.Data;
using McpAuth.Cedar.Extensions;

namespace McpAuth.Cedar.Values;

/// <summary>
/// A Cedar value: 16 bytes, no allocation for anything that is not text, a set, a record or an address. <c>default</c> is no value.
/// Equality is Cedar's: values of different types are unequal, sets are equal by members, records by attributes.
/// </summary>
public readonly struct Value : IEquatable<Value>
{
    // One of: a Scalar (then bits hold the value), string, PassingText, EntityUid, CedarSet, CedarRecord, CedarIpAddress; null for no value.
    private readonly object? content;
    private readonly long bits;

    private Value(object content, long bits = 0) => (this.content, this.bits) = (content, bits);

    public static Value True { get; } = new(Scalar.Bool, 1);

    public static Value False { get; } = new(Scalar.Bool, 0);

    public ValueKind Kind => content switch
    {
        null => ValueKind.None,
        Scalar scalar => scalar.Kind,
        string or PassingText => ValueKind.String,
        EntityUid => ValueKind.Entity,
        CedarSet => ValueKind.Set,
        CedarRecord => ValueKind.Record,
        _ => ValueKind.IpAddress,
    };

    /// <summary>Whether this is no value.</summary>
    public bool IsNone => content is null;

    public static Value Of(bool value) => value ? True : False;

    public static Value Of(long value) => new(Scalar.Long, value);

    public static Value Of(string value) => new(value);

    internal static Value OfPassing(PassingText value) => new(value);

    public static Value Of(EntityUid value) => new(value);

    public static Value Of(CedarSet value) => new(value);

    public static Value Of(CedarRecord value) => new(value);

    public static Value Of(CedarIpAddress value) => new(value);

    /// <summary>A decimal, in ten-thousandths.</summary>
    public static Value OfDecimal(long tenThousandths) => new(Scalar.Decimal, tenThousandths);

    /// <summary>A point in time, in milliseconds since 1970-01-01T00:00:00Z.</summary>
    public static Value OfDatetime(long milliseconds) => new(Scalar.Datetime, milliseconds);

    /// <summary>A length of time, in milliseconds.</summary>
    public static Value OfDuration(long milliseconds) => new(Scalar.Duration, milliseconds);

    public bool TryGetBool(out bool value)
    {
        value = bits != 0;
        return ReferenceEquals(content, Scalar.Bool);
    }

    public bool TryGetLong(out long value)
    {
        value = bits;
        return ReferenceEquals(content, Scalar.Long);
    }

    public string? AsString => content as string ?? (content as PassingText)?.ToString();

    public EntityUid? AsEntity => content as EntityUid;

    public CedarSet? AsSet => content as CedarSet;

    public CedarRecord? AsRecord => content as CedarRecord;

    public CedarIpAddress? AsIpAddress => content as CedarIpAddress;

    public bool TryGetDecimal(out long tenThousandths)
    {
        tenThousandths = bits;
        return ReferenceEquals(content, Scalar.Decimal);
    }

    public bool TryGetDatetime(out long milliseconds)
    {
        milliseconds = bits;
        return ReferenceEquals(content, Scalar.Datetime);
    }

    public bool TryGetDuration(out long milliseconds)
    {
        milliseconds = bits;
        return ReferenceEquals(content, Scalar.Duration);
    }

    public bool Equals(Value other)
    {
        if (ReferenceEquals(content, other.content)) return bits == other.bits;
        return content switch
        {
            string or PassingText => TryGetCharacters(out ReadOnlySpan<char> a) && other.TryGetCharacters(out ReadOnlySpan<char> b) && a.SequenceEqual(b),
            EntityUid a => other.content is EntityUid b && a.Equals(b),
            CedarSet a => other.content is CedarSet b && a.Equals(b),
            CedarRecord a => other.content is CedarRecord b && a.Equals(b),
            CedarIpAddress a => other.content is CedarIpAddress b && a.Equals(b),
            _ => false, // a scalar of another kind, or no value
        };
    }

    public override bool Equals(object? obj) => obj is Value other && Equals(other);

    public override int GetHashCode() => content switch
    {
        null => 0,
        Scalar scalar => HashCode.Combine((int)scalar.Kind, bits),
        string or PassingText => TryGetCharacters(out ReadOnlySpan<char> text) ? string.GetHashCode(text, StringComparison.Ordinal) : 0,
        _ => content.GetHashCode(),
    };

    public static bool operator ==(Value left, Value right) => left.Equals(right);

    public static bool operator !=(Value left, Value right) => !left.Equals(right);

    /// <summary>As an expression of the policy language.</summary>
    public override string ToString() => ValueText.Of(this);

    /// <summary>In Cedar's JSON format, as attributes of entities and contexts are.</summary>
    /// <exception cref="ArgumentException">This is no value.</exception>
    /// <exception cref="CedarException">A record has an attribute named <c>__entity</c>, <c>__extn</c> or <c>__expr</c>, which would be read as something else.</exception>
    public string ToJson()
    {
        Value self = this;
        return ValueWriter.Text(json => ValueWriter.Write(json, self));
    }

    /// <summary>The characters of a text, whether it is an object of its own or not.</summary>
    internal bool TryGetCharacters(out ReadOnlySpan<char> characters)
    {
        characters = content is string text ? text : content is PassingText passing ? passing.Characters : default;
        return content is string or PassingText;
    }

    /// <summary>The bits of a scalar that the caller knows to be one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal bool Is(Scalar scalar, out long value)
    {
        value = bits;
        return ReferenceEquals(content, scalar);
    }

    /// <summary>The tag in a value whose content is in its bits; one object a kind, so that the kind is told by reference.</summary>
    internal sealed class Scalar
    {
        public static readonly Scalar Bool = new(ValueKind.Bool);
        public static readonly Scalar Long = new(ValueKind.Long);
        public static readonly Scalar Decimal = new(ValueKind.Decimal);
        public static readonly Scalar Datetime = new(ValueKind.Datetime);
        public static readonly Scalar Duration = new(ValueKind.Duration);

        private Scalar(ValueKind kind) => Kind = kind;

        public ValueKind Kind { get; }
    }
}
