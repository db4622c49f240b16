using System.Collections.Concurrent;

namespace McpAuthServer.Storage;

/// <summary>
/// Immutable facts that were read once, by id. Bounded: when it is full it starts over, which costs reads and nothing else. Never for states.
/// </summary>
internal sealed class Remembered<T>(int most = 50_000) where T : class
{
    private readonly ConcurrentDictionary<string, T> known = new(StringComparer.Ordinal);

    public T? Find(string id) => known.GetValueOrDefault(id);

    public T Add(string id, T value)
    {
        if (known.Count >= most)
            known.Clear();
        return known[id] = value;
    }
}
