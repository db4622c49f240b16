using System.Globalization;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Forms;
using McpAuth.Protocol.Messages;
using McpAuthServer.Audit;
using McpAuthServer.Authorizations;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Pages.Wording;
using McpAuthServer.People;
using McpAuthServer.Tokens;

namespace McpAuthServer.Ciba;

/// <summary>Backchannel authentication endpoint (CIBA §7): an agent asks a person, who is elsewhere, for a task, and polls for the answer.</summary>
internal static class BackchannelAuthenticationEndpoint
{
    private const int LongestMessage = 100, LongestHint = 320;

    /// <summary>What could be in a request and is not offered: to pass over any of it would be to do something else than was asked.</summary>
    private static readonly string[] NotOffered =
    [
        Names.Authorization.Request, Names.Authorization.RequestUri, Names.Ciba.LoginHintToken, Names.OpenId.IdTokenHint, Names.Ciba.UserCode, Names.Authorization.AcrValues,
    ];

    public static IEndpointConventionBuilder MapBackchannelAuthentication(this IEndpointRouteBuilder routes) =>
        routes.Map(Names.Paths.BackchannelAuthentication, HandleAsync);

    private static async Task<IResult> HandleAsync(
        HttpContext context, ClientRequests clients, BackchannelRequests questions, InstanceStore instances, PersonStore people, AuditTrail audit, TimeProvider time)
    {
        var cancel = context.RequestAborted;

        // 1. Who asks, authenticated as at the token endpoint (§7.1): an agent's client, registered for this.
        var (request, error) = await clients.ReadAsync(context, Names.Paths.BackchannelAuthentication, AuditTypes.AskingRefused);
        if (request is null)
            return error!;
        var (form, client, now) = (request.Form, request.Client, time.GetUtcNow());
        if (client.Client is not { AgentId: { } agentId } software || client.Method == Names.ClientAssertion.None || !software.GrantTypes.Contains(Names.Ciba.GrantType))
            return await RefuseAsync(new(Names.Errors.UnauthorizedClient, "The client is not registered to ask people for an agent."));

        // 2. Which instance of the agent, by the key that will poll.
        if (request.Proof is null && request.Registry.Agents[agentId].RequireDpop)
            return await RefuseAsync(OAuthError.InvalidProof(new Fault("missing", "The agent is registered for tokens that are bound to a key.")));
        string? instance = null;
        if (request.Proof is { Thumbprint: var key } && (instance = await instances.FindByKey(agentId, key, now, cancel)) is null)
            return await RefuseAsync(OAuthError.InvalidProof(new Fault("wrong_key", "The key is not that of a live instance of the agent.")));

        // 3. How it asks (§7.1, §13).
        if (Manner.Read(form) is var (manner, refusal) && manner is null)
            return await RefuseAsync(refusal!, instance);

        // 4. What for, checked as a request in a browser is.
        if (!AuthorizationRequests.WhatFor(form, software, request.Registry, now).TryGet(out _, out var fault))
            return await RefuseAsync(OAuthError.From(fault), instance);

        // 5. Whom. Last, so that nothing else tells who there is; and nobody is told apart from somebody who cannot answer.
        if (await people.FindToAsk(manner.Hint, cancel) is not { } user)
            return await RefuseAsync(new(Names.Ciba.UnknownUserId, "login_hint names nobody who could be asked."), instance);

        // 6. One commit, which also knows how often the person was asked.
        var id = OpaqueToken.New(BackchannelRequests.Prefix);
        var asked = audit.Success(AuditTypes.PersonAsked) with { User = user, Agent = agentId, Instance = instance, Client = client.Id };
        asked = asked with { Data = new() { ["expires_in"] = (int)manner.Life.TotalSeconds } };
        var waits = new BackchannelRequest(
            new PolledRequest(id.Hash, client.Id, AuthorizationRequests.Kept(form, client.Id, null), request.Proof?.Thumbprint, PolledRequest.Pending, now + manner.Life),
            user, agentId, instance, manner.Message, now, asked.Id);
        return await questions.AskAsync(waits, request.Consume, asked) switch
        {
            { Replayed: { } space } => OAuthError.Replay(space),
            // §13: denied by this server, before the person.
            { Reason: { } reason, Wait: var wait } => new OAuthError(Names.Errors.AccessDenied, "The person was asked enough for now.", StatusCodes.Status403Forbidden, reason)
            {
                RetryAfter = Math.Max(1, (int)Math.Ceiling(wait.TotalSeconds)),
            },
            _ => Results.Json(
                new BackchannelResponse(id.Value, (int)manner.Life.TotalSeconds, (int)PolledRequests.Interval.TotalSeconds), ProtocolJson.Default.BackchannelResponse),
        };

        async Task<IResult> RefuseAsync(OAuthError e, string? by = null) => await clients.RefuseAsync(request, e, AuditTypes.AskingRefused, by);
    }

    /// <summary>CIBA §7.1.</summary>
    private sealed record Manner(string Hint, string? Message, TimeSpan Life)
    {
        public static (Manner? Manner, OAuthError? Refusal) Read(StrictForm form)
        {
            if (Array.Find(NotOffered, name => form[name] is not null) is { } name)
                return (null, OAuthError.InvalidRequest($"{name} is not offered.", name));
            // An agent signs nobody in, so nothing of openid is granted; who has to send the word may.
            if (ScopeWords.Split(form[Names.OAuth.Scope]).Any(word => word != Names.Scopes.OpenId))
                return (null, new(Names.Errors.InvalidScope, "An agent asks with authorization_details; scope is openid, or absent."));
            if (form[Names.Ciba.LoginHint] is not { Length: <= LongestHint } hint)
                return (null, OAuthError.InvalidRequest("login_hint is needed: the person's sign-in name or id.", Names.Ciba.LoginHint));
            // What would be shown otherwise than it was sent is not the same line on both sides.
            if (form[Names.Ciba.BindingMessage] is { } message && ShownText.Of(message, LongestMessage) != message)
                return (null, new(Names.Ciba.InvalidBindingMessage, $"binding_message is one line of at most {LongestMessage} visible characters."));
            return LifeOf(form[Names.Ciba.RequestedExpiry]) is { } life
                ? (new(hint, form[Names.Ciba.BindingMessage], life), null)
                : (null, OAuthError.InvalidRequest("requested_expiry is a positive number of seconds.", Names.Ciba.RequestedExpiry));
        }

        /// <summary>As long as is asked for, and no longer than any request waits; null when it is no positive number.</summary>
        private static TimeSpan? LifeOf(string? asked)
        {
            if (asked is null)
                return PolledRequests.Life;
            if (!asked.All(char.IsAsciiDigit) || asked.All(c => c == '0'))
                return null;
            return int.TryParse(asked, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) && seconds < PolledRequests.Life.TotalSeconds
                ? TimeSpan.FromSeconds(seconds) : PolledRequests.Life;
        }
    }
}
