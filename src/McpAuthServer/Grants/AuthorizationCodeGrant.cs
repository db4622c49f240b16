using System.Security.Cryptography;
using System.Text;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuthServer.Authorizations;
using McpAuthServer.Http;
using McpAuthServer.Tokens;

namespace McpAuthServer.Grants;

/// <summary>RFC 6749 §4.1.3 with PKCE.</summary>
internal sealed class AuthorizationCodeGrant(CodeStore codes, CodeRedemption redemption) : IGrant
{
    public string Type => Names.OAuth.AuthorizationCode;

    public async Task<GrantResult> EstablishAsync(TokenRequest request, CancellationToken cancel)
    {
        var form = request.Form;
        if (form[Names.OAuth.Code] is not { } presented || form[Names.Pkce.Verifier] is not { } verifier)
            return OAuthError.InvalidRequest("code and code_verifier are needed.");

        // Its owner's. Another client's code is not told apart from none, and stays good for its owner.
        if (await codes.Find(OpaqueToken.HashOf(presented), cancel) is not { } code || code.ClientId != request.Client.Id)
            return OAuthError.InvalidGrant("The code is unknown.", "unknown_code");
        // RFC 9449 §10: the key that the request named, or that pushed it.
        if (code.Thumbprint is { } key && request.Proof?.Thumbprint != key)
            return OAuthError.InvalidProof(new Fault(request.Proof is null ? "missing" : "wrong_key", "The code is bound to another key."));
        // RFC 7636 §4.6. Without the right verifier nothing happens to the code, either: who has only seen it can do no harm.
        if (!Proves(verifier, code.Challenge))
            return OAuthError.InvalidGrant("The code_verifier is not the one of the request.", "wrong_verifier");
        // RFC 6749 §4.1.3. OAuth 2.1 §10.2: clients may leave it out, PKCE does its work.
        if (form[Names.OAuth.RedirectUri] is { } redirect && redirect != code.RedirectUri)
            return OAuthError.InvalidGrant("redirect_uri is not the one of the request.", "redirect_uri");

        return await redemption.RedeemAsync(request, code, Type, cancel);
    }

    // RFC 7636 §4.1, §4.6: 43 to 128 unreserved characters; the challenge is the base64url of their SHA-256.
    private static bool Proves(string verifier, string challenge) =>
        verifier.Length is >= 43 and <= 128 && verifier.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_' or '~')
        && CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(Base64Url.Sha256(verifier)), Encoding.ASCII.GetBytes(challenge));
}
