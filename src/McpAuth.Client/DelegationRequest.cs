using System.Security.Cryptography;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;

namespace McpAuth.Client;

/// <summary>
/// One question to one person: may this agent do this task for them? Made by <see cref="AgentSession.AskPerson(Uri, string, System.Text.Json.JsonElement, DateTimeOffset?, CancellationToken)"/>,
/// good for one answer. Its secrets never leave it but to the server.
/// </summary>
public sealed class DelegationRequest
{
    private readonly AgentSession session;
    private readonly Uri redirectUri;
    private readonly string purpose;
    // RFC 7636 §4.1, §7.1: 256 random bits, 43 characters. The state is as hard to guess (RFC 6749 §10.10).
    private readonly string verifier = Base64Url.Encode(RandomNumberGenerator.GetBytes(32));
    private readonly string state = Base64Url.Encode(RandomNumberGenerator.GetBytes(32));
    private int answered;

    internal DelegationRequest(AgentSession session, Uri endpoint, string clientId, Uri redirectUri, string purpose, string authorizationDetails)
    {
        // RFC 6749 §3.1.2, §3.1.2.1; the code travels there.
        if (!redirectUri.IsAbsoluteUri || redirectUri.Fragment.Length > 0 || (redirectUri.Scheme == Uri.UriSchemeHttp && !ServerAddress.IsLoopback(redirectUri)))
            throw new ArgumentException("The redirect address must be absolute, without fragment, and http only on loopback.", nameof(redirectUri));
        (this.session, this.redirectUri, this.purpose) = (session, redirectUri, purpose);
        (string Name, string Value)[] parameters =
        [
            (Names.OAuth.ResponseType, Names.OAuth.Code),
            (Names.OAuth.ClientId, clientId),
            (Names.OAuth.RedirectUri, redirectUri.OriginalString),
            (Names.OAuth.State, state),
            (Names.Pkce.Challenge, Base64Url.Sha256(verifier)), // RFC 7636 §4.2
            (Names.Pkce.Method, Names.Pkce.S256),
            (Names.Resources.AuthorizationDetails, authorizationDetails),
        ];
        string query = string.Join('&', parameters.Select(p => $"{p.Name}={Uri.EscapeDataString(p.Value)}"));
        // RFC 6749 §3.1: a query that the endpoint has is kept.
        Address = new Uri($"{endpoint.AbsoluteUri}{(endpoint.Query.Length == 0 ? '?' : '&')}{query}");
    }

    /// <summary>Where to send the person's browser. There they sign in and decide.</summary>
    public Uri Address { get; }

    /// <summary>
    /// Takes the answer and begins the task. What the person left of the request is the task's authority: see <see cref="AgentTask.View"/>.
    /// The code is sent only after it is certain whose answer this is (RFC 9207) and to which request.
    /// </summary>
    /// <param name="callback">The address at which the browser came back: absolute, with its query.</param>
    /// <param name="resumable">Whether another instance of this agent could go on with the task; see <see cref="AgentSession.ResumeTask"/>.</param>
    /// <exception cref="OAuthErrorException">
    /// Refused. <see cref="OAuthErrorException.Status"/> 0: the answer itself says so, <c>access_denied</c> when the person did not allow it.
    /// </exception>
    /// <exception cref="HttpRequestException">
    /// The callback is not this server's answer to this request, and nothing was sent; or the server could not be asked, or answered what makes no sense.
    /// </exception>
    /// <exception cref="InvalidOperationException">The request was answered before.</exception>
    public async Task<AgentTask> BeginTask(Uri callback, bool resumable = false, CancellationToken cancellationToken = default)
    {
        string code = AuthorizationResponse.Code(callback, session.Issuer, state);
        // RFC 6749 §4.1.2: a code is sent once; a second time would revoke what the first led to.
        if (Interlocked.Exchange(ref answered, 1) == 1) throw new InvalidOperationException("This request was answered before.");
        return await new HandedWork(session).Redeem(() => session.Tokens.Redeem(code, redirectUri, verifier, cancellationToken), resumable ? purpose : null, cancellationToken);
    }
}
