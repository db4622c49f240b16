using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Json.Nodes;

namespace McpAuthServer.GuardFeed;

/// <summary>
/// Walks JSON that is in RFC 8785 form without an escape in it, member by member in an order that the caller knows. There is one way to write a value so, and
/// one way to read it: such text needs no strict parse. What departs from it ends the walk, though it may be valid JSON.
/// </summary>
/// <param name="utf8">Valid UTF-8.</param>
internal ref struct PlainText(ReadOnlySpan<byte> utf8)
{
    // Any number of so many digits is exact for every reader.
    private const int MostDigits = 15, Deepest = 4;

    // What ends a text, and what would have to be escaped in it.
    private static readonly SearchValues<byte> Stops = SearchValues.Create([.. Enumerable.Range(0, 0x20).Select(i => (byte)i), (byte)'"', (byte)'\\']);

    private static readonly SearchValues<byte> NameBytes = SearchValues.Create("abcdefghijklmnopqrstuvwxyz_"u8);

    private ReadOnlySpan<byte> rest = utf8;
    private byte before = (byte)'{'; // what stands before the next member

    /// <summary>What has not been walked over.</summary>
    public readonly ReadOnlySpan<byte> Rest => rest;

    /// <summary>Walks over exactly this, when it is next.</summary>
    public bool Is(ReadOnlySpan<byte> text)
    {
        if (!rest.StartsWith(text))
            return false;
        rest = rest[text.Length..];
        return true;
    }

    /// <summary>What is next is an object: its first member has a brace before it.</summary>
    public void Enter() => before = (byte)'{';

    /// <summary>Walks over the end of an object that had members.</summary>
    public bool Leave() => before == ',' && Is("}"u8);

    /// <summary>Walks up to the value of a member, when that member is next.</summary>
    /// <param name="name">With its quotation marks and colon.</param>
    public bool Has(ReadOnlySpan<byte> name)
    {
        if (rest.Length <= name.Length || rest[0] != before || !rest[1..].StartsWith(name))
            return false;
        rest = rest[(1 + name.Length)..];
        before = (byte)',';
        return true;
    }

    /// <summary>A member that may be absent, then null.</summary>
    /// <returns>False when it is there and no plain text.</returns>
    public bool Optional(ReadOnlySpan<byte> name, out string? value)
    {
        value = null;
        return !Has(name) || Text(out value);
    }

    /// <inheritdoc cref="Optional(ReadOnlySpan{byte}, out string?)"/>
    public bool Optional(ReadOnlySpan<byte> name, out long? value)
    {
        value = null;
        if (!Has(name))
            return true;
        var read = Number(out var number);
        value = number;
        return read;
    }

    /// <inheritdoc cref="Optional(ReadOnlySpan{byte}, out string?)"/>
    public bool Optional(ReadOnlySpan<byte> name, out List<string>? values)
    {
        values = null;
        if (!Has(name))
            return true;
        values = [];
        if (!Is("["u8))
            return false;
        while (!Is("]"u8))
        {
            if ((values.Count > 0 && !Is(","u8)) || !Text(out var value))
                return false;
            values.Add(value!);
        }
        return true;
    }

    /// <inheritdoc cref="Optional(ReadOnlySpan{byte}, out string?)"/>
    public bool Optional(ReadOnlySpan<byte> name, out JsonObject? value)
    {
        value = null;
        return !Has(name) || Object(out value, Deepest);
    }

    public bool Text(out string? value)
    {
        value = null;
        if (!Is("\""u8) || rest.IndexOfAny(Stops) is not (>= 0 and var end) || !rest[end..].StartsWith("\""u8))
            return false;
        value = Encoding.UTF8.GetString(rest[..end]);
        rest = rest[(end + 1)..];
        return true;
    }

    public bool Number(out long value)
    {
        value = 0;
        var digits = rest.IndexOfAnyExceptInRange((byte)'0', (byte)'9');
        if (digits is < 1 or > MostDigits || (digits > 1 && rest[0] == '0') || !Utf8Parser.TryParse(rest[..digits], out value, out _))
            return false;
        rest = rest[digits..];
        return true;
    }

    /// <summary>An object of texts, numbers and such objects, whose members are not known before but stand in order.</summary>
    private bool Object(out JsonObject? value, int depth)
    {
        value = null;
        if (depth == 0 || !Is("{"u8))
            return false;
        JsonObject members = [];
        ReadOnlySpan<byte> last = default;
        do
        {
            // Of such names no two are equal but for case, and the order of their bytes is that of RFC 8785.
            if (!Is("\""u8) || rest.IndexOfAnyExcept(NameBytes) is not (> 0 and var end) || last.SequenceCompareTo(rest[..end]) >= 0)
                return false;
            last = rest[..end];
            rest = rest[end..];
            if (!Is("\":"u8) || !Value(out var node, depth))
                return false;
            members.Add(Encoding.ASCII.GetString(last), node);
        }
        while (Is(","u8));
        value = members;
        return Is("}"u8);
    }

    private bool Value(out JsonNode? node, int depth)
    {
        bool read;
        switch (rest)
        {
            case [(byte)'"', ..]:
                read = Text(out var text);
                node = text;
                return read;
            case [(byte)'{', ..]:
                read = Object(out var members, depth - 1);
                node = members;
                return read;
            default:
                read = Number(out var number);
                node = number;
                return read;
        }
    }
}
