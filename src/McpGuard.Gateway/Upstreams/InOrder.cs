using System.Threading.Channels;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;

namespace McpGuard.Gateway.Upstreams;

/// <summary>
/// Some notifications, taken from a transport in the order in which they came. The client hands messages out side by side, and an answer could
/// overtake the progress that was sent before it.
/// </summary>
/// <param name="take">True for what the client is not to see. It does not block.</param>
internal sealed class InOrder(IClientTransport inner, Func<JsonRpcNotification, bool> take) : IClientTransport
{
    public string Name => inner.Name;

    public async Task<ITransport> ConnectAsync(CancellationToken cancellationToken = default) => new Connected(await inner.ConnectAsync(cancellationToken), take);

    private sealed class Connected(ITransport inner, Func<JsonRpcNotification, bool> take) : ITransport
    {
        public string? SessionId => inner.SessionId;

        public ChannelReader<JsonRpcMessage> MessageReader { get; } = new Others(inner.MessageReader, take);

        public Task SendMessageAsync(JsonRpcMessage message, CancellationToken cancellationToken = default) => inner.SendMessageAsync(message, cancellationToken);

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }

    private sealed class Others(ChannelReader<JsonRpcMessage> inner, Func<JsonRpcNotification, bool> take) : ChannelReader<JsonRpcMessage>
    {
        public override Task Completion => inner.Completion;

        public override bool TryRead(out JsonRpcMessage item)
        {
            while (inner.TryRead(out item!))
            {
                if (item is not JsonRpcNotification notification || !take(notification)) return true;
            }
            return false;
        }

        public override ValueTask<bool> WaitToReadAsync(CancellationToken cancellationToken = default) => inner.WaitToReadAsync(cancellationToken);
    }
}
