using McpAuth.Protocol;

namespace McpAuthServer.Clients.Documents;

/// <summary>
/// Asks for each address once at a time, whoever waits for it; remembers what came for as long as it is fresh, and that nothing came for a short
/// while, so that nobody can have one address asked over and over. A failure is never remembered as a value. Bounded.
/// </summary>
/// <param name="load">Asks, and says how long the answer is fresh. The flag: whether people use it already.</param>
internal sealed class FetchOnce<T>(Func<Uri, bool, Task<Result<(T Value, TimeSpan FreshFor)>>> load, TimeProvider time) where T : class
{
    /// <summary>How long an address is left alone after it failed.</summary>
    public static readonly TimeSpan BackOff = TimeSpan.FromSeconds(30);

    public const int Most = 1000;

    /// <summary>How many addresses it remembers something of.</summary>
    public int Remembered
    {
        get
        {
            lock (gate)
                return seen.Count;
        }
    }

    private readonly Lock gate = new();
    private readonly Dictionary<string, Task<Result<Fetched<T>>>> running = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (Result<Fetched<T>> Outcome, DateTimeOffset Until)> seen = new(StringComparer.Ordinal);

    /// <param name="isKnown">Whether somebody has allowed what is behind it something.</param>
    /// <param name="notBefore">Older than this it is asked for again; but not within <see cref="BackOff"/> of the last time.</param>
    public Task<Result<Fetched<T>>> GetAsync(Uri url, bool isKnown, DateTimeOffset? notBefore = null)
    {
        var (key, now) = (url.AbsoluteUri, time.GetUtcNow());
        lock (gate)
        {
            if (running.TryGetValue(key, out var task))
                return task;
            if (seen.TryGetValue(key, out var last) && last.Until > now
                && (!last.Outcome.TryGet(out var fetched, out _) || !(fetched.At < notBefore) || fetched.At + BackOff > now))
                return Task.FromResult(last.Outcome);
            return running[key] = LoadAsync(key, url, isKnown);
        }
    }

    private async Task<Result<Fetched<T>>> LoadAsync(string key, Uri url, bool isKnown)
    {
        // Nothing of it runs under the lock.
        await Task.Yield();
        try
        {
            var outcome = await load(url, isKnown);
            var now = time.GetUtcNow();
            var result = outcome.TryGet(out var loaded, out var fault) ? new Fetched<T>(loaded.Value, now, now + loaded.FreshFor) : (Result<Fetched<T>>)fault;
            // That this server has too much to do says nothing of the address.
            if (fault?.Code == FetchFaults.Busy)
                return result;
            lock (gate)
            {
                if (seen.Count >= Most)
                    MakeRoom(now);
                seen[key] = (result, result.Ok ? result.Value.FreshUntil : now + BackOff);
            }
            return result;
        }
        finally
        {
            lock (gate)
                running.Remove(key);
        }
    }

    /// <summary>What is over goes first; when nothing is, all: that costs questions and nothing else.</summary>
    private void MakeRoom(DateTimeOffset now)
    {
        foreach (var (key, _) in seen.Where(entry => entry.Value.Until <= now).ToList())
            seen.Remove(key);
        if (seen.Count >= Most)
            seen.Clear();
    }
}

/// <summary>Something of another party's, when it was fetched and until when it is fresh.</summary>
internal sealed record Fetched<T>(T Value, DateTimeOffset At, DateTimeOffset FreshUntil);
