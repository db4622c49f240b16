using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Audit;
using McpAuthServer.Authorizations;
using McpAuthServer.Clients;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Storage;
using McpAuthServer.Tokens;

namespace McpAuthServer.Grants;

/// <summary>Steps 3 to 9 of the pipeline: dispatch, sign in memory, one commit, answer.</summary>
internal sealed class Grantor(IEnumerable<IGrant> grants, AccessTokens tokens, IdTokens idTokens, ICommitLog log, AuditTrail audit, SessionTasks sessions, IssuancePolicy policy, ServerOptions options)
{
    private readonly FrozenDictionary<string, IGrant> byType = grants.ToFrozenDictionary(g => g.Type, StringComparer.Ordinal);

    /// <summary>The answer; null when the registry changed and the request must be planned again.</summary>
    public async Task<IResult?> GrantAsync(TokenRequest request, CancellationToken cancel)
    {
        // 3. Dispatch on grant_type.
        if (request.Form[Names.OAuth.GrantType] is not { } type)
            return await RefuseAsync(request, new(OAuthError.InvalidRequest("grant_type is missing.")));
        if (!byType.TryGetValue(type, out var grant))
            return await RefuseAsync(request, new(new(Names.Errors.UnsupportedGrantType, "The grant type is not offered.")));
        if (!Permits(request.Client, type))
            return await RefuseAsync(request, new(new(Names.Errors.UnauthorizedClient, "The client is not registered for this grant type.")));

        // 4–6. The grant fills in what is its own; it writes nothing.
        return await grant.EstablishAsync(request, cancel) switch
        {
            GrantResult.Refuse refusal => await RefuseAsync(request, refusal),
            GrantResult.Wait wait => wait.Error,
            // RFC 8705 §3: whatever the grant, the certificate is the client's.
            GrantResult.Issue { Plan: var plan, Rotation: var rotation } =>
                await IssueAsync(request, plan with { CertificateThumbprint = request.Client.BoundCertificate }, rotation),
            GrantResult.IssueDelegated { Plan: var plan } => await IssueDelegatedAsync(request, plan with { CertificateThumbprint = request.Client.BoundCertificate }),
            GrantResult.IssueIdentity { Plan: var plan, Claims: var claims } =>
                await IssueIdentityAsync(request, plan with { CertificateThumbprint = request.Client.BoundCertificate }, claims),
            GrantResult.Reused { What: var reuse } => await RevokeAsync(request, reuse, request.Consume),
            GrantResult.IssueToGuard { Guard: var guard } => await IssueToGuardAsync(request, guard),
            GrantResult.IssueToAdministrator { Client: var client, Thumbprint: var thumbprint } => await IssueToAdministratorAsync(request, client.Id, thumbprint),
            var other => throw new InvalidOperationException($"Unknown result {other}."),
        };
    }

    private static bool Permits(AuthenticatedClient client, string type) =>
        client.Guard is not null ? type is Names.OAuth.ClientCredentials or Names.Exchange.GrantType : client.Client!.GrantTypes.Contains(type);

    private async Task<IResult?> IssueAsync(TokenRequest request, Issuance plan, (OpaqueToken Presented, OpaqueToken Successor)? rotation)
    {
        if (ToolClasses.Refuses(plan, request.Registry) is { } mixed)
            return await RefuseAsync(request, new(OAuthError.From(mixed)));
        if (policy.Refuses(ref plan, request.Registry) is { } denied)
            return await RefuseAsync(request, new(OAuthError.From(denied) with { Reason = Names.Denials.PolicyDenied }));

        // 7. Signed before the commit and answered after it: a crash in between leaves a token that nobody got.
        var token = tokens.Sign(plan);
        var idToken = plan.Identity is { Claims: var claims } ? idTokens.Sign(claims, token) : null;

        // 8. One commit.
        var result = await log.Commit(new IssueUnit(plan, options.Node));
        if (result.Outcome != IssueOutcome.Issued)
            return await RefusedAsync(request, result);

        // 9. Answer. A refresh token that was repeated in time gets the successor that it has already.
        var refresh = rotation is not { } pair ? plan.Family?.Token : result.Successor is { } known ? pair.Presented.Open(known) : pair.Successor;
        return Answer(new TokenResponse(
            token, plan.Thumbprint is null ? Names.OAuth.Bearer : Names.Dpop.Scheme, (int)(plan.Expires - plan.IssuedAt).TotalSeconds,
            plan.Identity is { Scope: var identity } ? $"{identity} {plan.Scope}" : plan.Scope,
            plan.GrantType == Names.Exchange.GrantType ? Names.Exchange.AccessTokenType : null,
            plan.ByScope ? null : JsonElement.Parse(plan.Authority.ToJson(plan.TaskId)), refresh?.Value, idToken));
    }

    private async Task<IResult?> IssueDelegatedAsync(TokenRequest request, DelegationPlan plan)
    {
        var token = tokens.SignDelegation(plan);
        var result = await log.Commit(new IssueRoot(plan, options.Node));
        return result.Outcome != IssueOutcome.Issued ? await RefusedAsync(request, result) : Answer(new TokenResponse(
            token, plan.Thumbprint is null ? Names.OAuth.Bearer : Names.Dpop.Scheme, (int)(plan.Expires - plan.IssuedAt).TotalSeconds, ScopeOf(plan.Authority),
            AuthorizationDetails: JsonElement.Parse(plan.Authority.ToJson())));
    }

