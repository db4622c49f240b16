using System.Text;

namespace McpGuard.Gateway.Upstreams;

/// <summary>
/// An upstream's messages, line by line, each line of bounded length. A longer one is thrown away while it is read, and where it answers a request
/// an error stands in its place: the other requests on this stream are not to pay for it.
/// </summary>
/// <param name="field">What stands before a message in its line.</param>
internal sealed class BoundedLines(Stream inner, int longest, string field = "") : ReadOnlyStream(inner)
{
    private readonly byte[] chunk = new byte[16 * 1024];
    private readonly MemoryStream line = new();
    private ReadOnlyMemory<byte> unread, ready;
    private MessageId? skipping;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (ready.IsEmpty)
        {
            if (unread.IsEmpty)
            {
                int read = await Inner.ReadAsync(chunk, cancellationToken);
                if (read == 0) return 0; // a line without an end is no message
                unread = chunk.AsMemory(0, read);
            }
            Take();
        }
        int count = Math.Min(ready.Length, buffer.Length);
        ready[..count].CopyTo(buffer);
        ready = ready[count..];
        return count;
    }

    private void Take()
    {
        int end = unread.Span.IndexOf((byte)'\n');
        ReadOnlyMemory<byte> part = end < 0 ? unread : unread[..(end + 1)];
        unread = unread[part.Length..];
        if (skipping is null)
        {
            line.Write(part.Span);
            if (line.Length > longest)
            {
                skipping = new MessageId();
                skipping.Read(line.GetBuffer().AsSpan(0, (int)line.Length));
                line.SetLength(0);
                line.Capacity = 0;
            }
        }
        else
        {
            skipping.Read(part.Span);
        }
        if (end < 0) return;
        ready = skipping is null ? line.ToArray()
            : skipping.OfAnswer is { } id ? Encoding.UTF8.GetBytes(field + $$$"""{"jsonrpc":"2.0","id":{{{id}}},"error":{"code":-32603,"message":"{{{UpstreamException.TooLarge}}}"}}""" + "\n")
            : default;
        skipping = null;
        line.SetLength(0);
    }
}
