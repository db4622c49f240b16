namespace McpGuard.Sdk;

/// <summary>The authorization server gives a tool no token for another tool server. Asking again helps only where the reason says so.</summary>
public sealed class DownstreamRefusedException : Exception
{
    internal DownstreamRefusedException(string resource, string reason, Exception? inner = null)
        : base($"No token for {resource}: {reason}.", inner) => (Resource, Reason) = (resource, reason);

    /// <summary>The other tool server.</summary>
    public string Resource { get; }

    /// <summary>
    /// Why, in one stable word: <c>no_edge</c>, <c>revoked</c>, <c>task_ended</c>, <c>agent_suspended</c>…, or the error of OAuth: <c>invalid_target</c> where the task is
    /// not for that tool server, <c>invalid_scope</c> and <c>invalid_authorization_details</c> where it is not for what was asked.
    /// </summary>
    public string Reason { get; }
}