    // RFC 6749 §3.3: whoever named a scope beside the details would take silence for a yes.
    private static string? ScopeOf(Authority authority) =>
        ScopeWords.Join(ScopeWords.Of(authority)) is { Length: > 0 } scope ? scope : null;

    private async Task<IResult?> IssueIdentityAsync(TokenRequest request, IdentityPlan plan, IdTokenClaims claims)
    {
        var token = tokens.SignIdentity(plan);
        var idToken = idTokens.Sign(claims, token);
        var result = await log.Commit(new IssueRoot(plan, options.Node));
        return result.Outcome != IssueOutcome.Issued ? await RefusedAsync(request, result) : Answer(new TokenResponse(
            token, plan.Thumbprint is null ? Names.OAuth.Bearer : Names.Dpop.Scheme, (int)(plan.Expires - plan.IssuedAt).TotalSeconds, plan.Scope, IdToken: idToken));
    }

    /// <summary>The refusal of a commit; null = plan again.</summary>
    private async Task<IResult?> RefusedAsync(TokenRequest request, IssueResult result)
    {
        switch (result)
        {
            case { Outcome: IssueOutcome.Stale }:
                return null;
            case { Outcome: IssueOutcome.Replayed }:
                return OAuthError.Replay(result.Reason!);
            case { Reuse: { } reuse }:
                // The commit that found it has consumed assertion and proof.
                return await RevokeAsync(request, reuse, []);
        }
        sessions.Forget(request.Client.Id);
        const string ended = "What the token would stand on has ended.";
        // RFC 8693 §2.2.2 has invalid_request for a bad subject; RFC 6749 §5.2 invalid_grant for a code or refresh token.
        return request.Form[Names.OAuth.GrantType] is Names.OAuth.AuthorizationCode or Names.OAuth.RefreshToken or Names.Device.GrantType or Names.Ciba.GrantType
            || request is { Evidence: null } && request.Form[Names.OAuth.GrantType] == Names.Assertions.JwtBearer
            ? OAuthError.InvalidGrant(ended, result.Reason)
            : OAuthError.InvalidRequest(ended, result.Reason);
    }

    private async Task<IResult?> RevokeAsync(TokenRequest request, Reuse reuse, IReadOnlyList<Once> consume)
    {
        var refusal = audit.Refusal(AuditTypes.ReplayDetected, reuse.Reason) with { Client = request.Client.Id, Agent = request.Client.Client?.AgentId };
        return await log.Commit(new RevokeReused(reuse, refusal, consume, request.Now, options.Node)) is { } replayed
            ? OAuthError.Replay(replayed)
            : OAuthError.InvalidGrant("It was used before; what came of that is revoked.", Names.Reasons.Replay);
    }

    private Task<IResult?> IssueToGuardAsync(TokenRequest request, GuardRecord guard)
    {
        var (jti, expires) = (Id.New(Id.AccessToken, request.Now), Issuance.Earliest(request.Now + options.AccessTokenLifetime));
        var token = tokens.SignGuard(guard.Id, guard.Key.Thumbprint, jti, request.Now, expires);
        return AnswerAsync(request, guard.Id, jti, new() { ["tool_server"] = guard.ToolServer }, new(token, Names.Dpop.Scheme, (int)(expires - request.Now).TotalSeconds));
    }

    private Task<IResult?> IssueToAdministratorAsync(TokenRequest request, string client, string thumbprint)
    {
        var (jti, expires) = (Id.New(Id.AccessToken, request.Now), Issuance.Earliest(request.Now + options.AccessTokenLifetime));
        var token = tokens.SignAdministrator(client, thumbprint, request.Client.BoundCertificate, jti, request.Now, expires);
        return AnswerAsync(
            request, client, jti, new() { ["scope"] = Names.Scopes.Admin, ["exp"] = expires.ToUnixTimeSeconds() },
            new(token, Names.Dpop.Scheme, (int)(expires - request.Now).TotalSeconds, Names.Scopes.Admin));
    }

    /// <summary>Records a token for the server's own APIs, which stands on no grant, and answers it.</summary>
    private async Task<IResult?> AnswerAsync(TokenRequest request, string client, string jti, JsonObject told, TokenResponse response)
    {
        told["grant_type"] = Names.OAuth.ClientCredentials;
        var issued = audit.Success(AuditTypes.TokenIssued) with { Client = client, Jti = jti, Data = told };
        return await log.Commit(new RecordUnit(issued, request.Consume)) is { } replayed ? OAuthError.Replay(replayed) : Answer(response);
    }

    private async Task<IResult> RefuseAsync(TokenRequest request, GrantResult.Refuse refusal)
    {
        var e = audit.Refusal(AuditTypes.TokenRefused, refusal.Error.Reason ?? refusal.Error.Code) with
        {
            Client = request.Client.Id, Agent = request.Client.Client?.AgentId,
        };
        return await audit.RefuseAsync(e, request.Consume) is { } replayed ? OAuthError.Replay(replayed) : refusal.Error;
    }

    private static IResult Answer(TokenResponse response) => Results.Json(response, ProtocolJson.Default.TokenResponse);
}
