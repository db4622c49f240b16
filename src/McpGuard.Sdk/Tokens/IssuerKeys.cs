using System.Collections.Concurrent;
using System.Collections.Frozen;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using Microsoft.Extensions.Logging;

namespace McpGuard.Sdk.Tokens;

/// <summary>
/// The issuer's keys. An unknown key id asks the server again, at most every few seconds; when the server cannot answer, what is known
/// stays good until a limit, then nothing is verified any more. A key that the server revoked is never used again, whatever a key set says.
/// </summary>
internal sealed partial class IssuerKeys(
    Func<CancellationToken, Task<IReadOnlyList<VerificationKey>>> fetch, TimeProvider time, ILogger<IssuerKeys> logger) : IDisposable
{
    /// <summary>The code when no usable keys are at hand: 503, never an allowance.</summary>
    public const string Unavailable = "keys_unavailable";

    public static readonly TimeSpan RefreshAfter = Limits.KeySetAge, Limit = Limits.KeySetLimit, Pause = TimeSpan.FromSeconds(5);

    /// <summary>The pause while a key set is awaited that no longer has a revoked key: another node of the server may not have heard yet.</summary>
    public static readonly TimeSpan ShortPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan AskFor = TimeSpan.FromSeconds(3);

    private sealed record KeySet(FrozenDictionary<string, VerificationKey> ById, long FetchedAt);

    private readonly SemaphoreSlim gate = new(1);
    private readonly Lock swapping = new();
    private readonly ConcurrentDictionary<string, bool> revoked = new(StringComparer.Ordinal);
    private KeySet? current;
    private TaskCompletionSource lost = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long lastAttempt;
    private bool attempted;
    private volatile bool outdated; // the set that was last fetched is from before a revocation

    /// <summary>Raised when a key went away: whatever was verified with it must be verified again.</summary>
    public event Action? Removed;

    /// <summary>False once what is known is older than <see cref="Limit"/>, or all of it was revoked: cached verdicts may not be used either.</summary>
    public bool Usable => Volatile.Read(ref current) is { } set && IsUsable(set);

    /// <summary>How long until the server should be asked again; <see cref="Lost"/> ends the wait.</summary>
    public TimeSpan Due => outdated ? ShortPause : Usable ? RefreshAfter : Pause;

    /// <summary>Completes when the server revokes a key.</summary>
    public Task Lost => Volatile.Read(ref lost).Task;

    /// <param name="insist">The server itself named the key: it is asked for however short ago it was asked.</param>
    public async ValueTask<Result<VerificationKey>> Find(string kid, CancellationToken cancellationToken, bool insist = false)
    {
        if (Known(kid) is { } known) return known;
        if (!revoked.ContainsKey(kid))
        {
            await Refresh(cancellationToken, insist);
            if (Known(kid) is { } fetched) return fetched;
        }
        return revoked.ContainsKey(kid) ? new Fault(Names.Reasons.KeyRevoked, "The key that signed the token was revoked.")
            : Usable ? new Fault("unknown_key", "The token names a key the issuer does not have.")
            : new Fault(Unavailable, "The issuer's keys are not available.");
    }

    /// <summary>The server revoked it. It is forgotten at once, and a set without it is fetched.</summary>
    public void Revoke(string kid)
    {
        if (!revoked.TryAdd(kid, true)) return;
        lock (swapping)
        {
            outdated = true;
            if (current is { } set) Volatile.Write(ref current, set with { ById = Trusted(set.ById.Values) });
        }
        Removed?.Invoke();
        Interlocked.Exchange(ref lost, new(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
        Log.Revoked(logger, kid);
    }

    /// <summary>Asks the server, unless it was asked just now. Failures are logged and change nothing.</summary>
    public async Task Refresh(CancellationToken cancellationToken, bool insist = false)
    {
        await gate.WaitAsync(cancellationToken);
        try
        {
            // Tokens with invented key ids must not turn into requests to the server.
            if (!insist && attempted && time.GetElapsedTime(lastAttempt) < (outdated ? ShortPause : Pause)) return;
            (attempted, lastAttempt) = (true, time.GetTimestamp());
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(AskFor);
            IReadOnlyList<VerificationKey> keys = await fetch(limit.Token);
            if (!keys.Any(k => k.KeyId is not null))
            {
                Log.NoKeys(logger);
                return;
            }
            if (Replace(keys)) Removed?.Invoke();
        }
        catch (Exception e) when (e is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            Log.NotFetched(logger, e.Message);
        }
        finally
        {
            gate.Release();
        }
    }

    private bool IsUsable(KeySet set) => set.ById.Count > 0 && time.GetElapsedTime(set.FetchedAt) <= Limit;

    private VerificationKey? Known(string kid) => Volatile.Read(ref current) is { } set && IsUsable(set) ? set.ById.GetValueOrDefault(kid) : null;

    /// <summary>Whether a key that was known is not among them, or not the same.</summary>
    private bool Replace(IReadOnlyList<VerificationKey> keys)
    {
        // A revocation comes either before, and is looked at here, or after, and finds this set in place.
        lock (swapping)
        {
            FrozenDictionary<string, VerificationKey> byId = Trusted(keys);
            KeySet? before = current;
            Volatile.Write(ref current, new KeySet(byId, lastAttempt));
            outdated = keys.Any(k => k.KeyId is { } kid && revoked.ContainsKey(kid));
            return before is not null && before.ById.Any(old => !byId.TryGetValue(old.Key, out VerificationKey? same) || same.Thumbprint != old.Value.Thumbprint);
        }
    }

    private FrozenDictionary<string, VerificationKey> Trusted(IEnumerable<VerificationKey> keys) =>
        keys.Where(k => k.KeyId is { } kid && !revoked.ContainsKey(kid)).ToFrozenDictionary(k => k.KeyId!, StringComparer.Ordinal);

    public void Dispose() => gate.Dispose();

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "The issuer's keys could not be fetched: {Reason}")]
        public static partial void NotFetched(ILogger logger, string reason);

        [LoggerMessage(Level = LogLevel.Warning, Message = "The issuer published no usable key; the known ones stay")]
        public static partial void NoKeys(ILogger logger);

        [LoggerMessage(Level = LogLevel.Warning, Message = "The issuer revoked its signing key {Kid}: whatever it signed is refused")]
        public static partial void Revoked(ILogger logger, string kid);
    }
}
