using System.Net;
using McpAuth.Protocol;
using McpGuard.Sdk.Downstream;

namespace McpGuard.Sdk;

/// <summary>
/// Puts a token of the running call's own on every request to one other tool server, with a fresh proof for each (RFC 9449 §7.1). What goes anywhere else, to
/// another host or beside the resource's path, goes as it is. A refusal (401) is answered with the nonce that was asked for, and once with a new token.
/// </summary>
/// <remarks>
/// The body is kept in memory, because it may have to be sent again. Whatever sends the requests must not follow redirects by itself:
/// <c>AddMcpDownstreamTokens</c> sees to that.
/// </remarks>
public sealed class DownstreamHandler : DelegatingHandler
{
    private const int LongestNonce = 256;
    private readonly IDownstreamTokens tokens;
    private readonly string resource;
    private readonly IReadOnlyCollection<string>? tools;
    private readonly DownstreamAddress address;
    private string? nonce;

    /// <param name="resource">The other tool server's resource identifier, exactly: https, or http on loopback.</param>
    /// <param name="tools">Which of the tools the edge leads to; null = all of them.</param>
    public DownstreamHandler(IDownstreamTokens tokens, string resource, IReadOnlyCollection<string>? tools = null)
    {
        ArgumentNullException.ThrowIfNull(tokens);
        (this.tokens, this.resource, this.tools, address) = (tokens, resource, tools, new DownstreamAddress(resource));
    }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (request.RequestUri is null || !address.Covers(request.RequestUri)) return await base.SendAsync(request, cancellationToken);
        if (request.Content is not null) await request.Content.LoadIntoBufferAsync(cancellationToken);

        DownstreamToken token = await tokens.GetAsync(resource, tools, cancellationToken);
        bool withNonce = false, again = false;
        while (true)
        {
            string? used = Volatile.Read(ref nonce);
            token.Prove(request, used);
            HttpResponseMessage response = await base.SendAsync(request, cancellationToken);
            bool asked = Learn(response, used);
            if (response.StatusCode != HttpStatusCode.Unauthorized) return response;
            bool nonceOnly = asked && !withNonce;
            if (!nonceOnly && again) return response;
            response.Dispose();
            if (nonceOnly)
            {
                withNonce = true; // RFC 9449 §9: a new proof, with the nonce
                continue;
            }
            (again, withNonce) = (true, false);
            tokens.Refused(token);
            token = await tokens.GetAsync(resource, tools, cancellationToken);
        }
    }

    /// <exception cref="NotSupportedException">Always: an exchange cannot be waited for without blocking a thread.</exception>
    protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken) =>
        throw new NotSupportedException("Use SendAsync: tokens are exchanged asynchronously.");

    /// <summary>True when the answer brought a nonce other than the one that was used.</summary>
    private bool Learn(HttpResponseMessage response, string? used)
    {
        if (!response.Headers.TryGetValues(Names.Dpop.Nonce, out IEnumerable<string>? values) || values.ToArray() is not [{ Length: > 0 and <= LongestNonce } fresh]) return false;
        Volatile.Write(ref nonce, fresh);
        return fresh != used;
    }
}
