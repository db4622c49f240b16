using McpAuth.Protocol;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Registry;
using McpAuthServer.Tokens;

namespace McpAuthServer.Grants;

/// <summary>What the token of a task stands on, for whatever is exchanged from it.</summary>
internal sealed class TaskParents(GrantStore grants, TaskStore tasks, PersonAt people)
{
    /// <summary>Its grant and task; whether all of it still lives is asked again by the issuing unit.</summary>
    public async Task<(OAuthError? Error, (GrantRecord Grant, TaskRecord Task) Value)> FindAsync(TokenRequest request, OwnToken subject, CancellationToken cancel)
    {
        if (subject.Grant is null || subject.Task is null || subject.Jwt.Payload.TryGetProperty(Names.Claims.StepUp, out _))
            return (OAuthError.InvalidRequest("The subject token carries no task authority that could be exchanged.", Names.Reasons.WrongType), default);
        // Every agent in the chain, not only the outermost (invariant 3). The snapshot they are read from is checked in the unit.
        foreach (var agent in Agents(subject))
            if (request.Registry.Agents.GetValueOrDefault(agent) is not { Active: true })
                return (OAuthError.InvalidRequest("An agent in the chain is not active.", Names.Reasons.AgentSuspended), default);
        if (await grants.Find(subject.Grant, cancel) is not { } grant || await tasks.FindTerms(subject.Task, cancel) is not { } task)
            return (OAuthError.InvalidRequest("The subject token's grant is unknown.", Names.Reasons.Revoked), default);
        return (null, (grant, task));
    }

    /// <summary>Of the person the work is for, if there is one; whether they are still enabled is asked again by the issuing unit.</summary>
    public async Task<Presence?> PresenceAsync(GrantRecord grant, OwnToken subject, CancellationToken cancel) =>
        grant.UserId is { } user ? await people.FindAsync(user, subject.AuthTime, subject.Acr, cancel) : null;

    /// <summary>Those of every agent in the subject's chain, and of who takes over, as they are now: a ceiling may have been lowered since.</summary>
    public static (Authority, string)[] Ceilings(TokenRequest request, OwnToken subject, AgentRecord? taker) =>
    [
        .. taker is null ? Array.Empty<(Authority, string)>() : [(taker.Ceiling, "the agent's ceiling")],
        .. Agents(subject).Where(id => id != taker?.Id).Select(id => (request.Registry.Agents[id].Ceiling, "the ceiling of an agent in the chain")),
    ];

    public static Issuance Plan(
        TokenRequest request, Principals who, ToolServerRecord target, Authority authority, TaskRecord task, GrantRecord grant, TimeSpan lifetime) => new()
    {
        Who = who, Target = target, Authority = authority, Scope = authority.ToScope(target.Resource), TaskId = task.Id, TaskExpires = task.Expires,
        TaskHasParent = task.ParentId is not null, GrantId = Id.New(Id.Grant, request.Now), Consent = grant.Consent, Jti = Id.New(Id.AccessToken, request.Now), IssuedAt = request.Now,
        Expires = Issuance.Earliest(request.Now + lifetime, task.Expires, grant.InstancesEnd ?? task.Expires), RegistryVersion = request.Registry.Version,
        GrantType = Names.Exchange.GrantType, Consume = request.Consume,
    };

    public static string Profile(string subject) =>
        subject.StartsWith(Id.User, StringComparison.Ordinal) ? Names.Claims.ProfileUser
        : subject.StartsWith(Id.Agent, StringComparison.Ordinal) ? Names.Claims.ProfileAgent : Names.Claims.ProfileClient;

    private static IEnumerable<string> Agents(OwnToken subject) => subject.Chain.Append(subject.Subject).Where(id => id.StartsWith(Id.Agent, StringComparison.Ordinal));
}
