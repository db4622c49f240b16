using System.Text.Json;

namespace McpGuard.Sdk;

/// <summary>
/// Tokens for what a tool does at another tool server while it runs: for the person, agent and task of the call, as far as an edge of the registry leads from
/// the tool. The token that the call came with never goes there. To be injected into tools, or used through <see cref="DownstreamHandler"/>; thread-safe.
/// </summary>
/// <remarks>
/// Every method but <see cref="Refused"/> throws <see cref="InvalidOperationException"/> when no guarded tool call is running here,
/// <see cref="DownstreamRefusedException"/> when the authorization server refuses, and <see cref="HttpRequestException"/> when it cannot be asked.
/// </remarks>
public interface IDownstreamTokens
{
    /// <summary>A token for tools of another tool server: kept for the calls that come with the same token, and exchanged once for all that ask at the same time.</summary>
    /// <param name="resource">The other tool server's resource identifier, exactly.</param>
    /// <param name="tools">Which of the tools the edge leads to; null = all of them.</param>
    ValueTask<DownstreamToken> GetAsync(string resource, IReadOnlyCollection<string>? tools = null, CancellationToken cancellationToken = default);

    /// <summary>The same, for <c>authorization_details</c> (RFC 9396) that say what is wanted there, arguments included.</summary>
    ValueTask<DownstreamToken> GetAsync(string resource, JsonElement authorizationDetails, CancellationToken cancellationToken = default);

    /// <summary>Forgets a token that the other tool server did not take, so that the next one is exchanged anew.</summary>
    void Refused(DownstreamToken token);
}
