using System.Security.Cryptography;
using System.Text;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuthServer.Keys;

namespace McpAuthServer.Tokens;

/// <summary>What a program is told of a person who signed in (OpenID Connect Core §2).</summary>
/// <param name="Session">The sign-in's id, from which <c>sid</c> is made.</param>
/// <param name="Name">Null where it was not granted; likewise <paramref name="Email"/>.</param>
internal sealed record IdTokenClaims(
    string Subject, string ClientId, string? Nonce, string Session, DateTimeOffset AuthTime, string Acr, string? Name, string? Email, DateTimeOffset IssuedAt);

/// <summary>An ID token that came back: who it was about, for whom, and of which sign-in.</summary>
internal sealed record IdTokenHint(string Subject, string ClientId, string Sid);

/// <summary>
/// ID tokens. Their <c>typ</c> tells them from every token that opens something, so nobody who checks it takes one for an access token.
/// </summary>
internal sealed class IdTokens(SigningKeyRing keys, Issuer issuer)
{
    /// <summary>For the program to read on receipt; it is not for keeping.</summary>
    public static readonly TimeSpan Life = TimeSpan.FromMinutes(5);

    private static readonly JwtRules Rules = new("ID token", [Names.Types.Jwt], TypeRequired: true, ["ES256", "RS256"]);

    /// <param name="accessToken">Issued with it.</param>
    public string Sign(IdTokenClaims claims, string accessToken) => keys.Current.Active.Sign(Names.Types.Jwt, json =>
    {
        json.WriteString(Names.Claims.Iss, issuer.Value);
        json.WriteString(Names.Claims.Sub, claims.Subject);
        json.WriteString(Names.Claims.Aud, claims.ClientId);
        json.WriteNumber(Names.Claims.Iat, claims.IssuedAt.ToUnixTimeSeconds());
        json.WriteNumber(Names.Claims.Exp, (claims.IssuedAt + Life).ToUnixTimeSeconds());
        json.WriteNumber(Names.Claims.AuthTime, claims.AuthTime.ToUnixTimeSeconds());
        json.WriteString(Names.Claims.Acr, claims.Acr);
        json.WriteString(Names.Claims.Sid, SidOf(claims.Session));
        json.WriteString(Names.Claims.AtHash, HashOf(accessToken));
        if (claims.Nonce is not null)
            json.WriteString(Names.Claims.Nonce, claims.Nonce);
        if (claims.Name is not null)
            json.WriteString(Names.Claims.Name, claims.Name);
        if (claims.Email is not null)
            json.WriteString(Names.Claims.Email, claims.Email);
    });

    /// <summary>
    /// An ID token of this server, expired or not (RP-Initiated Logout §2); null when it outlived its key, for keys are given up sooner than sign-ins, and
    /// so says nothing. Codes: those of <see cref="StrictJwt.Read"/>, <c>bad_signature</c>, <c>foreign_issuer</c>.
    /// </summary>
    public async ValueTask<Result<IdTokenHint?>> ReadHintAsync(string text, CancellationToken cancel)
    {
        if (!StrictJwt.Read(text, Rules).TryGet(out var jwt, out var fault))
            return fault;
        if (await keys.FindAsync(jwt.KeyId, cancel) is not { } key)
            return Result<IdTokenHint?>.Of(null);
        if (!key.Verify(jwt))
            return new Fault(Names.Reasons.BadSignature, "The ID token's signature is wrong.");
        return jwt.Text(Names.Claims.Iss) == issuer.Value && jwt.Audiences is [var client] && jwt.Text(Names.Claims.Sub) is { } subject && jwt.Text(Names.Claims.Sid) is { } sid
            ? new IdTokenHint(subject, client, sid)
            : new Fault(Names.Reasons.Foreign, "The ID token is another issuer's.");
    }

    /// <summary>Names a sign-in to programs: the same for the same, and of no use for anything else.</summary>
    public static string SidOf(string session) => Base64Url.Sha256("sid\n" + session);

    // OpenID Connect Core §3.1.3.6: the left half of the hash that the signature's algorithm uses; of both it is SHA-256.
    private static string HashOf(string accessToken) => Base64Url.Encode(SHA256.HashData(Encoding.ASCII.GetBytes(accessToken)).AsSpan(0, SHA256.HashSizeInBytes / 2));
}
