using System.Collections.Frozen;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using Microsoft.Extensions.Logging;

namespace McpGuard.Sdk.Tokens;

/// <summary>
/// The issuer's keys. An unknown key id asks the server again, at most every few seconds; when the server cannot answer, what is known
/// stays good until a limit, then nothing is verified any more.
/// </summary>
internal sealed partial class IssuerKeys(
    Func<CancellationToken, Task<IReadOnlyList<VerificationKey>>> fetch, TimeProvider time, ILogger<IssuerKeys> logger) : IDisposable
{
    /// <summary>The code when no usable keys are at hand: 503, never an allowance.</summary>
    public const string Unavailable = "keys_unavailable";

    public static readonly TimeSpan RefreshAfter = TimeSpan.FromMinutes(5), Limit = TimeSpan.FromHours(1), Pause = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan AskFor = TimeSpan.FromSeconds(3);

    private sealed record KeySet(FrozenDictionary<string, VerificationKey> ById, long FetchedAt);

    private readonly SemaphoreSlim gate = new(1);
    private KeySet? current;
    private long lastAttempt;
    private bool attempted;

    /// <summary>Raised when a key went away: whatever was verified with it must be verified again.</summary>
    public event Action? Removed;

    /// <summary>False once what is known is older than <see cref="Limit"/>: cached verdicts may not be used either.</summary>
    public bool Usable => Volatile.Read(ref current) is { } set && time.GetElapsedTime(set.FetchedAt) <= Limit;

    public async ValueTask<Result<VerificationKey>> Find(string kid, CancellationToken cancellationToken)
    {
        if (Usable && current!.ById.TryGetValue(kid, out VerificationKey? key)) return key;
        await Refresh(cancellationToken);
        if (!Usable) return new Fault(Unavailable, "The issuer's keys are not available.");
        return current!.ById.TryGetValue(kid, out key) ? key : new Fault("unknown_key", "The token names a key the issuer does not have.");
    }

    /// <summary>Asks the server, unless it was asked just now. Failures are logged and change nothing.</summary>
    public async Task Refresh(CancellationToken cancellationToken)
    {
        await gate.WaitAsync(cancellationToken);
        try
        {
            // Tokens with invented key ids must not turn into requests to the server.
            if (attempted && time.GetElapsedTime(lastAttempt) < Pause) return;
            (attempted, lastAttempt) = (true, time.GetTimestamp());
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(AskFor);
            IReadOnlyList<VerificationKey> keys = await fetch(limit.Token);
            FrozenDictionary<string, VerificationKey> byId = keys.Where(k => k.KeyId is not null).ToFrozenDictionary(k => k.KeyId!, StringComparer.Ordinal);
            if (byId.Count == 0)
            {
                Log.NoKeys(logger);
                return;
            }
            KeySet? before = current;
            Volatile.Write(ref current, new KeySet(byId, lastAttempt));
            if (before is not null && before.ById.Any(old => !byId.TryGetValue(old.Key, out VerificationKey? same) || same.Thumbprint != old.Value.Thumbprint))
                Removed?.Invoke();
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

    public void Dispose() => gate.Dispose();

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "The issuer's keys could not be fetched: {Reason}")]
        public static partial void NotFetched(ILogger logger, string reason);

        [LoggerMessage(Level = LogLevel.Warning, Message = "The issuer published no usable key; the known ones stay")]
        public static partial void NoKeys(ILogger logger);
    }
}
