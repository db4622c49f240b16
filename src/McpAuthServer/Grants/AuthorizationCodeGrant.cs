using System.Security.Cryptography;
using System.Text;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuthServer.Authorizations;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Tokens;

namespace McpAuthServer.Grants;

/// <summary>
/// RFC 6749 §4.1.3 with PKCE. A program gets a person's token by scope for one tool server; an agent's client gets what the person handed to
/// the agent, which only the agent's attested instance can exchange.
/// </summary>
internal sealed class AuthorizationCodeGrant(CodeStore codes, PersonAt people, PersonSessions sessions, ServerOptions options) : IGrant
{
    public string Type => Names.OAuth.AuthorizationCode;

    public async Task<GrantResult> EstablishAsync(TokenRequest request, CancellationToken cancel)
    {
        var form = request.Form;
        if (form[Names.OAuth.Code] is not { } presented || form[Names.Pkce.Verifier] is not { } verifier)
            return OAuthError.InvalidRequest("code and code_verifier are needed.");

        // 1. Its owner's. Another client's code is not told apart from none, and stays good for its owner.
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

        // 2. Once, and soon. The unit asks again.
        if (code.Grant is { } first)
            return new GrantResult.Reused(new(null, first, Reuse.Code));
        if (code.Expires <= request.Now)
            return OAuthError.InvalidGrant("The code is expired.", Names.Reasons.Expired);
        if (await people.FindAsync(code.UserId, code.AuthTime, code.Acr, cancel) is not { } presence)
            return OAuthError.InvalidGrant("The person's account is disabled.", Names.Reasons.UserDisabled);
        return code.AgentId is null ? await ByScopeAsync(request, code, presence, cancel) : Delegation(request, code, presence);
    }

    private async Task<GrantResult> ByScopeAsync(TokenRequest request, CodeRecord code, Presence presence, CancellationToken cancel)
    {
        var client = request.Client.Client!;
        if (request.Registry.ToolServers.GetValueOrDefault(code.ToolServer!) is not { Active: true } server)
            return new OAuthError(Names.Errors.InvalidTarget, "The tool server is no longer active.");
        var (target, error) = request.Target(server.Resource);
        if (error is not null || target!.Id != server.Id)
            return error ?? new OAuthError(Names.Errors.InvalidTarget, "The resource is not the code's.");
        if (!request.Within(ScopeWords.Split(code.Scope), server).TryGet(out var words, out var fault))
            return fault;
        var authority = ScopeWords.ToAuthority(ScopeWords.Split(code.Scope), server);
        var session = await sessions.CurrentAsync(client, code.UserId, authority, request.Now, cancel);
        var grant = Id.New(Id.Grant, request.Now);
        // RFC 6749 §1.5. Without offline_access a person's sign-out ends the line.
        var offline = ScopeWords.Split(code.Scope).Contains(Names.Scopes.OfflineAccess);
        var family = !client.GrantTypes.Contains(Names.OAuth.RefreshToken) ? null : new NewFamily(
            Id.New(Id.RefreshFamily, request.Now), OpaqueToken.New(OpaqueToken.Refresh), offline ? null : code.Session, code.Scope,
            offline ? request.Now + RefreshFamilies.Offline : code.SessionExpires,
            // RFC 8705 §4: nothing else holds a public client's; others authenticate for every use, perhaps with the next certificate (§7.1).
            client.Public ? request.Client.BoundCertificate : null);
        return new Issuance
        {
            Who = new Principals(code.UserId, Names.Claims.ProfileUser, code.UserId, null, null, client.Id, []), Target = server, Authority = authority,
            Scope = ScopeWords.AtResource(words), ByScope = true, TaskId = session.Id, TaskExpires = session.Expires, NewTask = session.New, SessionAdds = session.Adds,
            GrantId = grant, Consent = code.Consent, Thumbprint = request.Proof?.Thumbprint, Jti = Id.New(Id.AccessToken, request.Now), IssuedAt = request.Now,
            Expires = Issuance.Earliest(request.Now + options.AccessTokenLifetime, session.Expires), RegistryVersion = request.Registry.Version, GrantType = Type,
            Consume = request.Consume, Credential = new UseCode(code, grant, request.Now), Family = family, Presence = presence,
        };
    }

    private GrantResult Delegation(TokenRequest request, CodeRecord code, Presence presence)
    {
        // What a person hands over is for this server alone; the tool servers are locations of it.
        if (request.Form.Values(Names.Resources.Resource).Count > 0)
            return new OAuthError(Names.Errors.InvalidTarget, "The resource is not the code's.");
        if (request.Registry.Agents.GetValueOrDefault(code.AgentId!) is not { Active: true } agent || request.Client.Client!.AgentId != agent.Id)
            return OAuthError.InvalidGrant("The agent is not active, or is no longer this client's.", Names.Reasons.AgentSuspended);
        if (code.TaskExpires <= request.Now)
            return OAuthError.InvalidGrant("The task's deadline has passed.", Names.Reasons.TaskEnded);
        var grant = Id.New(Id.Grant, request.Now);
        return new GrantResult.IssueDelegated(new DelegationPlan(
            code.UserId, agent.Id, request.Client.Id, code.Consent, code.Authority, code.Purpose!, code.TaskExpires!.Value, grant, Id.New(Id.DelegationToken, request.Now), request.Now,
            Issuance.Earliest(request.Now + options.AccessTokenLifetime, code.TaskExpires!.Value), request.Proof?.Thumbprint, presence,
            new UseCode(code, grant, request.Now), request.Consume, request.Registry.Version));
    }

    // RFC 7636 §4.1, §4.6: 43 to 128 unreserved characters; the challenge is the base64url of their SHA-256.
    private static bool Proves(string verifier, string challenge) =>
        verifier.Length is >= 43 and <= 128 && verifier.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.' or '_' or '~')
        && CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(Base64Url.Sha256(verifier)), Encoding.ASCII.GetBytes(challenge));
}
