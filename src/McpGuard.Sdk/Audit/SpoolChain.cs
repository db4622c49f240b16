using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace McpGuard.Sdk.Audit;

/// <summary>Where a guard's chain of entries stands: hash(n) = SHA-256(hash(n−1) ‖ canonical event n), hash(0) = SHA-256(guard id).</summary>
internal sealed class SpoolHead(long seq, byte[] hash)
{
    public long Seq { get; } = seq;
    public ReadOnlySpan<byte> Hash => hash;

    public static SpoolHead Genesis(string guardId) => new(0, SHA256.HashData(Encoding.UTF8.GetBytes(guardId)));

    public SpoolHead Follow(ReadOnlySpan<byte> canonical)
    {
        byte[] together = ArrayPool<byte>.Shared.Rent(hash.Length + canonical.Length);
        hash.CopyTo(together, 0);
        canonical.CopyTo(together.AsSpan(hash.Length));
        byte[] next = SHA256.HashData(together.AsSpan(0, hash.Length + canonical.Length));
        ArrayPool<byte>.Shared.Return(together);
        return new SpoolHead(Seq + 1, next);
    }
}

/// <summary>
/// Reads and writes the lines of a segment: <c>{"event":…,"prev":"…","seq":…}</c>, which is a
/// <see cref="McpAuth.Protocol.Messages.SpoolEntry"/> whose event is in canonical form.
/// </summary>
internal static class SpoolLine
{
    private const int HashText = 43; // base64url of 32 bytes

    private static ReadOnlySpan<byte> Head => "{\"event\":"u8;
    private static ReadOnlySpan<byte> Prev => ",\"prev\":\""u8;
    private static ReadOnlySpan<byte> Seq => "\",\"seq\":"u8;

    /// <summary>Appends the event's line (with its line feed) and answers where the chain stands after it.</summary>
    public static SpoolHead Write(ArrayBufferWriter<byte> output, SpoolHead head, GuardEvent happened)
    {
        output.Write(Head);
        int start = output.WrittenCount;
        happened.WriteCanonical(output);
        SpoolHead next = head.Follow(output.WrittenSpan[start..]);
        output.Write(Prev);
        output.Advance(Base64Url.EncodeToUtf8(head.Hash, output.GetSpan(HashText)));
        output.Write(Seq);
        next.Seq.TryFormat(output.GetSpan(20), out int written, default, CultureInfo.InvariantCulture);
        output.Advance(written);
        output.Write("}\n"u8);
        return next;
    }

    /// <param name="line">Without the line feed.</param>
    /// <returns>Where the chain stands after it, or null when this is not the line that follows <paramref name="head"/>.</returns>
    public static SpoolHead? Read(ReadOnlySpan<byte> line, SpoolHead head)
    {
        if (!Split(line, out ReadOnlySpan<byte> happened, out ReadOnlySpan<byte> prev, out long seq)) return null;
        Span<byte> expected = stackalloc byte[HashText];
        Base64Url.EncodeToUtf8(head.Hash, expected);
        return seq == head.Seq + 1 && prev.SequenceEqual(expected) ? head.Follow(happened) : null;
    }

    /// <summary>Whether this has the form of a line, wherever it belongs.</summary>
    public static bool Looks(ReadOnlySpan<byte> line) => Split(line, out _, out _, out _);

    /// <summary>Its place in the chain; 0 when it is no line.</summary>
    public static long SeqOf(ReadOnlySpan<byte> line) => Split(line, out _, out _, out long seq) ? seq : 0;

    private static bool Split(ReadOnlySpan<byte> line, out ReadOnlySpan<byte> happened, out ReadOnlySpan<byte> prev, out long seq)
    {
        happened = default;
        prev = default;
        seq = 0;
        // From the end: what stands in the event is not searched.
        int at = line.LastIndexOf(Prev);
        if (!line.StartsWith(Head) || at < Head.Length || line[^1] != (byte)'}') return false;
        ReadOnlySpan<byte> tail = line[(at + Prev.Length)..^1];
        int quote = tail.IndexOf(Seq);
        if (quote < 0 || !Utf8Parser.TryParse(tail[(quote + Seq.Length)..], out seq, out int used) || used != tail.Length - quote - Seq.Length) return false;
        happened = line[Head.Length..at];
        prev = tail[..quote];
        return true;
    }
}
