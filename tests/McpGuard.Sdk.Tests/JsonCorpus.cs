using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;

namespace McpGuard.Sdk.Tests;

/// <summary>Arguments, <c>{"value":{…}}</c>, as JSON text in all the spellings there are: escaped names, equal names, numbers that readers see differently, halves of surrogate pairs, depth.</summary>
internal sealed class JsonCorpus(int seed)
{
    private static readonly string[]
        Names = ["a", "b", "ab", "A", "é", "É", "name", "arguments", "\ud83d\ude00"],
        PlainNumbers = ["0", "1", "-7", "100", "0.5", "9007199254740991", "1e2", "2.50"],
        Numbers = ["1E+2", "100.0", "9007199254740992", "9007199254740993", "-0", "0.1", "1e400", "-1e-400", "0.30000000000000004", "123456789012345678901234567890", "1e23", "5e-324", "01", "+1", "1.", ".5", "NaN", "1e", "0x10"];

    private readonly Random random = new(seed);

    /// <param name="plain">Only what every reader reads alike: a call with it must run.</param>
    public string Arguments(bool plain)
    {
        if (!plain && random.Next(12) == 0)
        {
            int depth = random.Next(50, 80);
            return $$"""{"value":{{string.Concat(Enumerable.Repeat("[", depth))}}{{string.Concat(Enumerable.Repeat("]", depth))}}}""";
        }
        var text = new StringBuilder("{");
        Quoted(text, "value");
        Object(text.Append(':'), plain, 0);
        if (!plain && random.Next(12) == 0)
        {
            Quoted(text.Append(','), random.Next(2) == 0 ? "value" : "VALUE");
            Object(text.Append(':'), plain, 0);
        }
        return text.Append('}').ToString();
    }

    private void Object(StringBuilder text, bool plain, int depth)
    {
        text.Append('{').Append(Space());
        var used = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        int written = 0;
        for (int i = random.Next(5); i > 0; i--)
        {
            string name = Names[random.Next(Names.Length)];
            if (!used.Add(name) && (plain || random.Next(4) > 0)) continue;
            if (written++ > 0) text.Append(',').Append(Space());
            Quoted(text, name);
            text.Append(Space()).Append(':').Append(Space());
            Value(text, plain, depth + 1);
            text.Append(Space());
        }
        text.Append('}');
    }

    private void Value(StringBuilder text, bool plain, int depth)
    {
        switch (random.Next(depth > 4 ? 4 : 6))
        {
            case 0: text.Append(random.Next(3) switch { 0 => "true", 1 => "false", _ => "null" }); break;
            case 1: text.Append(plain || random.Next(5) > 0 ? PlainNumbers[random.Next(PlainNumbers.Length)] : Numbers[random.Next(Numbers.Length)]); break;
            case 2: Quoted(text, Names[random.Next(Names.Length)]); break;
            case 3:
                if (!plain && random.Next(10) == 0) text.Append(random.Next(3) switch { 0 => "\"\\ud800\"", 1 => "\"\\udc00\\ud800\"", _ => "\"\\uD83Dx\"" });
                else Quoted(text, "text \"\\/\b\f\n\r\t\u2028é");
                break;
            case 4:
                text.Append('[');
                for (int i = random.Next(4); i > 0; i--)
                {
                    Value(text, plain, depth + 1);
                    if (i > 1) text.Append(',').Append(Space());
                }
                text.Append(']');
                break;
            default: Object(text, plain, depth); break;
        }
    }

    private string Space() => random.Next(8) switch { 0 => " ", 1 => "\n\t", _ => "" };

    private void Quoted(StringBuilder text, string value)
    {
        text.Append('"');
        foreach (Rune rune in value.EnumerateRunes())
        {
            string as16 = rune.ToString();
            if (rune.Value is '"' or '\\' or < ' ' || random.Next(6) == 0) text.AppendJoin("", as16.Select(c => FormattableString.Invariant($"\\u{(int)c:x4}")));
            else text.Append(as16);
        }
        text.Append('"');
    }
}

/// <summary>A value as a reader has it that knows nothing of the guard: names and texts by their characters, numbers exactly.</summary>
internal static class Reading
{
    /// <param name="first">Of members with equal names the first counts, and not the last; the two kinds of readers there are.</param>
    public static string Of(JsonElement value, bool first)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                var members = new SortedDictionary<string, string>(StringComparer.Ordinal);
                foreach (JsonProperty member in value.EnumerateObject())
                {
                    if (!first || !members.ContainsKey(member.Name)) members[member.Name] = Of(member.Value, first);
                }
                return "{" + string.Join(',', members.Select(m => Spelled(m.Key) + ":" + m.Value)) + "}";
            case JsonValueKind.Array: return "[" + string.Join(',', value.EnumerateArray().Select(e => Of(e, first))) + "]";
            case JsonValueKind.String: return Spelled(value.GetString()!);
            case JsonValueKind.Number: return Exact(value.GetRawText());
            default: return value.GetRawText();
        }
    }

    private static string Spelled(string text) => "'" + string.Concat(text.Select(c => ((int)c).ToString("x4", CultureInfo.InvariantCulture))) + "'";

    /// <summary>Digits without zeros at either end, and the power of ten.</summary>
    private static string Exact(string number)
    {
        bool negative = number[0] == '-';
        string[] parts = number.TrimStart('-').Split('e', 'E');
        int point = parts[0].IndexOf('.', StringComparison.Ordinal), power = parts.Length > 1 ? int.Parse(parts[1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture) : 0;
        if (point >= 0) power -= parts[0].Length - point - 1;
        var digits = BigInteger.Parse(parts[0].Replace(".", "", StringComparison.Ordinal), CultureInfo.InvariantCulture);
        if (digits.IsZero) return "0";
        while (digits % 10 == 0) (digits, power) = (digits / 10, power + 1);
        return string.Create(CultureInfo.InvariantCulture, $"{(negative ? "-" : "")}{digits}e{power}");
    }
}
