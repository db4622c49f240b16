using System.Security.Cryptography;

namespace McpAuth.Protocol;

/// <summary>
/// The system's random bytes, fetched many at a time: asking costs as much for twelve as for hundreds. For identifiers and nonces, of which many are made and
/// which are shown to others anyway; keys and secrets are asked for one by one.
/// </summary>
internal static class RandomBytes
{
    private const int Fetched = 1024;

    [ThreadStatic]
    private static byte[]? kept;

    [ThreadStatic]
    private static int left;

    /// <param name="bytes">At most 1,024.</param>
    public static void Fill(Span<byte> bytes)
    {
        var from = kept ??= new byte[Fetched];
        if (left < bytes.Length)
        {
            RandomNumberGenerator.Fill(from);
            left = from.Length;
        }
        left -= bytes.Length;
        var taken = from.AsSpan(left, bytes.Length);
        taken.CopyTo(bytes);
        taken.Clear();
    }
}
