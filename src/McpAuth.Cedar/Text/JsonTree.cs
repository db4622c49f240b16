using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;

namespace McpAuth.Cedar.Text;

/// <summary>
/// A JSON document as a list of its values, each before what is in it. It is made in one pass and a stack of its own: <see cref="JsonDocument"/> looks
/// for the start of an object by walking back from its end, which takes the square of the depth, and chains of operators are deep.
/// </summary>
internal sealed class JsonTree
{
    private readonly byte[] utf8;
    private readonly List<Row> rows = [];

    /// <param name="utf8">Valid UTF-8.</param>
    /// <exception cref="JsonException">It is no JSON, or deeper than <paramref name="deepest"/>.</exception>
    public JsonTree(ReadOnlySpan<byte> utf8, int deepest)
    {
        this.utf8 = utf8.ToArray();
        var reader = new Utf8JsonReader(utf8, new JsonReaderOptions { MaxDepth = deepest });
        var open = new Stack<int>();
        while (reader.Read())
        {
            if (reader.TokenType is JsonTokenType.EndArray or JsonTokenType.EndObject)
            {
                int start = open.Pop();
                rows[start] = rows[start] with { Next = rows.Count };
                continue;
            }
            if (reader.TokenType is JsonTokenType.StartArray or JsonTokenType.StartObject) open.Push(rows.Count);
            rows.Add(new Row(reader.TokenType, (int)reader.TokenStartIndex, (int)(reader.BytesConsumed - reader.TokenStartIndex), rows.Count + 1));
        }
    }

    public JsonValueKind Kind(int row) => rows[row].Type switch
    {
        JsonTokenType.StartObject => JsonValueKind.Object,
        JsonTokenType.StartArray => JsonValueKind.Array,
        JsonTokenType.String => JsonValueKind.String,
        JsonTokenType.Number => JsonValueKind.Number,
        JsonTokenType.True => JsonValueKind.True,
        JsonTokenType.False => JsonValueKind.False,
        _ => JsonValueKind.Null,
    };

    /// <summary>The row behind a value and all that is in it.</summary>
    public int Next(int row) => rows[row].Next;

    public bool TryInteger(int row, out long value)
    {
        ReadOnlySpan<byte> digits = Bytes(row);
        return Utf8Parser.TryParse(digits, out value, out int read) && read == digits.Length;
    }

    /// <summary>The text of a string or of a member's name; false when it holds half of a surrogate pair, which JSON can write and no text can hold.</summary>
    public bool TryText(int row, [NotNullWhen(true)] out string? text)
    {
        ReadOnlySpan<byte> quoted = rows[row].Type == JsonTokenType.PropertyName ? Name(row) : Bytes(row);
        if (!quoted.Contains((byte)'\\'))
        {
            text = Encoding.UTF8.GetString(quoted[1..^1]);
            return true;
        }
        var reader = new Utf8JsonReader(quoted);
        reader.Read();
        try
        {
            text = reader.GetString()!;
            return true;
        }
        catch (InvalidOperationException)
        {
            text = null;
            return false;
        }
    }

    private ReadOnlySpan<byte> Bytes(int row) => utf8.AsSpan(rows[row].Start, rows[row].Length);

    /// <summary>Of a name, the reader has consumed the colon as well.</summary>
    private ReadOnlySpan<byte> Name(int row)
    {
        ReadOnlySpan<byte> name = Bytes(row);
        return name[..(name.LastIndexOf((byte)'"') + 1)];
    }

    private readonly record struct Row(JsonTokenType Type, int Start, int Length, int Next);
}
