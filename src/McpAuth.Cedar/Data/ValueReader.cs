using System.Runtime.InteropServices;
using System.Text.Json;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Data;

/// <summary>
/// Values in Cedar's JSON format. Where a type is expected, text may stand for an extension value, and entities and extension calls may do without
/// their escapes; that the value then is of the type is for <see cref="ReportedConformance"/> to say.
/// </summary>
internal static class ValueReader
{
    public const string EntityEscape = "__entity", ExtensionEscape = "__extn", ExpressionEscape = "__expr";

    /// <summary>No value where something was reported.</summary>
    public static Value Read(ref JsonCursor at, CedarType? expected)
    {
        switch (at.Token)
        {
            case JsonTokenType.True:
                return Value.True;
            case JsonTokenType.False:
                return Value.False;
            case JsonTokenType.Number:
                if (at.TryGetInt64(out long number)) return Value.Of(number);
                at.Error("not_a_long", "A number must be an integer of 64 bits, written without fraction and exponent.");
                return default;
            case JsonTokenType.String:
                return ReadText(ref at, expected);
            case JsonTokenType.StartArray:
                return at.IsTooDeep() ? default : ReadSet(ref at, (expected as SetType)?.Element);
            case JsonTokenType.StartObject:
                return at.IsTooDeep() ? default : ReadObject(ref at, expected);
            default:
                at.Error("null_value", "Cedar has no null: leave the attribute out.");
                return default;
        }
    }

    /// <summary>The members of an object as a record; null where something was reported.</summary>
    /// <param name="each">The type expected of every member that <paramref name="expected"/> says nothing about.</param>
    public static CedarRecord? ReadRecord(ref JsonCursor at, RecordType? expected, CedarType? each = null)
    {
        var attributes = new List<KeyValuePair<string, Value>>();
        bool complete = true;
        while (at.NextMember(out string name))
        {
            at.Trail.Enter(name);
            if (IsReserved(name))
            {
                at.Error("reserved_name", $"'{name}' must be the only member of its object, and is no name of an attribute.");
                at.Skip();
                complete = false;
            }
            else
            {
                AttributeType? attribute = null;
                expected?.Attributes.TryGetValue(name, out attribute);
                Value value = Read(ref at, attribute?.Type ?? each);
                if (value.IsNone) complete = false;
                else attributes.Add(new(name, value));
            }
            at.Trail.Leave();
        }
        return Distinct(ref at, attributes) && complete ? new(attributes) : null;
    }

    /// <summary>Sorts by name, and reports names that stand twice (RFC 8259 §4 leaves open what that means).</summary>
    public static bool Distinct<T>(ref JsonCursor at, List<KeyValuePair<string, T>> members)
    {
        members.Sort(static (a, b) => string.CompareOrdinal(a.Key, b.Key));
        bool distinct = true;
        for (int i = 1; i < members.Count; i++)
        {
            if (members[i].Key != members[i - 1].Key) continue;
            distinct = false;
            if (i > 1 && members[i].Key == members[i - 2].Key) continue; // once for each name
            at.Trail.Enter(members[i].Key);
            at.Error("duplicate_member", "The member stands twice.");
            at.Trail.Leave();
        }
        return distinct;
    }

    private static bool IsReserved(string name) => name is EntityEscape or ExtensionEscape or ExpressionEscape;

    private static Value ReadText(ref JsonCursor at, CedarType? expected)
    {
        if (at.Text() is not { } text) return default;
        return expected is PrimitiveType { Kind: var kind } && ExtensionReader.ConstructorOf(kind) is { } constructor
            ? ExtensionReader.Call(ref at, constructor, [Value.Of(text)])
            : Value.Of(text);
    }

    private static Value ReadSet(ref JsonCursor at, CedarType? element)
    {
        var members = new List<Value>();
        bool complete = true;
        for (int i = 0; at.NextElement(); i++)
        {
            at.Trail.Enter(i);
            Value member = Read(ref at, element);
            if (member.IsNone) complete = false;
            else members.Add(member);
            at.Trail.Leave();
        }
        return complete ? Value.Of(new CedarSet(CollectionsMarshal.AsSpan(members))) : default;
    }

    private static Value ReadObject(ref JsonCursor at, CedarType? expected)
    {
        if (expected is EntityType) return UidReader.Read(ref at) is { } named ? Value.Of(named) : default;
        if (expected is PrimitiveType { Kind: var kind } && ExtensionReader.ConstructorOf(kind) is not null) return ExtensionReader.Read(ref at, implicitForms: true);

        // An escape is told by its first member, and must then be the only one.
        if (at.FirstMemberIs(EntityEscape)) return UidReader.Read(ref at) is { } uid ? Value.Of(uid) : default;
        if (at.FirstMemberIs(ExtensionEscape)) return ExtensionReader.Read(ref at, implicitForms: false);
        return ReadRecord(ref at, expected as RecordType) is { } record ? Value.Of(record) : default;
    }
}
