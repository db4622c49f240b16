using System.Net;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;

namespace McpAuth.Client;

/// <summary>
/// Puts a token and a fresh proof of its key on every request to one resource (RFC 9449 §7.1). A request to any other origin
/// goes out without them. A refusal is handed back as it is: only a nonce that the resource asks for is answered, once.
/// </summary>
public sealed class DpopHandler : DelegatingHandler
{
    private readonly DpopNonces nonces = new();
    private readonly SigningKey key;
    private readonly Uri resource;
    private readonly Func<CancellationToken, ValueTask<AccessToken>> token;
    private readonly Action<AccessToken>? refused;
    private readonly TimeProvider time;

    /// <param name="key">The key the token is bound to; it stays the caller's.</param>
    /// <param name="resource">Where the token may be sent: https, or http on loopback.</param>
    /// <param name="token">Asked before every request; it caches and renews.</param>
    /// <param name="refused">Told when the resource did not take a token, so that it is not offered again.</param>
    /// <param name="inner">Sends the request; null = a handler of its own, without redirects and cookies.</param>
    public DpopHandler(
        SigningKey key, Uri resource, Func<CancellationToken, ValueTask<AccessToken>> token, Action<AccessToken>? refused = null,
        HttpMessageHandler? inner = null, TimeProvider? time = null)
        : base(inner ?? ServerAddress.Handler(resource))
    {
        if (!resource.IsAbsoluteUri || !ServerAddress.MayCarryCredentials(resource))
            throw new ArgumentException("The resource must be an https address (http only on loopback).", nameof(resource));
        (this.key, this.resource, this.token, this.refused, this.time) = (key, resource, token, refused, time ?? TimeProvider.System);
    }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        Uri uri = request.RequestUri ?? throw new InvalidOperationException("The request has no address.");
        if (!ServerAddress.SameOrigin(uri, resource)) return await base.SendAsync(request, cancellationToken);

        // The body may have to be sent a second time.
        if (request.Content is not null) await request.Content.LoadIntoBufferAsync(cancellationToken);

        AccessToken presented = await token(cancellationToken);
        string? nonce = nonces.For(uri);
        Prove(request, uri, presented, nonce);
        HttpResponseMessage response = await base.SendAsync(request, cancellationToken);
        bool newNonce = nonces.Learn(uri, response.Headers, nonce);
        if (response.StatusCode != HttpStatusCode.Unauthorized) return response;

        string? error = Challenge.Error(response.Headers);
        if (error == Names.Dpop.UseNonce && newNonce)
        {
            response.Dispose();
            Prove(request, uri, presented, nonces.For(uri)); // RFC 9449 §9: a new proof, with the nonce
            response = await base.SendAsync(request, cancellationToken);
            nonces.Learn(uri, response.Headers, null);
            error = response.StatusCode == HttpStatusCode.Unauthorized ? Challenge.Error(response.Headers) : null;
        }
        if (error == Names.Errors.InvalidToken) refused?.Invoke(presented);
        return response;
    }

    private void Prove(HttpRequestMessage request, Uri uri, AccessToken presented, string? nonce)
    {
        request.Headers.Authorization = new(Names.Dpop.Scheme, presented.Value);
        request.Headers.Remove(Names.Dpop.Header);
        request.Headers.Add(Names.Dpop.Header, DpopProof.Create(key, request.Method.Method, uri, presented.Value, time.GetUtcNow(), nonce));
    }
}
