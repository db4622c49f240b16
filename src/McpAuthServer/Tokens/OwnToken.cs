using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuthServer.Keys;

namespace McpAuthServer.Tokens;

/// <summary>A token of this server whose signature, type and issuer were verified; its claims are ours, so they are trusted as they stand.</summary>
internal sealed class OwnToken
{
    private static readonly JwtRules Rules = new("access token", [Names.Types.AccessToken], TypeRequired: true, ["ES256", "RS256"]);

    private OwnToken(StrictJwt jwt) => Jwt = jwt;

    public StrictJwt Jwt { get; }
    public string Jti => Jwt.Text(Names.Claims.Jti)!;
    public string Subject => Jwt.Text(Names.Claims.Sub)!;
    public string ClientId => Jwt.Text(Names.Claims.ClientId)!;
    public string Audience => Jwt.Audiences[0];
    public string? Scope => Jwt.Text(Names.Claims.Scope);
    public string? Grant => Jwt.Text(Names.Claims.Grant);
    public string? Task => Member(Names.Claims.Task, "id");
    public string? Thumbprint => Member(Names.Claims.Cnf, Names.Claims.Jkt);
    /// <summary>Of the certificate it is bound to (RFC 8705 §3.1).</summary>
    public string? CertificateThumbprint => Member(Names.Claims.Cnf, Names.Mtls.Thumbprint);
    public string? Instance => Member(Names.Claims.AgentContext, "instance");
    public DateTimeOffset Expires => Jwt.Time(Names.Claims.Exp)!.Value;
    public bool IsInstanceToken => Jti.StartsWith(Id.InstanceToken, StringComparison.Ordinal);

    /// <summary>What a person handed to an agent; it opens that agent's task and nothing else.</summary>
    public bool IsDelegation => Jti.StartsWith(Id.DelegationToken, StringComparison.Ordinal);

    /// <summary>It says who a person is, at <c>/userinfo</c>, and nothing else.</summary>
    public bool IsIdentity => Jti.StartsWith(Id.UserInfoToken, StringComparison.Ordinal);

    /// <summary>A tool server's, for what one of its tools does elsewhere; it cannot be exchanged further.</summary>
    public bool IsDownstream => ClientId.StartsWith(Id.Guard, StringComparison.Ordinal) && Grant is not null;

    /// <summary>The agent that may act with a delegation (RFC 8693 §4.4).</summary>
    public string? MayAct => Member(Names.Claims.MayAct, Names.Claims.Sub);

    /// <summary>When and how the person signed in, where there is one.</summary>
    public DateTimeOffset? AuthTime => Jwt.Time(Names.Claims.AuthTime);
    public string? Acr => Jwt.Text(Names.Claims.Acr);

    /// <summary>The governed agent: the outermost actor, or the subject when an agent acts for itself.</summary>
    public string? Agent => Member(Names.Claims.Act, Names.Claims.Sub) ?? (Subject.StartsWith(Id.Agent, StringComparison.Ordinal) ? Subject : null);

    /// <summary>Subjects of the <c>act</c> chain, outermost first.</summary>
    public IReadOnlyList<string> Chain
    {
        get
        {
            var chain = new List<string>();
            for (var at = Jwt.Payload; at.TryGetProperty(Names.Claims.Act, out var act); at = act)
                chain.Add(act.GetProperty(Names.Claims.Sub).GetString()!);
            return chain;
        }
    }

    /// <summary>
    /// Reads a presented token. Codes: those of <see cref="StrictJwt.Read"/>, <c>bad_signature</c>, <c>foreign_issuer</c>, <c>key_revoked</c>, <c>expired</c>.
    /// </summary>
    public static async ValueTask<Result<OwnToken>> ReadAsync(string text, SigningKeyRing keys, Issuer issuer, DateTimeOffset now, CancellationToken cancel)
    {
        if (!StrictJwt.Read(text, Rules).TryGet(out var jwt, out var fault))
            return fault;
        if (await keys.FindAsync(jwt.KeyId, cancel) is not { } key)
            return jwt.KeyId is { } kid && keys.Current.IsRevoked(kid)
                ? new Fault(Names.Reasons.KeyRevoked, "The key that signed the token was revoked.")
                : new Fault(Names.Reasons.Foreign, "The token was not signed by this server.");
        if (!key.Verify(jwt))
            return new Fault(Names.Reasons.BadSignature, "The token's signature is wrong.");
        if (jwt.Text(Names.Claims.Iss) != issuer.Value)
            return new Fault(Names.Reasons.Foreign, "The token was issued by another issuer.");
        var token = new OwnToken(jwt);
        return token.Expires <= now ? new Fault(Names.Reasons.Expired, "The token is expired.") : token;
    }

    private string? Member(string claim, string name) =>
        Jwt.Payload.TryGetProperty(claim, out var value) && value.ValueKind == JsonValueKind.Object && value.TryGetProperty(name, out var member) ? member.GetString() : null;
}
