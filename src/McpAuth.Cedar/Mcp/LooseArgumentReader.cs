using System.Text.Json;
using System.Text.Unicode;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Mcp;

/// <summary>
/// Reads a call's arguments without a schema: text is String, true and false are Bool, a number is a decimal, exactly or not at all. Of an array, an object or
/// null only the presence is known.
/// </summary>
internal readonly ref struct LooseArgumentReader(ArgumentTexts texts)
{
    private const int OnStack = 64;

    private static readonly JsonReaderOptions Strict = new() { MaxDepth = 64 };

    /// <summary>Reads the wanted ones into the slots.</summary>
    /// <returns>Null, or what is wrong, in one sentence that quotes no value.</returns>
    public string? Read(ReadOnlySpan<byte> arguments, LooseLayout layout, Span<Slot> slots)
    {
        LooseArgument[] wanted = layout.Wanted;
        Span<Seen> seen = wanted.Length <= OnStack ? stackalloc Seen[OnStack] : new Seen[wanted.Length];
        seen.Clear();
        string? fault = Begin(arguments, out Utf8JsonReader reader);
        if (fault is not null) return fault;
        try
        {
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                Utf8JsonReader name = reader;
                reader.Read();
                for (int i = 0; i < wanted.Length; i++)
                {
                    LooseArgument argument = wanted[i];
                    Seen now = Is(ref name, argument.Utf8Name, argument.Name) switch { null => Seen.NotText, true => Seen.Itself, _ => default };
                    if (argument.MarkedName is { } marked && Is(ref name, argument.Utf8MarkedName, marked) == true) now |= Seen.Marked;
                    if (now == default) continue;
                    if (now == Seen.NotText) return ArgumentReader.HalfACharacter;
                    if ((seen[i] & now) != default) return $"`{argument.Name}` stands twice";
                    seen[i] |= now;
                    if ((now == Seen.Itself) != IsSimple(reader.TokenType)) continue; // an array is no value, and a value no mark
                    ref Slot slot = ref slots[argument.Path];
                    if (slot.State == SlotState.Present) return $"`{argument.Attribute}` is two arguments";
                    Value value = now == Seen.Marked ? Value.True : Convert(ref reader);
                    if (value.IsNone) return NotExact(argument.Name);
                    slot.Found(value);
                }
                reader.Skip();
            }
            reader.Read(); // what follows is no JSON, and thrown at
        }
        catch (JsonException)
        {
            return NotJson;
        }
        foreach (LooseArgument argument in wanted)
        {
            ref Slot slot = ref slots[argument.Path];
            if (slot.State == SlotState.Unknown) slot.Missing(new(FailureCode.NoAttribute, argument.Attribute));
        }
        return null;
    }

    /// <summary>Reads all of them.</summary>
    /// <param name="all">By attribute; no value for one that only was there.</param>
    public string? ReadAll(ReadOnlySpan<byte> arguments, string prefix, out Dictionary<string, Value> all)
    {
        all = new(StringComparer.Ordinal);
        string? fault = Begin(arguments, out Utf8JsonReader reader);
        if (fault is not null) return fault;
        try
        {
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (!texts.TryReadName(ref reader, out string? name)) return ArgumentReader.HalfACharacter;
                string attribute = prefix + name;
                reader.Read();
                if (!all.TryAdd(attribute, IsSimple(reader.TokenType) ? Convert(ref reader) : default)) return "an argument stands twice";
                if (IsSimple(reader.TokenType) && all[attribute].IsNone) return "an argument has no exact value in the policies' types";
                reader.Skip();
            }
            reader.Read();
        }
        catch (JsonException)
        {
            return NotJson;
        }
        foreach (string attribute in all.Where(a => a.Value.IsNone).Select(a => a.Key).ToArray())
            if (!all.TryAdd(LooseArgument.MarkOf(attribute), Value.True)) return "an argument is called as the mark of another";
        return null;
    }

    private const string NotJson = "the arguments are not JSON, or nest too deeply";

    [Flags]
    private enum Seen : byte
    {
        Itself = 1,
        Marked = 2,
        NotText = 4,
    }

    /// <summary>At the object's start.</summary>
    private static string? Begin(ReadOnlySpan<byte> arguments, out Utf8JsonReader reader)
    {
        if (arguments.IsEmpty) arguments = "{}"u8;
        reader = new(arguments, Strict);
        if (!Utf8.IsValid(arguments)) return "the arguments are not UTF-8";
        try
        {
            reader.Read();
        }
        catch (JsonException)
        {
            return NotJson;
        }
        return reader.TokenType == JsonTokenType.StartObject ? null : "the arguments are not an object";
    }

    private static bool? Is(ref Utf8JsonReader name, ReadOnlySpan<byte> utf8, string text)
    {
        if (!name.ValueIsEscaped) return name.ValueSpan.SequenceEqual(utf8);
        int at = JsonText.IndexOf(ref name, [text]);
        return at == JsonText.NotText ? null : at == 0;
    }

    private static bool IsSimple(JsonTokenType token) => token is JsonTokenType.String or JsonTokenType.Number or JsonTokenType.True or JsonTokenType.False;

    private Value Convert(ref Utf8JsonReader reader)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.String: return texts.TryRead(ref reader, out Value text) ? text : default;
            case JsonTokenType.Number: return JsonNumber.TryScale(reader.ValueSpan, 4, out long tenThousandths) ? Value.OfDecimal(tenThousandths) : default;
            default: return Value.Of(reader.TokenType == JsonTokenType.True);
        }
    }

    private static string NotExact(string name) => $"`{name}` is neither text nor a number with at most four digits behind the point";
}
