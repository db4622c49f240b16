using McpAuth.Protocol;
using McpAuthServer.Authorizations;
using McpAuthServer.Delegation;
using McpAuthServer.Federation;
using McpAuthServer.Http;
using McpAuthServer.Registry;

namespace McpAuthServer.Grants;

/// <summary>
/// What an enterprise's identity provider lets a client do for a person (draft-ietf-oauth-identity-assertion-authz-grant; MCP Enterprise-Managed Authorization). It
/// stands in the place of the person's consent: a shared program gets a token by scope under its session task, an agent's a task for the person. Never a
/// refresh token: the next assertion is the provider's to give.
/// </summary>
internal sealed class IdentityAssertionGrant(
    IdJagVerifier verifier, Subjects subjects, EnterpriseConsents consents, PersonSessions sessions, EnterpriseWork work, ServerOptions options)
{
    public const string OtherResource = "wrong_resource", OtherScope = "wrong_scope", NotByScope = "not_by_scope";

    public async Task<GrantResult> EstablishAsync(TokenRequest request, CancellationToken cancel)
    {
        // 1. Software that proved who it is: whoever sees an assertion on its way must not be able to use it.
        if (request.Form[Names.Assertions.Parameter] is not { } assertion)
            return OAuthError.InvalidRequest("assertion is missing.");
        var client = request.Client.Client!;
        if (request.Client.Method == Names.ClientAssertion.None || client.Public || client.Administers)
            return new OAuthError(Names.Errors.UnauthorizedClient, "Only a client that authenticates, and does not administer this server, acts on what is said of people.");

        // 2. The assertion.
        if (!(await verifier.VerifyAsync(assertion, client.Id, request.Registry, cancel)).TryGet(out var said, out var fault))
            return OAuthError.InvalidGrant(fault.Message, fault.Code);
        if (said.Key is { } key && request.Proof?.Thumbprint != key)
            return OAuthError.InvalidProof(new Fault(request.Proof is null ? "missing" : "wrong_key", "The assertion is bound to another key."));

        // 3. For one tool server, of those that it names.
        var (target, error) = Target(request, said);
        if (error is not null)
            return error;
        if (client.ToolServers.Count > 0 && !client.ToolServers.Contains(target!.Id))
            return new OAuthError(Names.Errors.InvalidTarget, "The resource is not for this client.");

        // 4. What the provider allows there. RFC 6749 §3.3: where it says nothing, the default, which is the least.
        List<string> words = said.Scope is null ? [Names.Scopes.ToolsRead] : [.. ScopeWords.Split(said.Scope).Where(word => ScopeWords.IsKnown(word, target!))];
        if (words.Count == 0)
            return OAuthError.InvalidGrant("The assertion's scope names nothing of this resource.", OtherScope);

        // 5. Who the person is here.
        if (!(await subjects.FindAsync(said, request.Now, cancel)).TryGet(out var person, out fault))
            return OAuthError.InvalidGrant(fault.Message, fault.Code);
        return client.AgentId is { } agent
            ? await work.PlanAsync(request, said, person, request.Registry.Agents[agent], target!, words, cancel)
            : await ByScopeAsync(request, said, person, client, target!, words, cancel);
    }

    private async Task<GrantResult> ByScopeAsync(
        TokenRequest request, IdJag said, FederatedPerson person, ClientRecord client, ToolServerRecord target, List<string> held, CancellationToken cancel)
    {
        if (request.DetailsRefused is { } refused)
            return refused;
        // RFC 9396 §3.1: they are never passed over, and the words could say more than they do.
        if (said.Details is not null)
            return OAuthError.InvalidGrant("The assertion has authorization_details, and the client is no agent: it has authority by scope.", NotByScope);
        // What is both asked for and allowed; either may be the narrower one.
        var asked = request.Form[Names.OAuth.Scope] is { } scope ? ScopeWords.Split(scope) : held;
        List<string> words = [.. asked.Where(word => ScopeWords.Covers(held, word, target)), .. held.Where(word => ScopeWords.Covers(asked, word, target))];
        if (words.Count == 0)
            return OAuthError.InvalidGrant("The assertion allows nothing of what is asked for.", OtherScope);

        var authority = ScopeWords.ToAuthority(words, target);
        var consent = await consents.PlanAsync(said, person.Person.Id, client, null, target, held, ScopeWords.ToAuthority(held, target), request.Now, cancel);
        if (!consent.TryGet(out var allowed, out var stopped))
            return OAuthError.InvalidGrant(stopped.Message, stopped.Code);
        var session = await sessions.CurrentAsync(client, person.Person.Id, authority, request.Now, cancel);
        return new Issuance
        {
            Who = new Principals(person.Person.Id, Names.Claims.ProfileUser, person.Person.Id, null, null, client.Id, []), Target = target, Authority = authority,
            Scope = ScopeWords.Join(words), ByScope = true, TaskId = session.Id, TaskExpires = session.Expires, NewTask = session.New, SessionAdds = session.Adds,
            GrantId = Id.New(Id.Grant, request.Now), Consent = allowed.Id, Thumbprint = request.Proof?.Thumbprint, Jti = Id.New(Id.AccessToken, request.Now), IssuedAt = request.Now,
            Expires = Issuance.Earliest(request.Now + options.AccessTokenLifetime, session.Expires), RegistryVersion = request.Registry.Version, GrantType = Names.Assertions.JwtBearer,
            Consume = [.. request.Consume, said.Once], Federates = new Federating(said, person, allowed, request.Now), Presence = new Presence(said.AuthTime, null, person.Person),
        };
    }

    /// <summary>The tool server that is asked for and allowed; where nothing is asked for, the one that is allowed.</summary>
    private static (ToolServerRecord? Target, OAuthError? Error) Target(TokenRequest request, IdJag said)
    {
        List<string> asked = [.. request.Form.Values(Names.Resources.Resource).Concat(request.Form.Values(Names.Exchange.Audience)).Distinct(StringComparer.Ordinal)];
        if (asked.Count > 1)
            return (null, new(Names.Errors.InvalidTarget, "A token has one audience: name one resource."));
        List<ToolServerRecord> allowed = [.. said.Resources.Select(request.Registry.Named).OfType<ToolServerRecord>().Distinct()];
        var target = asked is [var named] ? request.Registry.Named(named) is { } server && allowed.Contains(server) ? server : null : allowed is [var only] ? only : null;
        return target is not null ? (target, null)
            : (null, OAuthError.InvalidGrant("The assertion is not for the one registered tool server that is asked for.", OtherResource));
    }
}
