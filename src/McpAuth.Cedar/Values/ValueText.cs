using System.Globalization;
using System.Text;
using McpAuth.Cedar.Extensions;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Values;

/// <summary>Values as expressions of the policy language.</summary>
internal static class ValueText
{
    public static string Of(Value value)
    {
        var text = new StringBuilder();
        Append(text, value);
        return text.ToString();
    }

    /// <summary>The members of a set in the order of their texts, so that equal sets are written alike; nothing for no value.</summary>
    public static void Append(StringBuilder to, Value value)
    {
        switch (value.Kind)
        {
            case ValueKind.Bool:
                value.TryGetBool(out bool truth);
                to.Append(truth ? "true" : "false");
                break;
            case ValueKind.Long:
                value.TryGetLong(out long number);
                to.Append(CultureInfo.InvariantCulture, $"{number}");
                break;
            case ValueKind.String:
                Quoted(to, value.AsString!);
                break;
            case ValueKind.Entity:
                to.Append(value.AsEntity);
                break;
            case ValueKind.Set:
                string[] members = [.. value.AsSet!.Select(Of)];
                Array.Sort(members, StringComparer.Ordinal);
                to.Append('[').AppendJoin(", ", members).Append(']');
                break;
            case ValueKind.Record:
                Append(to, value.AsRecord!);
                break;
            case ValueKind.Decimal:
                value.TryGetDecimal(out long tenThousandths);
                Call(to, "decimal", DecimalText.Of(tenThousandths));
                break;
            case ValueKind.IpAddress:
                Call(to, "ip", ExtensionText.Of(value.AsIpAddress!));
                break;
            case ValueKind.Datetime:
                value.TryGetDatetime(out long time);
                if (DatetimeText.Of(time) is { } text) Call(to, "datetime", text);
                else to.Append(CultureInfo.InvariantCulture, $"datetime(\"1970-01-01\").offset(duration(\"{DurationText.Of(time)}\"))");
                break;
            case ValueKind.Duration:
                value.TryGetDuration(out long duration);
                Call(to, "duration", DurationText.Of(duration));
                break;
        }
    }

    private static void Append(StringBuilder to, CedarRecord record)
    {
        to.Append('{');
        bool first = true;
        foreach ((string name, Value value) in record)
        {
            if (!first) to.Append(", ");
            first = false;
            if (Identifiers.IsName(name)) to.Append(name);
            else Quoted(to, name);
            to.Append(": ");
            Append(to, value);
        }
        to.Append('}');
    }

    private static void Call(StringBuilder to, string function, string text) => to.Append(function).Append("(\"").Append(text).Append("\")");

    private static void Quoted(StringBuilder to, string text)
    {
        to.Append('"');
        StringEscapes.Append(to, text);
        to.Append('"');
    }
}
