using McpAuth.Protocol;
using McpAuthServer.Storage;

namespace McpAuthServer.Keys;

/// <summary>Changes the signing keys. What another node did first is not done again, and either way this node has seen it when a call returns.</summary>
internal sealed class SigningKeys(ICommitLog log, SigningKeyRing ring, KeyEncryption encryption, ServerOptions options, TimeProvider time)
{
    /// <summary>
    /// How long a retired key still verifies: the longest-lived token is an instance's. Twice the skew, because the node that signed last may have heard
    /// of the change late, by a clock of its own.
    /// </summary>
    public static readonly TimeSpan Retention = Limits.Instance + 2 * Limits.ClockSkew;

    /// <summary>The first key of a new installation; then what there is is loaded.</summary>
    /// <exception cref="SigningKeyException">A key is missing, cannot be unwrapped or cannot be read.</exception>
    public async Task LoadOrCreateAsync(CancellationToken cancel)
    {
        await log.Commit(new CreateFirstKey(Make(), At(KeyOccasion.Start)));
        await ring.LookAsync(cancel);
    }

    /// <summary>
    /// What the schedule asks for now, one step at a time: a node that was down for long publishes first, and waits as everybody does before the key signs.
    /// </summary>
    public async Task TurnAsync(CancellationToken cancel)
    {
        await ring.LookAsync(cancel);
        var (keys, at) = (ring.Current, At(KeyOccasion.Schedule));
        foreach (var retired in keys.Retired.Where(k => k.Since + Retention <= at.Now))
            await log.Commit(new RemoveRetiredKey(retired.Key.Thumbprint, at));
        if (keys.Next is not null)
            await ActivateDueAsync(keys, at);
        else if (keys.ActiveFrom + options.KeyRotation - options.KeyPublishedAhead <= at.Now)
            await PublishAsync(keys, at);
        await ring.LookAsync(cancel);
    }

    /// <summary>Rotates before its time: the next key is published now, and signs as soon as it has been published for long enough.</summary>
    public async Task<ServerKeys> RotateAsync(CancellationToken cancel)
    {
        await ring.LookAsync(cancel);
        var (keys, at) = (ring.Current, At(KeyOccasion.Operator));
        if (keys.Next is not null)
            await ActivateDueAsync(keys, at);
        else
            await PublishAsync(keys, at);
        await ring.LookAsync(cancel);
        return ring.Current;
    }

    /// <summary>Emergency. Reads no key, so that one that is damaged can be revoked too.</summary>
    public async Task<KeyRevocation> RevokeAsync(string kid) => await log.Commit(new RevokeKey(kid, Make(), At(KeyOccasion.Operator)));

    private Task<bool> PublishAsync(ServerKeys keys, KeyOccasion at) =>
        log.Commit(new PublishNextKey(Make(), keys.Active.KeyId, at.Now + options.KeyPublishedAhead, at));

    private async Task ActivateDueAsync(ServerKeys keys, KeyOccasion at)
    {
        if (keys.Next is { } next && next.From <= at.Now)
            await log.Commit(new ActivateNextKey(next.Key.KeyId, keys.Active.KeyId, SigningKeyRow.Wrap(keys.Active.Public, encryption), at));
    }

    private NewSigningKey Make() => NewSigningKey.Make(options.SigningAlgorithm, encryption);

    private KeyOccasion At(string by) => new(time.GetUtcNow(), options.Node, by);
}
