using System.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Validation.Types;

/// <summary>
/// What is known about an expression's value before it is evaluated. Made by a <see cref="TypeTable"/> only, which has one object for each: types
/// of one table are equal when they are the same object.
/// </summary>
internal abstract class StaticType
{
    private const int LongestText = 160;

    /// <summary>As a schema would write it. Cut when it is long: what types share would be written again and again.</summary>
    public sealed override string ToString()
    {
        var text = new StringBuilder();
        Write(text);
        return text.Length <= LongestText ? text.ToString() : text.ToString(0, LongestText) + "…";
    }

    protected abstract void Write(StringBuilder to);

    protected static void Write(StringBuilder to, StaticType part)
    {
        if (to.Length <= LongestText) part.Write(to);
    }
}

/// <summary>No value at all: of the members of an empty set.</summary>
internal sealed class StaticNever : StaticType
{
    protected override void Write(StringBuilder to) => to.Append("nothing");
}

/// <param name="value">The one it always is; null when it may be either.</param>
internal sealed class StaticBool(bool? value) : StaticType
{
    public bool? Value { get; } = value;

    protected override void Write(StringBuilder to) => to.Append(Value switch { true => "always true", false => "always false", null => "Bool" });
}

internal sealed class StaticScalar(ValueKind kind) : StaticType
{
    public ValueKind Kind { get; } = kind;

    /// <summary>Whether <c>&lt;</c> and the like take it.</summary>
    public bool IsOrdered => Kind is ValueKind.Long or ValueKind.Datetime or ValueKind.Duration;

    protected override void Write(StringBuilder to) => to.Append(Kind switch
    {
        ValueKind.Decimal => "decimal",
        ValueKind.IpAddress => "ipaddr",
        ValueKind.Datetime => "datetime",
        ValueKind.Duration => "duration",
        _ => Kind.ToString(),
    });
}

/// <summary>An entity of one of these types; of more than one only in permissive mode.</summary>
/// <param name="names">Distinct, in ordinal order.</param>
internal sealed class StaticEntity(string[] names) : StaticType
{
    public IReadOnlyList<string> Names { get; } = names;

    public string? Single => Names.Count == 1 ? Names[0] : null;

    public bool Contains(string name) => Array.BinarySearch(names, name, StringComparer.Ordinal) >= 0;

    public bool IsSubsetOf(StaticEntity other) => Names.Count <= other.Names.Count && Names.All(other.Contains);

    public bool Overlaps(StaticEntity other) => Names.Count <= other.Names.Count ? Names.Any(other.Contains) : other.Names.Any(Contains);

    protected override void Write(StringBuilder to) => to.AppendJoin(" or ", Names.Take(10)).Append(Names.Count > 10 ? " or …" : "");
}

internal sealed class StaticSet(StaticType element) : StaticType
{
    public StaticType Element { get; } = element;

    protected override void Write(StringBuilder to)
    {
        to.Append("Set<");
        Write(to, Element);
        to.Append('>');
    }
}

/// <param name="names">Distinct, in ordinal order.</param>
/// <param name="open">Whether there may be other attributes, of which nothing is known.</param>
internal sealed class StaticRecord(string[] names, StaticAttribute[] attributes, bool open) : StaticType
{
    public IReadOnlyList<string> Names { get; } = names;

    public IReadOnlyList<StaticAttribute> Attributes { get; } = attributes;

    public bool Open { get; } = open;

    public StaticAttribute? Find(string name)
    {
        int at = Array.BinarySearch(names, name, StringComparer.Ordinal);
        return at < 0 ? null : attributes[at];
    }

    public bool HasSameNames(StaticRecord other) => names.AsSpan().SequenceEqual(other.NameSpan);

    internal ReadOnlySpan<string> NameSpan => names;

    protected override void Write(StringBuilder to)
    {
        to.Append('{');
        for (int i = 0; i < names.Length; i++)
        {
            to.Append(i > 0 ? ", " : "").Append(names[i]).Append(attributes[i].Required ? ": " : "?: ");
            Write(to, attributes[i].Type);
            if (i < 9) continue;
            to.Append(", …");
            break;
        }
        to.Append(Open ? ", …}" : "}");
    }
}

internal readonly record struct StaticAttribute(StaticType Type, bool Required);
