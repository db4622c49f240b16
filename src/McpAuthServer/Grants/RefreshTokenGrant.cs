using McpAuth.Protocol;
using McpAuthServer.Authorizations;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Tokens;

namespace McpAuthServer.Grants;

/// <summary>RFC 6749 §6, OAuth 2.1 §4.3: every use brings a successor, a second use ends the line.</summary>
internal sealed class RefreshTokenGrant(
    RefreshFamilies families, GrantStore grants, TaskStore tasks, PersonAt people, PersonSessions sessions, DelegatedWork work, ServerOptions options) : IGrant
{
    public string Type => Names.OAuth.RefreshToken;

    public async Task<GrantResult> EstablishAsync(TokenRequest request, CancellationToken cancel)
    {
        if (request.Form[Names.OAuth.RefreshToken] is not { } text)
            return OAuthError.InvalidRequest("refresh_token is missing.");
        var presented = new OpaqueToken(text);

        // 1. Its owner's, with the key it is bound to (RFC 9449 §5).
        if (await families.Find(presented.Hash, cancel) is not { } record || record.ClientId != request.Client.Id)
            return OAuthError.InvalidGrant("The refresh token is unknown.", "unknown_token");
        if (record.Thumbprint is { } key && request.Proof?.Thumbprint != key)
            return OAuthError.InvalidProof(new Fault(request.Proof is null ? "missing" : "wrong_key", "The refresh token is bound to another key."));
        // RFC 8705 §7.1.
        if (record.Certificate is { } certificate && request.Client.Certificate?.Thumbprint != certificate)
            return OAuthError.InvalidGrant("The refresh token is bound to another certificate.", "wrong_certificate");

        // 2. Alive. The unit asks again.
        if (record.State != "active")
            return await tasks.Find(record.TaskId, cancel) is { State: var state } && TaskState.IsFinal(state)
                ? OAuthError.InvalidGrant("The task has ended.", Names.Reasons.TaskEnded)
                : OAuthError.InvalidGrant("The refresh token was revoked.", Names.Reasons.Revoked);
        var tolerant = request.Client.Client!.Public && record.Thumbprint is null && record.Certificate is null;
        if (record.UsedAt is { } used && !(tolerant && request.Now.ToUnixTimeMilliseconds() - used <= (long)UseRefreshToken.Tolerance.TotalMilliseconds))
            return new GrantResult.Reused(new(record.Family, record.GrantId, Reuse.Refresh));
        if (record.FamilyExpires <= request.Now.ToUnixTimeMilliseconds() || record.ExpiresAt <= request.Now.ToUnixTimeMilliseconds())
            return OAuthError.InvalidGrant("The refresh token is expired.", Names.Reasons.Expired);
        Presence? presence = null;
        if (record.UserId is { } user)
        {
            presence = await people.FindAsync(user, record.AuthTime, record.Acr, cancel);
            if (presence is null)
                return OAuthError.InvalidGrant("The person's account is disabled.", Names.Reasons.UserDisabled);
        }
        if (await grants.Find(record.GrantId, cancel) is not { } grant || await tasks.Find(record.TaskId, cancel) is not { } task)
            return OAuthError.InvalidGrant("What the refresh token stands on is gone.", Names.Reasons.Revoked);

        var successor = OpaqueToken.New(OpaqueToken.Refresh);
        UseRefreshToken Use(string grantId, string taskId) => new(record, presented, successor, tolerant, grantId, taskId, request.Now);
        var result = record.AgentId is not null
            ? await work.ContinueAsync(request, record, grant, task, presence, Use, cancel)
            : await ByScopeAsync(request, record, grant, task, presence!, Use, cancel);
        return result is GrantResult.Issue issue ? issue with { Rotation = new(presented, successor) } : result;
    }

    private async Task<GrantResult> ByScopeAsync(
        TokenRequest request, RefreshRecord record, GrantRecord grant, TaskRecord task, Presence presence, Func<string, string, UseRefreshToken> use, CancellationToken cancel)
    {
        if (request.DetailsRefused is { } refused)
            return refused;
        if (request.Registry.ToolServers.GetValueOrDefault(grant.ToolServer!) is not { Active: true } server)
            return new OAuthError(Names.Errors.InvalidTarget, "The tool server is no longer active.");
        var (target, error) = request.Target(server.Resource);
        if (error is not null || target!.Id != server.Id)
            return error ?? new OAuthError(Names.Errors.InvalidTarget, "The resource is not the grant's.");
        var held = ScopeWords.Split(record.Scope);
        if (!request.Within(held, server).TryGet(out var words, out var fault))
            return fault;

        // A session that expired has a successor; one that somebody ended has none (invariant 12).
        var expired = task.State == TaskState.Expired || (!TaskState.IsFinal(task.State) && task.Expires <= request.Now);
        if (TaskState.IsFinal(task.State) && !expired)
            return OAuthError.InvalidGrant("The session was ended.", Names.Reasons.TaskEnded);
        var authority = ScopeWords.ToAuthority(held, server);
        var session = expired ? await sessions.CurrentAsync(request.Client.Client!, grant.UserId!, authority, request.Now, cancel) : new(task.Id, task.Expires, null, null);
        var grantId = expired ? Id.New(Id.Grant, request.Now) : grant.Id;
        return new Issuance
        {
            Who = new Principals(grant.UserId!, Names.Claims.ProfileUser, grant.UserId, null, null, request.Client.Id, []), Target = server, Authority = authority,
            Scope = ScopeWords.AtResource(words), ByScope = true, TaskId = session.Id, TaskExpires = session.Expires, NewTask = session.New, SessionAdds = session.Adds,
            GrantId = grantId, NewGrant = expired, Consent = grant.Consent, Thumbprint = request.Proof?.Thumbprint, Jti = Id.New(Id.AccessToken, request.Now),
            IssuedAt = request.Now, Expires = Issuance.Earliest(request.Now + options.AccessTokenLifetime, session.Expires), RegistryVersion = request.Registry.Version,
            GrantType = Type, Consume = request.Consume, Credential = use(grantId, session.Id), Presence = presence, Cause = expired ? grant.TaskId : null,
        };
    }
}
