using System.Text;
using System.Text.Json;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Mcp;

/// <summary>A part of a call's arguments that the policies of its action read: what is not one is neither converted nor looked at.</summary>
internal sealed class WantedPart
{
    private readonly WantedPart[] parts;
    private readonly string[] partNames;

    private WantedPart(string name, int path, AttributeType? type, bool value, WantedPart[] parts)
    {
        Name = name;
        Utf8Name = Encoding.UTF8.GetBytes(name);
        Path = path;
        Type = type;
        IsValue = value;
        this.parts = parts;
        partNames = [.. parts.Select(p => p.Name)];
    }

    public string Name { get; }

    public byte[] Utf8Name { get; }

    /// <summary>Its number in <see cref="ContextPaths"/>; -1 for the arguments where no policy reads any.</summary>
    public int Path { get; }

    /// <summary>As the tool's schema has it; null for an argument the schema does not know: to the policies, it is never there.</summary>
    public AttributeType? Type { get; }

    /// <summary>Whether the value is read as a whole, which then serves the parts too; else only whether it is there, and the parts.</summary>
    public bool IsValue { get; }

    public ReadOnlySpan<WantedPart> Parts => parts;

    public ReadOnlySpan<string> PartNames => partNames;

    /// <summary>The arguments where no policy reads a part of them by name: none, or all.</summary>
    public static WantedPart Root(CedarType type, bool value) => new("arguments", -1, new AttributeType(type), value, []);

    /// <param name="root">The path of the arguments in the context, e.g. <c>input</c>.</param>
    /// <param name="type">The arguments' type.</param>
    /// <returns>Null when nothing of it is read.</returns>
    public static WantedPart? Of(ContextPaths paths, ContextReads reads, int root, CedarType type)
    {
        // Children by parent, of the paths that are read and of those that lead to them.
        var wanted = new HashSet<int>();
        foreach (int path in reads.Values.Concat(reads.Presences))
            for (int p = path; p >= 0 && wanted.Add(p); p = paths[p].Parent) ;
        ILookup<int, int> children = wanted.ToLookup(p => paths[p].Parent);
        return wanted.Contains(root) ? Make(root, new AttributeType(type)) : null;

        // As deep as the expressions are.
        WantedPart Make(int path, AttributeType? known)
        {
            var attributes = (known?.Type as RecordType)?.Attributes;
            // What is no record has no parts: it is read, so that the policy fails as it does anywhere.
            bool value = reads.Values.Contains(path) || (known is not null && attributes is null && children[path].Any());
            WantedPart[] parts = value ? [] : [.. children[path].Select(c => Make(c, attributes?.GetValueOrDefault(paths[c].Name)))];
            return new(paths[path].Name, path, known, value, parts);
        }
    }

    /// <summary>
    /// Copies what is read of the arguments: values as they stand, names that stand twice twice. What is only asked to be there becomes 0, or null where it
    /// is null; what is something else than the schema says stays, so that a decision on the copy ends as one on the arguments.
    /// </summary>
    /// <param name="arguments">A JSON object that was read before.</param>
    public void Copy(ReadOnlySpan<byte> arguments, Utf8JsonWriter to)
    {
        if (arguments.IsEmpty) arguments = "{}"u8;
        if (Path < 0)
        {
            to.WriteRawValue(IsValue ? arguments : "{}"u8);
            return;
        }
        var reader = new Utf8JsonReader(arguments);
        reader.Read();
        Copy(ref reader, arguments, to);
    }

    private void Copy(ref Utf8JsonReader reader, ReadOnlySpan<byte> arguments, Utf8JsonWriter to)
    {
        int from = (int)reader.TokenStartIndex;
        bool inside = reader.TokenType == JsonTokenType.StartObject && !IsValue && Type is not null;
        if (!inside)
        {
            bool value = IsValue || parts.Length > 0;
            bool isNull = reader.TokenType == JsonTokenType.Null;
            reader.Skip();
            if (Type is null || isNull) to.WriteNullValue();
            else if (value) to.WriteRawValue(arguments[from..(int)reader.BytesConsumed]);
            else to.WriteNumberValue(0);
            return;
        }
        to.WriteStartObject();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = reader.GetString()!;
            WantedPart? part = Array.Find(parts, p => p.Name == name);
            reader.Read();
            if (part is null)
            {
                reader.Skip();
                continue;
            }
            to.WritePropertyName(part.Utf8Name);
            part.Copy(ref reader, arguments, to);
        }
        to.WriteEndObject();
    }

    /// <summary>The part as it was read, of what is known of it: for people.</summary>
    public Value ValueIn(ReadOnlySpan<Slot> slots)
    {
        if (slots[Path].State != SlotState.Present) return default;
        if (slots[Path].Value is { IsNone: false } whole) return whole;
        var attributes = new List<KeyValuePair<string, Value>>();
        foreach (WantedPart part in parts)
            if (part.ValueIn(slots) is { IsNone: false } value) attributes.Add(new(part.Name, value));
        return Value.Of(new CedarRecord(attributes));
    }
}
