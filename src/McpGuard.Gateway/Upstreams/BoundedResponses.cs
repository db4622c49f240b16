namespace McpGuard.Gateway.Upstreams;

/// <summary>Bounds what is read of an HTTP upstream's answers: a whole body, or one event of a stream.</summary>
internal sealed class BoundedResponses(HttpMessageHandler inner, int longest) : DelegatingHandler(inner)
{
    private const int Envelope = 64 << 10;

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        HttpResponseMessage response = await base.SendAsync(request, cancellationToken);
        bool events = response.Content.Headers.ContentType?.MediaType == "text/event-stream";
        Stream body = await response.Content.ReadAsStreamAsync(cancellationToken);
        // An event is one line of data; what stands in more lines than that is bounded all the same.
        var content = new StreamContent(events ? new Bounded(new BoundedLines(body, longest, "data: "), longest + Envelope, events) : new Bounded(body, longest, events));
        foreach ((string name, IEnumerable<string> values) in response.Content.Headers) content.Headers.TryAddWithoutValidation(name, values);
        response.Content = content;
        return response;
    }

    private sealed class Bounded(Stream inner, int longest, bool events) : ReadOnlyStream(inner)
    {
        private long count;
        private bool lineEmpty = true;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            int read = await Inner.ReadAsync(buffer, cancellationToken);
            foreach (byte b in buffer.Span[..read])
            {
                count++;
                if (b == '\n')
                {
                    // An empty line ends an event.
                    if (events && lineEmpty) count = 0;
                    lineEmpty = true;
                }
                else if (b != '\r')
                {
                    lineEmpty = false;
                }
                if (count > longest) throw new IOException(UpstreamException.TooLarge);
            }
            return read;
        }
    }
}
