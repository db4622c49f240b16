using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;

namespace McpAuth.Client;

/// <summary>What an agent asks the token endpoint for, as its client and with the instance's key: every token that comes is bound to it.</summary>
internal sealed class TokenEndpoint(ServerConnection server, ClientAuthentication client, SigningKey key)
{
    /// <summary>A code for what the person handed over (RFC 6749 §4.1.3, RFC 7636 §4.5).</summary>
    public Task<(AccessToken Token, TokenResponse Answer)> Redeem(string code, Uri redirectUri, string verifier, CancellationToken cancellationToken) => server.RequestToken(
    [
        new(Names.OAuth.GrantType, Names.OAuth.AuthorizationCode),
        new(Names.OAuth.Code, code),
        new(Names.OAuth.RedirectUri, redirectUri.OriginalString),
        new(Names.Pkce.Verifier, verifier),
    ], client, key, cancellationToken);

    /// <summary>Whether the person has answered (CIBA §10.1), for what they handed over.</summary>
    public Task<(AccessToken Token, TokenResponse Answer)> Poll(string requestId, CancellationToken cancellationToken) => server.RequestToken(
    [
        new(Names.OAuth.GrantType, Names.Ciba.GrantType),
        new(Names.Ciba.RequestId, requestId),
    ], client, key, cancellationToken);

    /// <summary>A refresh token for the next token of its line, and its successor (RFC 6749 §6).</summary>
    public Task<(AccessToken Token, TokenResponse Answer)> Refresh(string refreshToken, string resource, CancellationToken cancellationToken) => server.RequestToken(
    [
        new(Names.OAuth.GrantType, Names.OAuth.RefreshToken),
        new(Names.OAuth.RefreshToken, refreshToken),
        new(Names.Resources.Resource, resource),
    ], client, key, cancellationToken);

    /// <summary>RFC 8693 §2.1. With <paramref name="actor"/>, that agent takes over; without, the presenter continues its own token.</summary>
    /// <param name="authorizationDetails">Null = all that the subject has at the resource.</param>
    public async Task<(AccessToken Token, TokenResponse Answer)> Exchange(
        string subjectToken, AccessToken? actor, string resource, string? authorizationDetails, CancellationToken cancellationToken)
    {
        List<KeyValuePair<string, string>> form =
        [
            new(Names.OAuth.GrantType, Names.Exchange.GrantType),
            new(Names.Exchange.SubjectToken, subjectToken),
            new(Names.Exchange.SubjectTokenType, Names.Exchange.AccessTokenType),
            new(Names.Resources.Resource, resource),
        ];
        if (authorizationDetails is not null) form.Add(new(Names.Resources.AuthorizationDetails, authorizationDetails));
        if (actor is not null)
        {
            form.Add(new(Names.Exchange.ActorToken, actor.Value));
            form.Add(new(Names.Exchange.ActorTokenType, Names.Exchange.AccessTokenType));
        }
        (AccessToken token, TokenResponse answer) = await server.RequestToken(form, client, key, cancellationToken);
        // RFC 8693 §2.2.1: it is in every answer, and anything but an access token opens no tool server.
        if (answer.IssuedTokenType != Names.Exchange.AccessTokenType) throw ServerConnection.Senseless("what was issued is not an access token");
        return (token, answer);
    }
}
