using McpAuth.Client;
using McpAuth.Protocol;
using McpGuard.Sdk.Connection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace McpGuard.Sdk.Policy;

/// <summary>
/// The policies in force: fetched when the manifest's number moves and before they age, verified by the pinned key, never older than the newest ever seen, kept on the
/// disk. Reading them is one volatile read; a new release replaces the old one without a call noticing.
/// </summary>
internal sealed partial class PolicySource(GuardConnection connection, StateDirectory state, IOptions<McpGuardOptions> options, TimeProvider time, ILogger<PolicySource> logger)
{
    private static readonly TimeSpan AskFor = TimeSpan.FromSeconds(5);

    private PolicySnapshot? current;
    private string? tag, problem = NotAsked;

    /// <summary>The server has not been asked yet: it does not know the tools.</summary>
    public const string NotAsked = "manifest_unknown";

    public const string Missing = "policy_missing", Corrupt = "policy_corrupt", RolledBack = "policy_rolled_back", Expired = "policy_expired", Unavailable = "policy_unavailable";

    /// <summary>What decides; null with the reason why nothing may be decided.</summary>
    public (PolicySnapshot? Snapshot, string? Problem) Current
    {
        get
        {
            if (Volatile.Read(ref problem) is { } known) return (null, known);
            PolicySnapshot snapshot = Volatile.Read(ref current)!;
            return snapshot.ExpiresAt + Limits.ClockSkew <= time.GetUtcNow() ? (null, Expired) : (snapshot, null);
        }
    }

    /// <summary>How long what is held need not be asked for again.</summary>
    public TimeSpan Due
    {
        get
        {
            if (Volatile.Read(ref current) is not { } held) return TimeSpan.Zero;
            TimeSpan left = held.IssuedAt + (held.ExpiresAt - held.IssuedAt) / 2 - time.GetUtcNow();
            return left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }
    }

    /// <summary>Asks the server; afterwards <see cref="Current"/> is what holds up to this manifest.</summary>
    /// <exception cref="InvalidDataException">What came is not to be believed; nothing is decided until something better comes.</exception>
    public async Task Refresh(long manifest, CancellationToken cancellationToken)
    {
        try
        {
            Load();
            GuardChannel channel = await connection.Channel(cancellationToken);
            // What is half its age is asked for anew, with a new end.
            string? seen = Due > TimeSpan.Zero ? tag : null;
            if (await channel.Policy(seen, cancellationToken).WaitAsync(AskFor, time, cancellationToken) is not ({ } response, var fresh))
            {
                Volatile.Write(ref problem, null);
                return;
            }
            if (!PolicySnapshot.Read(response, connection.PolicyKey!, options.Value.AuthorizationServer, options.Value.Resource).TryGet(out PolicySnapshot? snapshot, out Fault? fault))
                throw Refuse(Corrupt, fault.ToString());
            if (Volatile.Read(ref current) is { } held && snapshot.Version < held.Version) throw Refuse(RolledBack, $"version {snapshot.Version} came after {held.Version}");
            if (snapshot.Manifest < manifest) throw Refuse(Unavailable, "the server's answer is older than its word on the manifest");
            state.Keep(response);
            bool other = Volatile.Read(ref current)?.Hash != snapshot.Hash;
            Volatile.Write(ref current, snapshot);
            Volatile.Write(ref problem, null);
            tag = fresh;
            if (other) Log.Loaded(logger, snapshot.Version, snapshot.Policies is null ? "no policies" : snapshot.Hash);
        }
        catch (Exception e) when (e is not InvalidDataException && !cancellationToken.IsCancellationRequested)
        {
            // What is held may no longer be what holds: whoever asked knows that something changed.
            Volatile.Write(ref problem, Volatile.Read(ref current) is null ? Missing : Unavailable);
            throw;
        }
    }

    /// <summary>What was kept when the guard last ran: so that it does not go back behind it.</summary>
    private void Load()
    {
        if (Volatile.Read(ref current) is not null || connection.PolicyKey is not { } key || state.Policy() is not { } kept) return;
        if (PolicySnapshot.Read(kept, key, options.Value.AuthorizationServer, options.Value.Resource).TryGet(out PolicySnapshot? snapshot, out Fault? fault)) Volatile.Write(ref current, snapshot);
        else Log.NotKept(logger, fault);
    }

    private InvalidDataException Refuse(string what, string why)
    {
        Volatile.Write(ref problem, what);
        Log.Refused(logger, what, why);
        return new InvalidDataException($"{what}: {why}");
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Information, Message = "Policies, release {Version}: {What}")]
        public static partial void Loaded(ILogger logger, long version, string what);

        [LoggerMessage(Level = LogLevel.Error, Message = "The policies that came are not used, and every call is denied ({Problem}): {Why}")]
        public static partial void Refused(ILogger logger, string problem, string why);

        [LoggerMessage(Level = LogLevel.Warning, Message = "The policies that were kept cannot be used: {Fault}")]
        public static partial void NotKept(ILogger logger, Fault fault);
    }
}
