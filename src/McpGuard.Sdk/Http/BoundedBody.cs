using Microsoft.AspNetCore.Http;

namespace McpGuard.Sdk.Http;

/// <summary>
/// Counts an answer while it passes, and keeps nothing of it. The write that would be too much is not sent, and everything after it fails.
/// </summary>
/// <param name="exceeded">Told once, so that the handler stops.</param>
internal sealed class BoundedBody(Stream inner, HttpResponse response, long limit, Action? exceeded = null) : WriteOnlyStream
{
    private long sent;
    private byte last, beforeLast;

    public long Limit => limit;

    public bool Exceeded { get; private set; }

    /// <summary>In a stream of events: none is half sent.</summary>
    public bool BetweenEvents => sent == 0 || (last, beforeLast) == ((byte)'\n', (byte)'\n');

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Count(buffer.Span);
        return inner.WriteAsync(buffer, cancellationToken);
    }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        Count(buffer);
        inner.Write(buffer);
    }

    public override Task FlushAsync(CancellationToken cancellationToken) => Exceeded ? Task.CompletedTask : inner.FlushAsync(cancellationToken);

    public override void Flush()
    {
        if (!Exceeded) inner.Flush();
    }

    private void Count(ReadOnlySpan<byte> next)
    {
        if (!Exceeded)
        {
            // An answer that says how long it will be need not begin.
            if (sent + next.Length <= limit && (sent > 0 || response.ContentLength is not { } promised || promised <= limit))
            {
                sent += next.Length;
                if (next.Length > 1) (beforeLast, last) = (next[^2], next[^1]);
                else if (next.Length == 1) (beforeLast, last) = (last, next[0]);
                return;
            }
            Exceeded = true;
            exceeded?.Invoke();
        }
        throw new IOException("The answer is larger than it may be.");
    }
}
