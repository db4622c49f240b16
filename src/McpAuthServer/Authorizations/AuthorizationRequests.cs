using System.Globalization;
using System.Text;
using McpAuth.Protocol;
using McpAuth.Protocol.Forms;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Clients;
using McpAuthServer.Delegation;
using McpAuthServer.People;
using McpAuthServer.Registry;
using McpAuthServer.Tokens;

namespace McpAuthServer.Authorizations;

/// <summary>Reads authorization requests (RFC 6749 §4.1.1, OAuth 2.1 §4.1.1), as they come in a query or were pushed.</summary>
internal sealed class AuthorizationRequests(Issuer issuer, ClientDirectory clients, PushedRequests pushed, IdTokens idTokens)
{
    private static readonly HashSet<string> Repeatable = [Names.Resources.Resource];

    private static readonly HashSet<string> Credentials = [Names.OAuth.ClientSecret, Names.ClientAssertion.Parameter, Names.ClientAssertion.TypeParameter, Names.OAuth.ClientId];

    private static readonly HashSet<string> Prompts =
        [Names.Authorization.PromptNone, Names.Authorization.PromptLogin, Names.Authorization.PromptConsent, Names.Authorization.PromptSelectAccount];

    /// <summary>The reference in a query, and whose it is said to be; null when the request is in the query itself.</summary>
    public static (string Reference, string Client)? Reference(string query) =>
        Parse(query) is { Ok: true, Value: var form } && form[Names.Authorization.RequestUri] is { } reference && reference.StartsWith(PushedRequests.Prefix, StringComparison.Ordinal)
            ? (reference, form[Names.OAuth.ClientId] ?? "")
            : null;

    /// <param name="query">Of the request, without the question mark. A reference in it must have been opened.</param>
    public async Task<ReadRequest> ReadAsync(string query, RegistrySnapshot registry, DateTimeOffset now, CancellationToken cancel)
    {
        if (!Parse(query).TryGet(out var form, out var fault))
            return new ReadRequest.Unanswerable(fault.Message, fault.Code, null);
        if (form.Repeated.Contains(Names.OAuth.ClientId) || form[Names.OAuth.ClientId] is not { } id)
            return UnknownClient;
        if (!(await clients.ResolveAsync(id, registry, cancel)).TryGet(out var client, out fault))
            return fault.Code == ClientDirectory.UnknownClient ? UnknownClient
                : new ReadRequest.Unanswerable($"The program that sent you here cannot be identified by its address. {fault.Message}", fault.Code, null);
        if (!client.Active)
            return UnknownClient;
        if (Reference(query) is not { } reference)
            return await ReadAsync(form, client, wasPushed: false, registry, now, cancel);
        // RFC 9126 §4: what was pushed is the request, and nothing of the query beside it.
        return await pushed.FindAsync(reference.Reference, client.Id, cancel) is { } kept && Parse(kept).TryGet(out form, out _)
            ? await ReadAsync(form, client, wasPushed: true, registry, now, cancel)
            : UnknownReference(client.Id);
    }

    private static ReadRequest.Unanswerable UnknownClient => new("The program that sent you here is not registered.", ClientDirectory.UnknownClient, null);

    /// <summary>A reference that opens nothing (any more).</summary>
    public static ReadRequest.Unanswerable UnknownReference(string? client) =>
        new("The request was used already, or it waited too long. Go back to the program that sent you here and start again.", "request_uri", client);

