namespace McpGuard.Sdk;

/// <summary>
/// Decides a call that the token's authority already admitted; it can only narrow. An exception, or no answer within a second, denies.
/// Called concurrently.
/// </summary>
public abstract class CallPolicy
{
    /// <returns><see cref="PolicyVerdict.Allow"/> or <see cref="PolicyVerdict.Deny"/>; null denies.</returns>
    public abstract ValueTask<PolicyVerdict> Decide(CallContext call, CancellationToken cancellationToken);
}
