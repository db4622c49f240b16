using McpAuth.Client;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpGuard.Sdk.Downstream;

namespace McpGuard.Sdk;

/// <summary>
/// A token of this guard's own at another tool server. It is of use to nobody without the guard's key, so it is not shown: it goes onto requests.
/// </summary>
public sealed class DownstreamToken
{
    private readonly AccessToken token;
    private readonly DownstreamAddress address;
    private readonly SigningKey key;
    private readonly TimeProvider time;

    internal DownstreamToken(string resource, AccessToken token, string jti, SigningKey key, TimeProvider time)
    {
        (Resource, this.token, Jti, this.key, this.time) = (resource, token, jti, key, time);
        address = new DownstreamAddress(resource);
    }

    /// <summary>The only place it may be sent to.</summary>
    public string Resource { get; }

    /// <summary>With the token that the call came with, at the latest.</summary>
    public DateTimeOffset ExpiresAt => token.ExpiresAt;

    internal string Jti { get; }

    // As an agent renews its own: half a minute ahead, or a fifth of a short life.
    internal bool Aged
    {
        get
        {
            TimeSpan margin = (token.ExpiresAt - token.IssuedAt) / 5, longest = TimeSpan.FromSeconds(30);
            return time.GetUtcNow() >= token.ExpiresAt - (margin < longest ? margin : longest);
        }
    }

    /// <summary>Puts the token and a fresh proof of its key on one request (RFC 9449 §7.1); once more for every time it is sent.</summary>
    /// <param name="nonce">What the resource asked for in <c>DPoP-Nonce</c>.</param>
    /// <exception cref="ArgumentException">The request goes anywhere but to <see cref="Resource"/> or below it.</exception>
    public void Prove(HttpRequestMessage request, string? nonce = null)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (request.RequestUri is not { IsAbsoluteUri: true } uri || !address.Covers(uri)) throw new ArgumentException($"The token is for {Resource} alone.", nameof(request));
        request.Headers.Authorization = new(Names.Dpop.Scheme, token.Value);
        request.Headers.Remove(Names.Dpop.Header);
        request.Headers.Add(Names.Dpop.Header, DpopProof.Create(key, request.Method.Method, uri, token.Value, time.GetUtcNow(), nonce));
    }

    public override string ToString() => $"token for {Resource} until {ExpiresAt:O}";
}
