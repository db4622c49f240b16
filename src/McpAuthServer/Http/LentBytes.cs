using System.Buffers;

namespace McpAuthServer.Http;

/// <summary>Bytes in an array that others use afterwards: nothing of them may be held beyond the disposal.</summary>
internal sealed class LentBytes : IDisposable
{
    private readonly int length;
    private byte[]? array;

    public LentBytes(ReadOnlySequence<byte> bytes)
    {
        length = checked((int)bytes.Length);
        array = ArrayPool<byte>.Shared.Rent(length);
        bytes.CopyTo(array);
    }

    public ReadOnlySpan<byte> Span => (array ?? throw new ObjectDisposedException(nameof(LentBytes))).AsSpan(0, length);

    public void Dispose()
    {
        if (array is { } lent)
            ArrayPool<byte>.Shared.Return(lent, clearArray: true);
        array = null;
    }
}
