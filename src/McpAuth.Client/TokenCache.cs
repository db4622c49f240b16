namespace McpAuth.Client;

/// <summary>One token, fetched by one caller at a time and renewed shortly before it expires.</summary>
internal sealed class TokenCache(TimeProvider time, Func<AccessToken?, CancellationToken, Task<AccessToken>> fetch) : IDisposable
{
    private readonly SemaphoreSlim gate = new(1);
    private AccessToken? current;

    public async ValueTask<AccessToken> Get(CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref current) is { } known && !known.NearExpiry(time.GetUtcNow())) return known;
        await gate.WaitAsync(cancellationToken);
        try
        {
            AccessToken? old = current;
            if (old is not null && !old.NearExpiry(time.GetUtcNow())) return old;
            try
            {
                AccessToken fresh = await fetch(old, cancellationToken);
                Volatile.Write(ref current, fresh);
                return fresh;
            }
            catch (Exception e) when (e is HttpRequestException or EvidenceException && old is not null && time.GetUtcNow() < old.ExpiresAt)
            {
                // The server or the platform cannot be reached just now; what is left of the token is still good. A refusal is not caught here.
                return old;
            }
        }
        finally
        {
            gate.Release();
        }
    }

    /// <summary>Fetches the next one though the one there is has time left, unless it was just fetched by somebody else. A failure leaves it in place.</summary>
    public async Task Renew(CancellationToken cancellationToken)
    {
        AccessToken? known = Volatile.Read(ref current);
        await gate.WaitAsync(cancellationToken);
        try
        {
            if (current is null || ReferenceEquals(current, known)) Volatile.Write(ref current, await fetch(known, cancellationToken));
        }
        finally
        {
            gate.Release();
        }
    }

    /// <summary>Forgets a token that was refused, unless another took its place meanwhile.</summary>
    public void Drop(AccessToken refused) => Interlocked.CompareExchange(ref current, null, refused);

    public void Set(AccessToken token) => Volatile.Write(ref current, token);

    public void Dispose() => gate.Dispose();
}
