using System.Buffers;
using System.Globalization;
using System.Text;

namespace McpAuth.Cedar.Extensions;

/// <summary>
/// Addresses and ranges as text: dotted IPv4 or RFC 4291 IPv6, perhaps with <c>/prefix</c>. One spelling of numbers: no leading zeros in IPv4 and in
/// prefixes, no IPv4 within IPv6, no zone. (<c>System.Net.IPAddress</c> takes much more.)
/// </summary>
internal static class IpText
{
    /// <summary>No address and prefix is longer.</summary>
    private const int Longest = 43;

    private const int Groups = 8;

    private static readonly SearchValues<char> HexDigits = SearchValues.Create("0123456789abcdefABCDEF");

    public static CedarIpAddress? Read(ReadOnlySpan<char> text)
    {
        if (text.Length > Longest) return null;
        int slash = text.IndexOf('/');
        ReadOnlySpan<char> address = slash < 0 ? text : text[..slash];
        bool isIpv6 = address.Contains(':');
        int width = isIpv6 ? 128 : 32;
        UInt128 bits;
        if (isIpv6 ? !TryReadIpv6(address, out bits) : !TryReadIpv4(address, out bits)) return null;
        if (slash < 0) return new(bits, isIpv6, width);
        return TryReadNumber(text[(slash + 1)..], width, out int prefix) ? new(bits, isIpv6, prefix) : null;
    }

    public static string Of(CedarIpAddress address)
    {
        var text = new StringBuilder();
        if (address.IsIpv6) AppendIpv6(text, address.Address);
        else text.Append(CultureInfo.InvariantCulture, $"{Byte(address, 24)}.{Byte(address, 16)}.{Byte(address, 8)}.{Byte(address, 0)}");
        if (address.Prefix != (address.IsIpv6 ? 128 : 32)) text.Append(CultureInfo.InvariantCulture, $"/{address.Prefix}");
        return text.ToString();
    }

    private static byte Byte(CedarIpAddress address, int shift) => (byte)(address.Address >> shift);

    private static bool TryReadIpv4(ReadOnlySpan<char> text, out UInt128 bits)
    {
        bits = 0;
        for (int i = 0; i < 4; i++)
        {
            int point = text.IndexOf('.');
            if (point < 0 != (i == 3)) return false;
            if (!TryReadNumber(point < 0 ? text : text[..point], 255, out int value)) return false;
            bits = (bits << 8) | (UInt128)value;
            text = text[(point + 1)..];
        }
        return true;
    }

    /// <summary>A number without leading zeros, of three digits at most.</summary>
    private static bool TryReadNumber(ReadOnlySpan<char> text, int max, out int value)
    {
        value = 0;
        if (text.Length is 0 or > 3 || (text[0] == '0' && text.Length > 1)) return false;
        foreach (char digit in text)
        {
            if (!char.IsAsciiDigit(digit)) return false;
            value = (value * 10) + (digit - '0');
        }
        return value <= max;
    }

    private static bool TryReadIpv6(ReadOnlySpan<char> text, out UInt128 bits)
    {
        int gap = text.IndexOf("::", StringComparison.Ordinal);
        if (gap < 0) return TryReadGroups(text, out bits, out int all) && all == Groups;
        bits = 0;
        ReadOnlySpan<char> before = text[..gap], after = text[(gap + 2)..];
        if (!TryReadGroups(before, out UInt128 head, out int heads) || !TryReadGroups(after, out UInt128 tail, out int tails)) return false;
        if (heads + tails >= Groups) return false; // "::" is one group of zeros at least
        // Shifting by the full width shifts by nothing.
        bits = heads == 0 ? tail : (head << ((Groups - heads) * 16)) | tail;
        return true;
    }

    /// <summary>Groups of one to four hexadecimal digits with single colons between; none of empty text.</summary>
    private static bool TryReadGroups(ReadOnlySpan<char> text, out UInt128 bits, out int count)
    {
        bits = 0;
        count = 0;
        if (text.IsEmpty) return true;
        while (true)
        {
            int colon = text.IndexOf(':');
            ReadOnlySpan<char> group = colon < 0 ? text : text[..colon];
            if (group.Length is 0 or > 4 || ++count > Groups) return false;
            if (group.ContainsAnyExcept(HexDigits)) return false;
            bits = (bits << 16) | ushort.Parse(group, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
            if (colon < 0) return true;
            text = text[(colon + 1)..];
        }
    }

    /// <summary>In lower case, the first of the longest runs of zero groups as <c>::</c> (RFC 5952 §4).</summary>
    private static void AppendIpv6(StringBuilder text, UInt128 bits)
    {
        int gap = -1, length = 1; // a single zero group stays
        for (int i = 0; i < Groups; i++)
        {
            int end = i;
            while (end < Groups && Group(bits, end) == 0) end++;
            if (end - i > length) (gap, length) = (i, end - i);
        }
        for (int i = 0; i < Groups; i++)
        {
            if (i == gap)
            {
                text.Append("::");
                i += length - 1;
                continue;
            }
            if (i > 0 && i != gap + length) text.Append(':');
            text.Append(CultureInfo.InvariantCulture, $"{Group(bits, i):x}");
        }
    }

    private static ushort Group(UInt128 bits, int i) => (ushort)(bits >> ((Groups - 1 - i) * 16));
}
