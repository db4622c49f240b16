using System.Buffers;
using System.Text;
using System.Text.Json;
using McpAuth.Cedar.Extensions;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Data;

/// <summary>Values in Cedar's JSON format, so that reading them gives the same values, with a schema or without.</summary>
internal static class ValueWriter
{
    // As deep as values that policies build of values that were read.
    private static readonly JsonWriterOptions Options = new() { MaxDepth = 4 * Limits.Depth };

    public static string Text(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, Options))
            write(writer);
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <exception cref="CedarException">A record has an attribute whose name means an escape.</exception>
    public static void Write(Utf8JsonWriter json, Value value)
    {
        switch (value.Kind)
        {
            case ValueKind.Bool:
                value.TryGetBool(out bool truth);
                json.WriteBooleanValue(truth);
                break;
            case ValueKind.Long:
                value.TryGetLong(out long number);
                json.WriteNumberValue(number);
                break;
            case ValueKind.String:
                json.WriteStringValue(value.AsString);
                break;
            case ValueKind.Entity:
                json.WriteStartObject();
                json.WritePropertyName(ValueReader.EntityEscape);
                Write(json, value.AsEntity!);
                json.WriteEndObject();
                break;
            case ValueKind.Set:
                json.WriteStartArray();
                foreach (Value member in value.AsSet!) Write(json, member);
                json.WriteEndArray();
                break;
            case ValueKind.Record:
                Write(json, value.AsRecord!);
                break;
            case ValueKind.None:
                throw new ArgumentException("There is no value to write.", nameof(value));
            default:
                WriteExtension(json, value);
                break;
        }
    }

    public static void Write(Utf8JsonWriter json, EntityUid uid)
    {
        json.WriteStartObject();
        json.WriteString("type", uid.Type);
        json.WriteString("id", uid.Id);
        json.WriteEndObject();
    }

    /// <exception cref="CedarException">An attribute's name means an escape.</exception>
    public static void Write(Utf8JsonWriter json, CedarRecord record)
    {
        json.WriteStartObject();
        foreach ((string name, Value value) in record)
        {
            if (name is ValueReader.EntityEscape or ValueReader.ExtensionEscape or ValueReader.ExpressionEscape)
                throw new CedarException([new Diagnostic("reserved_name", $"A record with the attribute '{name}' cannot be written as JSON: it would be read as something else.")]);
            json.WritePropertyName(name);
            Write(json, value);
        }
        json.WriteEndObject();
    }

    private static void WriteExtension(Utf8JsonWriter json, Value value)
    {
        if (value.TryGetDecimal(out long tenThousandths)) WriteCall(json, "decimal", DecimalText.Of(tenThousandths));
        else if (value.TryGetDuration(out long length)) WriteCall(json, "duration", DurationText.Of(length));
        else if (value.AsIpAddress is { } address) WriteCall(json, "ip", ExtensionText.Of(address));
        else if (value.TryGetDatetime(out long time)) WriteDatetime(json, time);
    }

    private static void WriteDatetime(Utf8JsonWriter json, long time)
    {
        if (DatetimeText.Of(time) is { } text)
        {
            WriteCall(json, "datetime", text);
            return;
        }
        json.WriteStartObject();
        json.WriteStartObject(ValueReader.ExtensionEscape);
        json.WriteString("fn", "offset");
        json.WriteStartArray("args");
        WriteCall(json, "datetime", "1970-01-01");
        WriteCall(json, "duration", DurationText.Of(time));
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteCall(Utf8JsonWriter json, string function, string argument)
    {
        json.WriteStartObject();
        json.WriteStartObject(ValueReader.ExtensionEscape);
        json.WriteString("fn", function);
        json.WriteString("arg", argument);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