    /// <param name="form">Where parameters that stand twice are still told.</param>
    /// <param name="client">Whoever the form says.</param>
    public async Task<ReadRequest> ReadAsync(StrictForm form, ClientRecord client, bool wasPushed, RegistrySnapshot registry, DateTimeOffset now, CancellationToken cancel)
    {
        // 1. Where the answer may go. Until that is known nothing is sent anywhere (RFC 6749 §4.1.2.1).
        var state = form.Repeated.Contains(Names.OAuth.State) ? null : form[Names.OAuth.State];
        var mode = form.Repeated.Contains(Names.OAuth.ResponseMode) ? null : form[Names.OAuth.ResponseMode];
        if (form.Repeated.Contains(Names.OAuth.RedirectUri)
            || ValidatedRedirect.Of(client, form[Names.OAuth.RedirectUri], issuer, state, mode == Names.Authorization.FormPost ? ResponseMode.FormPost : ResponseMode.Query) is not { } redirect)
            return new ReadRequest.Unanswerable($"{client.Name} sent you here with a return address that is not registered for it.", "redirect_uri", client.Id);

        var silent = !form.Repeated.Contains(Names.Authorization.Prompt) && Manner.PromptOf(form).Contains(Names.Authorization.PromptNone);
        ReadRequest.Refused Refuse(string error, string description) => new(redirect, error, description, client.Id, silent);

        // 2. From here on the client is told. No parameter but resource stands twice (RFC 6749 §3.1).
        if (form.Repeated.Count > 0)
            return Refuse(Names.Errors.InvalidRequest, "A parameter stands more than once.");
        // RFC 9101 §5: not offered, and so never fetched. RFC 9126 §2.1: nor inside of what is pushed.
        if (form[Names.Authorization.RequestUri] is not null)
            return Refuse(Names.Errors.RequestUriNotSupported, "Only what was pushed to this server can be referred to.");
        if (form[Names.Authorization.Request] is not null)
            return Refuse(Names.Errors.RequestNotSupported, "Request objects are not offered.");
        // RFC 9126 §6.
        if (client.RequiresPushed && !wasPushed)
            return Refuse(Names.Errors.InvalidRequest, "The client is registered for pushed requests only.");
        if (form[Names.OAuth.ResponseType] is not { } type)
            return Refuse(Names.Errors.InvalidRequest, "response_type is missing.");
        if (type != Names.OAuth.Code)
            return Refuse(Names.Errors.UnsupportedResponseType, "The only response_type is code.");
        if (mode is not (null or Names.Authorization.Query or Names.Authorization.FormPost))
            return Refuse(Names.Errors.InvalidRequest, "response_mode is query or form_post.");
        if (!client.GrantTypes.Contains(Names.OAuth.AuthorizationCode))
            return Refuse(Names.Errors.UnauthorizedClient, "The client is not registered for authorization_code.");

        // 3. PKCE, always, and S256 (RFC 7636 §4.3, OAuth 2.1 §4.1.1). RFC 9449 §10: the key that the code will be bound to.
        if (form[Names.Pkce.Challenge] is not { } challenge || form[Names.Pkce.Method] != Names.Pkce.S256 || !IsSha256(challenge))
            return Refuse(Names.Errors.InvalidRequest, "A code_challenge with code_challenge_method=S256 is needed.");
        if (form[Names.Dpop.Thumbprint] is { } thumbprint && !IsSha256(thumbprint))
            return Refuse(Names.Errors.InvalidRequest, "dpop_jkt is the SHA-256 thumbprint of a key.");

        // 4. Who the client takes the person to be (OpenID Connect Core §3.1.2.1): by an ID token of its own, also by one that is expired.
        IdTokenHint? told = null;
        var hint = form[Names.OpenId.IdTokenHint];
        if (hint is not null && (!(await idTokens.ReadHintAsync(hint, cancel)).TryGet(out told, out _) || (told is not null && told.ClientId != client.Id)))
            return Refuse(Names.Errors.InvalidRequest, "id_token_hint is no ID token that this client got here.");

        // 5. How the person is to be asked, and what for.
        if (!Manner.Read(form).TryGet(out var manner, out var fault) || !WhatFor(form, client, registry, now).TryGet(out var asked, out fault))
            return Refuse(fault.Code, fault.Path is null ? fault.Message : $"{fault.Message} ({fault.Path})");
        // Who is meant cannot be told any more, so nobody is taken for them without being asked.
        if (hint is not null && told is null && manner.Prompt.Contains(Names.Authorization.PromptNone))
            return Refuse(Names.Errors.LoginRequired, "id_token_hint is too old to say whom it is about.");
        return new ReadRequest.Valid(new AuthorizationRequest(client, redirect, asked, manner.Prompt, manner.MaxAge)
        {
            Challenge = challenge, Nonce = manner.Nonce, Subject = told?.Subject, Thumbprint = form[Names.Dpop.Thumbprint],
        });
    }

    /// <summary>What a request asks for, whatever way its answer takes.</summary>
    public static Result<Asked> WhatFor(StrictForm form, ClientRecord client, RegistrySnapshot registry, DateTimeOffset now) =>
        client.AgentId is { } agent ? Delegation(form, registry.Agents[agent], registry, now) : ByScope(form, client, registry);

    /// <summary>The parameters of a request, repeated ones told.</summary>
    public static Result<StrictForm> Parse(string encoded) => StrictForm.ParseRepeated(Encoding.UTF8.GetBytes(encoded), Repeatable);

    /// <summary>What of a form has to be kept to read it again: all of it but what authenticated the client.</summary>
    /// <param name="thumbprint">Of the key that was proved with it.</param>
    public static string Kept(StrictForm form, string client, string? thumbprint)
    {
        var fields = form.Names.Where(name => !Credentials.Contains(name)).SelectMany(name => form.Values(name).Select(value => (Name: name, Value: value)))
            .Append((Name: Names.OAuth.ClientId, Value: client));
        if (thumbprint is not null && form[Names.Dpop.Thumbprint] is null)
            fields = fields.Append((Name: Names.Dpop.Thumbprint, Value: thumbprint));
        return string.Join('&', fields.Select(field => $"{Uri.EscapeDataString(field.Name)}={Uri.EscapeDataString(field.Value)}"));
    }

    /// <summary>OpenID Connect Core §3.1.2.1, RFC 9470 §4.</summary>
    private sealed record Manner(IReadOnlySet<string> Prompt, TimeSpan? MaxAge, string? Nonce)
    {
        private const int LongestNonce = 512;

        public static HashSet<string> PromptOf(StrictForm form) =>
            (form[Names.Authorization.Prompt] ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries).ToHashSet(StringComparer.Ordinal);

