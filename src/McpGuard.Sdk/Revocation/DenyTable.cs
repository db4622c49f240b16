using System.Collections.Concurrent;
using McpAuth.Protocol;
using McpGuard.Sdk.Tokens;

namespace McpGuard.Sdk.Revocation;

/// <summary>
/// The ended and suspended subjects that a living token could still name. Identifiers of different kinds never collide (their prefixes
/// differ), so one table answers for all; should two ever be equal, both are denied. Reads take no lock. One writer: the feed.
/// </summary>
internal sealed class DenyTable(TimeProvider time, int capacity = 100_000)
{
    /// <summary>A little longer than the server says: the two clocks may differ.</summary>
    private static readonly long Slack = (long)(2 * Limits.ClockSkew).TotalMilliseconds;

    private readonly record struct Entry(long Until, long? Before);

    private ConcurrentDictionary<string, Entry> entries = new(StringComparer.Ordinal);

    /// <summary>Something did not fit: every token must be asked about until a new snapshot fits.</summary>
    public bool Overflowed { get; private set; }

    public int Count => entries.Count;

    /// <summary>Raised after something was denied that had not been.</summary>
    public event Action? Denied;

    public bool Denies(ValidatedToken token)
    {
        ConcurrentDictionary<string, Entry> now = Volatile.Read(ref entries);
        if (now.IsEmpty) return false;
        foreach (string name in token.Names)
        {
            // A before-time ends only what was issued up to it; a sign-in after that is not concerned.
            if (now.TryGetValue(name, out Entry entry) && (entry.Before is not { } before || token.IssuedAt <= before)) return true;
        }
        return false;
    }

    /// <summary>Replaces everything at once: no request sees a half-filled table.</summary>
    public void Load(IReadOnlyList<McpAuth.Protocol.Messages.Denied> snapshot)
    {
        var fresh = new ConcurrentDictionary<string, Entry>(StringComparer.Ordinal);
        bool overflowed = false;
        foreach (McpAuth.Protocol.Messages.Denied denied in snapshot)
        {
            if (fresh.Count >= capacity) overflowed = true;
            else Put(fresh, denied.Id, new Entry(denied.Until, denied.Before));
        }
        Volatile.Write(ref entries, fresh);
        Overflowed = overflowed;
        Denied?.Invoke();
    }

    public void Deny(string id, long until, long? before)
    {
        if (entries.Count >= capacity && !entries.ContainsKey(id))
        {
            Purge();
            if (entries.Count >= capacity)
            {
                Overflowed = true;
                return;
            }
        }
        Put(entries, id, new Entry(until, before));
        Denied?.Invoke();
    }

    public void Lift(string id) => entries.TryRemove(id, out _);

    /// <summary>Forgets what no token can name any more.</summary>
    public void Purge()
    {
        long now = time.GetUtcNow().ToUnixTimeMilliseconds();
        foreach (KeyValuePair<string, Entry> entry in entries)
        {
            if (entry.Value.Until + Slack < now) entries.TryRemove(entry);
        }
    }

    /// <summary>Two ends of one subject: the later expiry, and the wider of the two before-times (none = everything).</summary>
    private static void Put(ConcurrentDictionary<string, Entry> table, string id, Entry entry) =>
        table.AddOrUpdate(id, static (_, add) => add, static (_, old, add) => new Entry(
            Math.Max(old.Until, add.Until), old.Before is { } a && add.Before is { } b ? Math.Max(a, b) : null), entry);
}
