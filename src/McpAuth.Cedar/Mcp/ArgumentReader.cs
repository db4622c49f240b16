using System.Text.Json;
using System.Text.Unicode;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Mcp;

/// <summary>
/// Reads a call's arguments, as they came, into the slots of a decision: in one pass, only the parts that policies read, by the types of the tool's
/// schema. Nothing is rounded or coerced: what has no exact value of its type is a fault, and the call is denied.
/// </summary>
internal readonly ref struct ArgumentReader(ArgumentTexts texts, Span<Slot> slots)
{
    private static readonly JsonReaderOptions Strict = new() { MaxDepth = 64 };

    internal const string HalfACharacter = "a name in the arguments holds half a character";

    private readonly Span<Slot> slots = slots;

    /// <summary>Reads into the slots.</summary>
    /// <returns>Null, or what is wrong, in one sentence that quotes no value.</returns>
    public string? Read(ReadOnlySpan<byte> arguments, WantedPart wanted) => Read(arguments, wanted, out _);

    /// <summary>Reads into the slots, or, where no path leads to the arguments, into <paramref name="whole"/>.</summary>
    public string? Read(ReadOnlySpan<byte> arguments, WantedPart wanted, out Value whole)
    {
        whole = default;
        if (arguments.IsEmpty) arguments = "{}"u8;
        if (!Utf8.IsValid(arguments)) return "the arguments are not UTF-8";
        var reader = new Utf8JsonReader(arguments, Strict);
        try
        {
            reader.Read();
            if (reader.TokenType != JsonTokenType.StartObject) return "the arguments are not an object";
            string? fault = null;
            if (wanted.Path >= 0) fault = ReadPart(ref reader, wanted);
            else if (wanted.IsValue) whole = Convert(ref reader, texts, wanted.Type!.Type, wanted.Name, out fault);
            else reader.Skip();
            if (fault is null) reader.Read(); // what follows is no JSON, and thrown at
            return fault;
        }
        catch (JsonException)
        {
            return "the arguments are not JSON, or nest too deeply";
        }
    }

    /// <summary>At the part's first token; leaves at its last.</summary>
    private string? ReadPart(ref Utf8JsonReader reader, WantedPart part)
    {
        ref Slot slot = ref slots[part.Path];
        if (slot.State != SlotState.Unknown) return $"`{part.Name}` stands twice";
        if (reader.TokenType == JsonTokenType.Null || part.Type is null)
        {
            // null is nothing, as if it were not there; and what the tool's schema does not know is not there for the policies.
            reader.Skip();
            return Absent(part, new(FailureCode.NoAttribute, part.Name));
        }
        slot.Found(default);
        if (part.IsValue)
        {
            slot.Found(Convert(ref reader, texts, part.Type.Type, part.Name, out string? fault));
            return fault;
        }
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            if (part.Parts.Length > 0) return NotOf(part.Name, part.Type.Type);
            reader.Skip(); // only its presence is asked for
            return null;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            WantedPart? child = Find(ref reader, part, out string? fault);
            if (fault is not null) return fault;
            reader.Read();
            if (child is null) reader.Skip();
            else if ((fault = ReadPart(ref reader, child)) is not null) return fault;
        }
        foreach (WantedPart child in part.Parts)
            if (slots[child.Path].State == SlotState.Unknown && Absent(child, new(FailureCode.NoAttribute, child.Name)) is { } fault) return fault;
        return null;
    }

    /// <summary>A part that is not there, and all below it.</summary>
    private string? Absent(WantedPart part, Failure failure)
    {
        if (part.Type is { Required: true }) return $"`{part.Name}` is missing";
        slots[part.Path].Missing(failure);
        foreach (WantedPart child in part.Parts) Unreachable(child, failure);
        return null;
    }

    private void Unreachable(WantedPart part, Failure failure)
    {
        slots[part.Path].Failed(failure);
        foreach (WantedPart child in part.Parts) Unreachable(child, failure);
    }

    private static WantedPart? Find(ref Utf8JsonReader reader, WantedPart of, out string? fault)
    {
        fault = null;
        if (reader.ValueIsEscaped)
        {
            int at = JsonText.IndexOf(ref reader, of.PartNames);
            if (at == JsonText.NotText) fault = HalfACharacter;
            return at < 0 ? null : of.Parts[at];
        }
        foreach (WantedPart part in of.Parts)
            if (reader.ValueSpan.SequenceEqual(part.Utf8Name)) return part;
        return null;
    }

    /// <summary>The token, and what belongs to it, as a value of the type. As deep as the reader lets JSON be.</summary>
    private static Value Convert(ref Utf8JsonReader reader, ArgumentTexts texts, CedarType type, string name, out string? fault)
    {
        fault = null;
        switch (type)
        {
            case PrimitiveType { Kind: ValueKind.Bool } when reader.TokenType is JsonTokenType.True or JsonTokenType.False:
                return Value.Of(reader.TokenType == JsonTokenType.True);
            case PrimitiveType { Kind: ValueKind.Long } when reader.TokenType == JsonTokenType.Number && JsonNumber.TryScale(reader.ValueSpan, 0, out long number):
                return Value.Of(number);
            case PrimitiveType { Kind: ValueKind.Decimal } when reader.TokenType == JsonTokenType.Number && JsonNumber.TryScale(reader.ValueSpan, 4, out long scaled):
                return Value.OfDecimal(scaled);
            case PrimitiveType { Kind: ValueKind.String } when reader.TokenType == JsonTokenType.String && texts.TryRead(ref reader, out Value text):
                return text;
            case SetType set when reader.TokenType == JsonTokenType.StartArray:
                return ConvertSet(ref reader, texts.Inside, set, name, out fault);
            case RecordType record when reader.TokenType == JsonTokenType.StartObject:
                return ConvertRecord(ref reader, texts.Inside, record, name, out fault);
        }
        fault = NotOf(name, type);
        return default;
    }

    private static Value ConvertSet(ref Utf8JsonReader reader, ArgumentTexts texts, SetType type, string name, out string? fault)
    {
        fault = null;
        var members = new List<Value>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            members.Add(Convert(ref reader, texts, type.Element, name, out fault));
            if (fault is not null) return default;
        }
        return Value.Of(new CedarSet([.. members]));
    }

    private static Value ConvertRecord(ref Utf8JsonReader reader, ArgumentTexts texts, RecordType type, string name, out string? fault)
    {
        fault = null;
        var attributes = new Dictionary<string, Value>(StringComparer.Ordinal);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (!texts.TryReadName(ref reader, out string? attribute)) fault = $"a name in `{name}` is not text";
            else if (attributes.ContainsKey(attribute)) fault = $"a name in `{name}` stands twice";
            if (fault is not null) return default;
            reader.Read();
            if (reader.TokenType == JsonTokenType.Null || !type.Attributes.TryGetValue(attribute!, out AttributeType? known))
            {
                attributes[attribute!] = default; // remembered, so that it stands once
                reader.Skip();
                continue;
            }
            attributes[attribute!] = Convert(ref reader, texts, known.Type, attribute!, out fault);
            if (fault is not null) return default;
        }
        foreach ((string attribute, AttributeType known) in type.Attributes)
            if (known.Required && attributes.GetValueOrDefault(attribute).IsNone) fault = $"`{attribute}` is missing";
        return fault is null ? Value.Of(new CedarRecord(attributes.Where(a => !a.Value.IsNone))) : default;
    }

    private static string NotOf(string name, CedarType type) => type switch
    {
        PrimitiveType { Kind: ValueKind.Long } => $"`{name}` is not a whole number of 64 bits",
        PrimitiveType { Kind: ValueKind.Decimal } => $"`{name}` is not a number with at most four digits behind the point",
        PrimitiveType { Kind: ValueKind.String } => $"`{name}` is not text",
        PrimitiveType { Kind: ValueKind.Bool } => $"`{name}` is neither true nor false",
        SetType => $"`{name}` is not an array",
        RecordType => $"`{name}` is not an object",
        _ => $"`{name}` has a type that no argument has",
    };
}