        public static Result<Manner> Read(StrictForm form)
        {
            var prompt = PromptOf(form);
            if (!prompt.IsSubsetOf(Prompts) || (prompt.Count > 1 && prompt.Contains(Names.Authorization.PromptNone)))
                return new Fault(Names.Errors.InvalidRequest, "prompt is none alone, or some of login, consent and select_account.");
            TimeSpan? maxAge = null;
            if (form[Names.Authorization.MaxAge] is { } age)
            {
                if (!int.TryParse(age, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds))
                    return new Fault(Names.Errors.InvalidRequest, "max_age is a number of seconds.");
                maxAge = TimeSpan.FromSeconds(seconds);
            }
            // RFC 9470 §4: a client that asks for a way of signing in gets one of those, or is told.
            if (form[Names.Authorization.AcrValues] is { } acr && !acr.Split(' ').Intersect(SignInSession.Ways, StringComparer.Ordinal).Any())
                return new Fault(Names.Errors.UnmetAuthenticationRequirements, "None of acr_values is a way in which people sign in here.");
            return form[Names.Claims.Nonce] is { Length: > LongestNonce }
                ? new Fault(Names.Errors.InvalidRequest, $"nonce has at most {LongestNonce} characters.")
                : new Manner(prompt, maxAge, form[Names.Claims.Nonce]);
        }
    }

    private static Result<Asked> ByScope(StrictForm form, ClientRecord client, RegistrySnapshot registry)
    {
        if (form[Names.Resources.AuthorizationDetails] is not null)
            return new Fault(Names.Errors.InvalidAuthorizationDetails, "A client that is no agent asks by scope.");
        // RFC 8707 §2.1. Absent: the client's only tool server; without one, who the person is, if that is asked for and nothing of tools.
        var named = form.Values(Names.Resources.Resource).Distinct(StringComparer.Ordinal).ToList();
        if (named.Count > 1)
            return new Fault(Names.Errors.InvalidTarget, "Ask for one resource at a time.");
        var asked = ScopeWords.Split(form[Names.OAuth.Scope]);
        if (named.Count == 0 && client.ToolServers.Count != 1 && ScopeWords.Identity(asked) is { Count: > 0 } identity && !asked.Any(ScopeWords.IsOfTools))
            return new Asked.Identity(identity);
        var server = named is [var resource] ? registry.Named(resource)
            : client.ToolServers is { Count: 1 } only && registry.ToolServers.GetValueOrDefault(only.First()) is { Active: true } single ? single : null;
        if (server is null || (client.ToolServers.Count > 0 && !client.ToolServers.Contains(server.Id)))
            return new Fault(Names.Errors.InvalidTarget, "The resource is missing, is no registered tool server, or is not for this client.");
        var words = ScopeWords.Asked(form[Names.OAuth.Scope], server);
        return words.TryGet(out var known, out var fault) ? new Asked.ByScope(server, known) : fault;
    }

    private static Result<Asked> Delegation(StrictForm form, AgentRecord agent, RegistrySnapshot registry, DateTimeOffset now)
    {
        if (form.Values(Names.Resources.Resource).Count > 0)
            return new Fault(Names.Errors.InvalidTarget, "What a person hands to an agent is for this server: name the tool servers as locations.");
        if (form[Names.Resources.AuthorizationDetails] is not { } text)
            return new Fault(Names.Errors.InvalidAuthorizationDetails, "An agent asks with authorization_details.");
        if (!agent.Active)
            return new Fault(Names.Errors.UnauthorizedClient, "The agent is not active.");
        if (!StrictJson.Parse(text, new JsonLimits(Limits.TokenBody)).TryGet(out var json, out var fault))
            return new Fault(Names.Errors.InvalidAuthorizationDetails, fault.Message, fault.Path);
        if (!Authority.ParseRequest(json).TryGet(out var details, out fault))
            return fault;
        if (details.Task is not { Purpose: { } purpose })
            return new Fault(Names.Errors.InvalidAuthorizationDetails, "authorization_details must say the purpose of the task that the person is asked for.");
        if (details.Task.Resumable)
            return new Fault(Names.Errors.InvalidAuthorizationDetails, "Whether the task is resumable is said at the exchange that begins it.");
        if (Narrowing.ForTask(details.Authority, agent, registry) is { } beyond)
            return beyond;
        // RFC 9396 §3.1: both are read together. The details decide; a scope that asks more of tool servers is not passed over.
        if (ScopeWords.Split(form[Names.OAuth.Scope]).Where(ScopeWords.IsOfTools).Except(ScopeWords.Of(details.Authority)).Any())
            return new Fault(Names.Errors.InvalidScope, "The scope asks for more than authorization_details, which are all that an agent gets.");
        return TaskDeadline.Resolve(details.Task.ExpiresAt, agent.MaxTask, now).TryGet(out var until, out fault)
            ? new Asked.Delegation(agent, details.Authority, purpose, until)
            : fault;
    }

    // RFC 7636 §4.2, RFC 7638 §3: base64url of a SHA-256, 43 characters.
    private static bool IsSha256(string text) => text.Length == 43 && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');
}
