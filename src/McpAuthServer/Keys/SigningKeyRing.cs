using System.Data.Common;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuthServer.Storage;

namespace McpAuthServer.Keys;

/// <summary>
/// The signing keys in memory: one volatile read, no lock. A poll of their version makes other processes' changes seen within 250 ms. What was not
/// confirmed for <see cref="Confirmed"/> is not trusted to verify with: a node that cannot hear of a revoked key takes nothing until it can.
/// </summary>
internal sealed partial class SigningKeyRing : BackgroundService
{
    public static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(200), Confirmed = Limits.RevocationBound;

    private readonly SigningKeyReader reader;
    private readonly TimeProvider time;
    private readonly ILogger<SigningKeyRing> logger;
    private readonly SharedRead look;
    private volatile ServerKeys? current;
    private long confirmedAt; // the clock's timestamp when the last look that succeeded began

    public SigningKeyRing(SigningKeyReader reader, TimeProvider time, ILogger<SigningKeyRing> logger)
    {
        (this.reader, this.time, this.logger) = (reader, time, logger);
        look = new SharedRead(ReadAsync);
    }

    /// <exception cref="InvalidOperationException">Nobody has looked yet.</exception>
    public ServerKeys Current => current ?? throw new InvalidOperationException("The signing keys are not loaded.");

    private bool IsConfirmed => current is not null && time.GetElapsedTime(Volatile.Read(ref confirmedAt)) <= Confirmed;

    /// <summary>
    /// The key to verify with, or null. One that is unknown here may have been made on another node just now, so the database is asked before it is
    /// called unknown: two nodes never disagree on a token. However many ask, one asks the database at a time.
    /// </summary>
    /// <exception cref="DbException">The keys are not confirmed, and the database does not answer.</exception>
    public async ValueTask<VerificationKey?> FindAsync(string? kid, CancellationToken cancel)
    {
        if (kid is null)
            return null;
        if (IsConfirmed)
        {
            var keys = Current;
            if (keys.Find(kid) is { } known)
                return known;
            if (keys.IsRevoked(kid))
                return null;
        }
        await LookAsync(cancel);
        return Current.Find(kid);
    }

    /// <summary>When it completes, everything that was committed before the call is in <see cref="Current"/>.</summary>
    /// <exception cref="DbException">The database does not answer; what was known stays.</exception>
    /// <exception cref="SigningKeyException">A key cannot be read; what was known stays.</exception>
    public Task LookAsync(CancellationToken cancel) => look.BeginAsync(cancel);

    public override void Dispose()
    {
        base.Dispose();
        look.Dispose();
        current?.Active.Dispose();
        current?.Next?.Key.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Poll, time);
        do
        {
            try
            {
                await LookAsync(stoppingToken);
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                Log.NotConfirmed(logger, e);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private async Task ReadAsync()
    {
        var started = time.GetTimestamp();
        if (current?.Version != await reader.VersionAsync(CancellationToken.None))
            current = await reader.LoadAsync(current, CancellationToken.None);
        Volatile.Write(ref confirmedAt, started);
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "The signing keys could not be confirmed; no token is taken until they are.")]
        public static partial void NotConfirmed(ILogger logger, Exception e);
    }
}
