using McpAuth.Client;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace McpGuard.Sdk.Connection;

/// <summary>This guard's identity and its channel to the authorization server. Enrols once; afterwards the state directory is enough.</summary>
internal sealed partial class GuardConnection : IDisposable
{
    private readonly StateDirectory state;
    private readonly McpGuardOptions options;
    private readonly ConnectionOptions how;
    private readonly ILogger<GuardConnection> logger;
    private readonly SigningKey key;
    private readonly SemaphoreSlim gate = new(1);
    private GuardIdentity? identity;
    private GuardChannel? channel;

    public GuardConnection(StateDirectory state, IOptions<McpGuardOptions> options, TimeProvider time, ILogger<GuardConnection> logger)
    {
        (this.state, this.options, this.logger) = (state, options.Value, logger);
        how = new ConnectionOptions { Handler = this.options.Backchannel, Time = time };
        key = state.Key();
        if (state.Identity(this.options.AuthorizationServer, this.options.Resource) is { } known) Become(known);
    }

    /// <summary>What this guard proves itself with.</summary>
    public SigningKey Key => key;

    /// <summary>Null until enrolled.</summary>
    public string? GuardId => Volatile.Read(ref identity)?.GuardId;

    /// <summary>Null until enrolled.</summary>
    public ArgumentDigest? Digest { get; private set; }

    /// <summary>What decisions are made on, made unreadable for all but the server. Null until enrolled.</summary>
    public SealedRequest? Sealing { get; private set; }

    /// <summary>The same for what a person is to approve. Null until enrolled.</summary>
    public SealedRequest? Approvals { get; private set; }

    /// <summary>The key whose word on policies is taken, as it was told at enrolment; null until enrolled.</summary>
    public VerificationKey? PolicyKey { get; private set; }

    /// <summary>The channel, after enrolment if need be.</summary>
    public async ValueTask<GuardChannel> Channel(CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref channel) is { } open) return open;
        await gate.WaitAsync(cancellationToken);
        try
        {
            if (channel is not null) return channel;
            if (string.IsNullOrEmpty(options.EnrolmentSecret))
                throw new InvalidOperationException("This guard has not enrolled yet and was given no enrolment secret.");
            EnrollResponse enrolled = await GuardChannel.EnrollAsync(options.AuthorizationServer, options.Resource, options.EnrolmentSecret, key, how, cancellationToken);
            var fresh = new GuardIdentity(options.AuthorizationServer, options.Resource, enrolled.GuardId, enrolled.ArgsKey, enrolled.PolicyKey);
            // The secret works once: who we are is on the disk before anything else happens.
            state.Keep(fresh);
            Become(fresh);
            Log.Enrolled(logger, fresh.GuardId);
            return channel!;
        }
        finally
        {
            gate.Release();
        }
    }

    /// <summary>The server rotated the key of argument digests.</summary>
    public void Learn(ArgsKey argsKey)
    {
        if (identity is not { } known || known.ArgsKey == argsKey) return;
        GuardIdentity renewed = known with { ArgsKey = argsKey };
        state.Keep(renewed);
        identity = renewed;
        Use(argsKey);
    }

    private void Become(GuardIdentity who)
    {
        Use(who.ArgsKey);
        PolicyKey = VerificationKey.FromJwk(who.PolicyKey).TryGet(out VerificationKey? pinned, out Fault? fault)
            ? pinned : throw new InvalidDataException($"The server's key for policies cannot be used: {fault}");
        Volatile.Write(ref identity, who);
        Volatile.Write(ref channel, new GuardChannel(who.Issuer, who.GuardId, key, how));
    }

    private void Use(ArgsKey key) => (Digest, Sealing, Approvals) = (new ArgumentDigest(key), new SealedRequest(key), new SealedRequest(key, SealedRequest.ForApproval));

    public void Dispose()
    {
        channel?.Dispose();
        key.Dispose();
        gate.Dispose();
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Information, Message = "Enrolled as {GuardId}")]
        public static partial void Enrolled(ILogger logger, string guardId);
    }
}
