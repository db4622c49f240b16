using System.Collections.Concurrent;
using System.Threading.Channels;

namespace ConformanceServer;

/// <summary>Tells whoever listens that a list changed. A slow listener misses nothing but repetitions.</summary>
internal sealed class ListChanges
{
    private readonly ConcurrentDictionary<Channel<string>, bool> listeners = new();

    public void Say(string notification)
    {
        foreach ((Channel<string> listener, _) in listeners) listener.Writer.TryWrite(notification);
    }

    public IDisposable Listen(out ChannelReader<string> changes)
    {
        Channel<string> channel = Channel.CreateBounded<string>(new BoundedChannelOptions(16) { FullMode = BoundedChannelFullMode.DropWrite });
        listeners[channel] = true;
        changes = channel.Reader;
        return new Listener(listeners, channel);
    }

    private sealed class Listener(ConcurrentDictionary<Channel<string>, bool> listeners, Channel<string> channel) : IDisposable
    {
        public void Dispose() => listeners.TryRemove(channel, out _);
    }
}
