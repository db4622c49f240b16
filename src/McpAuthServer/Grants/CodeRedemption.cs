using McpAuth.Protocol;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Authorizations;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Tokens;

namespace McpAuthServer.Grants;

/// <summary>
/// What a person's answer is worth to the client that proved to be its owner. A program gets a person's token by scope for one tool server, or is told
/// who the person is; an agent's client gets what the person handed to the agent, which only the agent's attested instance can exchange.
/// </summary>
internal sealed class CodeRedemption(PersonAt people, PersonSessions sessions, ServerOptions options)
{
    public async Task<GrantResult> RedeemAsync(TokenRequest request, CodeRecord code, string grantType, CancellationToken cancel)
    {
        // Once, and soon. The unit asks again.
        if (code.Grant is { } first)
            return new GrantResult.Reused(new(null, first, Reuse.Code));
        if (code.Expires <= request.Now)
            return grantType is Names.Device.GrantType or Names.Ciba.GrantType ? PolledGrant.Expired : OAuthError.InvalidGrant("The code is expired.", Names.Reasons.Expired);
        if (await people.FindAsync(code.UserId, code.AuthTime, code.Acr, cancel) is not { } presence)
            return OAuthError.InvalidGrant("The person's account is disabled.", Names.Reasons.UserDisabled);
        return code switch
        {
            { AgentId: not null } => Delegation(request, code, presence, grantType),
            { ToolServer: null } => Identity(request, code, presence, grantType),
            _ => await ByScopeAsync(request, code, presence, grantType, cancel),
        };
    }

    private async Task<GrantResult> ByScopeAsync(TokenRequest request, CodeRecord code, Presence presence, string grantType, CancellationToken cancel)
    {
        var client = request.Client.Client!;
        if (request.DetailsRefused is { } refused)
            return refused;
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
            Expires = Issuance.Earliest(request.Now + options.AccessTokenLifetime, session.Expires), RegistryVersion = request.Registry.Version, GrantType = grantType,
            Consume = request.Consume, Credential = new UseCode(code, grant, request.Now), Family = family, Presence = presence,
            Identity = ClaimsOf(code, presence, words, request.Now) is { } claims ? (claims, ScopeWords.Join(ScopeWords.Identity(words))) : null,
        };
    }

    private GrantResult Identity(TokenRequest request, CodeRecord code, Presence presence, string grantType)
    {
        if (request.Form.Values(Names.Resources.Resource).Count > 0)
            return new OAuthError(Names.Errors.InvalidTarget, "The person was not asked for any resource.");
        if (request.DetailsRefused is { } refused)
            return refused;
        // RFC 6749 §6: less may be asked for than was granted.
        var held = ScopeWords.Split(code.Scope);
        var words = request.Form[Names.OAuth.Scope] is { } scope ? ScopeWords.Split(scope) : held;
        if (!words.All(held.Contains) || ClaimsOf(code, presence, words, request.Now) is not { } claims)
            return new OAuthError(Names.Errors.InvalidScope, "The scope names something that was not granted, or does without openid.");
        var grant = Id.New(Id.Grant, request.Now);
        return new GrantResult.IssueIdentity(new IdentityPlan(ScopeWords.Join(words))
        {
            UserId = code.UserId, ClientId = request.Client.Id, Consent = code.Consent, GrantId = grant, Jti = Id.New(Id.UserInfoToken, request.Now), IssuedAt = request.Now,
            Expires = Issuance.Earliest(request.Now + options.AccessTokenLifetime), Thumbprint = request.Proof?.Thumbprint, GrantType = grantType,
            Credential = new UseCode(code, grant, request.Now), Consume = request.Consume, RegistryVersion = request.Registry.Version,
        }, claims);
    }

    /// <summary>What the words let a program know; null without <c>openid</c>.</summary>
    private static IdTokenClaims? ClaimsOf(CodeRecord code, Presence presence, IReadOnlyList<string> words, DateTimeOffset now) =>
        !words.Contains(Names.Scopes.OpenId) ? null : new(
            code.UserId, code.ClientId, code.Nonce, code.Session, code.AuthTime, code.Acr,
            words.Contains(Names.Scopes.Profile) ? presence.Person.Name : null, words.Contains(Names.Scopes.Email) ? presence.Person.Email : null, now);

    private GrantResult Delegation(TokenRequest request, CodeRecord code, Presence presence, string grantType)
    {
        // What a person hands over is for this server alone; the tool servers are locations of it.
        if (request.Form.Values(Names.Resources.Resource).Count > 0)
            return new OAuthError(Names.Errors.InvalidTarget, "The resource is not the code's.");
        if (request.Registry.Agents.GetValueOrDefault(code.AgentId!) is not { Active: true } agent || request.Client.Client!.AgentId != agent.Id)
            return OAuthError.InvalidGrant("The agent is not active, or is no longer this client's.", Names.Reasons.AgentSuspended);
        if (code.TaskExpires <= request.Now)
            return OAuthError.InvalidGrant("The task's deadline has passed.", Names.Reasons.TaskEnded);
        if (!HandedOver(request, code).TryGet(out var what, out var fault))
            return fault;
        var grant = Id.New(Id.Grant, request.Now);
        return new GrantResult.IssueDelegated(new DelegationPlan(agent.Id, what.Authority, code.Purpose!, what.Until, presence)
        {
            UserId = code.UserId, ClientId = request.Client.Id, Consent = code.Consent, GrantId = grant, Jti = Id.New(Id.DelegationToken, request.Now), IssuedAt = request.Now,
            Expires = Issuance.Earliest(request.Now + options.AccessTokenLifetime, what.Until), Thumbprint = request.Proof?.Thumbprint,
            GrantType = grantType, Credential = new UseCode(code, grant, request.Now), Consume = request.Consume, RegistryVersion = request.Registry.Version,
        });
    }

    /// <summary>RFC 9396 §6: all that the person handed over or, where the request names it, less; and no other task.</summary>
    private static Result<(Authority Authority, DateTimeOffset Until)> HandedOver(TokenRequest request, CodeRecord code)
    {
        if (request.Details() is not { } details)
            return (code.Authority, code.TaskExpires!.Value);
        if (!details.TryGet(out var asked, out var fault))
            return fault;
        if (asked.Task is { } task && task.Purpose != code.Purpose)
            return new Fault(Names.Errors.InvalidAuthorizationDetails, "The person was asked for another task.");
        if (asked.Authority.Exceeds(code.Authority) is { } beyond)
            return new Fault(Names.Errors.InvalidAuthorizationDetails, $"More than the person handed over: {beyond.Message}", beyond.Path);
        var until = asked.Task?.ExpiresAt is { } sooner && sooner < code.TaskExpires ? DateTimeOffset.FromUnixTimeSeconds(sooner.ToUnixTimeSeconds()) : code.TaskExpires!.Value;
        return until > request.Now ? (asked.Authority, until) : new Fault(Names.Errors.InvalidAuthorizationDetails, "The task's deadline has passed.");
    }
}
