using System.Globalization;
using System.Text;
using McpAuth.Protocol;
using McpAuth.Protocol.Forms;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Delegation;
using McpAuthServer.Registry;

namespace McpAuthServer.Authorizations;

/// <summary>Reads authorization requests (RFC 6749 §4.1.1, OAuth 2.1 §4.1.1).</summary>
internal sealed class AuthorizationRequests(Issuer issuer)
{
    private static readonly HashSet<string> Repeatable = [Names.Resources.Resource];

    private static readonly HashSet<string> Prompts =
        [Names.Authorization.PromptNone, Names.Authorization.PromptLogin, Names.Authorization.PromptConsent, Names.Authorization.PromptSelectAccount];

    /// <param name="query">Of the request, without the question mark.</param>
    public ReadRequest Read(string query, RegistrySnapshot registry, DateTimeOffset now)
    {
        if (!StrictForm.ParseRepeated(Encoding.UTF8.GetBytes(query), Repeatable).TryGet(out var form, out var fault))
            return new ReadRequest.Unanswerable(fault.Message, fault.Code, null);

        // 1. Who asks, and where the answer may go. Until both are known nothing is sent anywhere (RFC 6749 §4.1.2.1).
        if (form.Repeated.Contains(Names.OAuth.ClientId) || form[Names.OAuth.ClientId] is not { } id || registry.Clients.GetValueOrDefault(id) is not { Active: true } client)
            return new ReadRequest.Unanswerable("The program that sent you here is not registered.", "unknown_client", null);
        var state = form.Repeated.Contains(Names.OAuth.State) ? null : form[Names.OAuth.State];
        if (form.Repeated.Contains(Names.OAuth.RedirectUri) || ValidatedRedirect.Of(client, form[Names.OAuth.RedirectUri], issuer, state) is not { } redirect)
            return new ReadRequest.Unanswerable($"{client.Name} sent you here with a return address that is not registered for it.", "redirect_uri", client.Id);

        ReadRequest.Refused Refuse(string error, string description) => new(redirect, error, description, client.Id);

        // 2. From here on the client is told. No parameter but resource stands twice (RFC 6749 §3.1).
        if (form.Repeated.Count > 0)
            return Refuse(Names.Errors.InvalidRequest, "A parameter stands more than once.");
        // RFC 9101 §5: not offered, and so never fetched.
        if (form[Names.Authorization.RequestUri] is not null)
            return Refuse(Names.Errors.RequestUriNotSupported, "request_uri is not offered.");
        if (form[Names.Authorization.Request] is not null)
            return Refuse(Names.Errors.RequestNotSupported, "Request objects are not offered.");
        if (form[Names.OAuth.ResponseType] is not { } type)
            return Refuse(Names.Errors.InvalidRequest, "response_type is missing.");
        if (type != Names.OAuth.Code)
            return Refuse(Names.Errors.UnsupportedResponseType, "The only response_type is code.");
        if (form[Names.OAuth.ResponseMode] is not (null or "query"))
            return Refuse(Names.Errors.InvalidRequest, "The only response_mode is query.");
        if (!client.GrantTypes.Contains(Names.OAuth.AuthorizationCode))
            return Refuse(Names.Errors.UnauthorizedClient, "The client is not registered for authorization_code.");

        // 3. PKCE, always, and S256 (RFC 7636 §4.3, OAuth 2.1 §4.1.1).
        if (form[Names.Pkce.Challenge] is not { } challenge || form[Names.Pkce.Method] != Names.Pkce.S256 || !IsS256(challenge))
            return Refuse(Names.Errors.InvalidRequest, "A code_challenge with code_challenge_method=S256 is needed.");

        // 4. How the person is to be asked.
        var prompt = (form[Names.Authorization.Prompt] ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries).ToHashSet(StringComparer.Ordinal);
        if (!prompt.IsSubsetOf(Prompts) || (prompt.Count > 1 && prompt.Contains(Names.Authorization.PromptNone)))
            return Refuse(Names.Errors.InvalidRequest, "prompt is none alone, or some of login, consent and select_account.");
        TimeSpan? maxAge = null;
        if (form[Names.Authorization.MaxAge] is { } age)
        {
            if (!int.TryParse(age, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds))
                return Refuse(Names.Errors.InvalidRequest, "max_age is a number of seconds.");
            maxAge = TimeSpan.FromSeconds(seconds);
        }

        // 5. What is asked for.
        var asked = client.AgentId is { } agent ? Delegation(form, registry.Agents[agent], registry, now) : ByScope(form, client, registry);
        return asked.TryGet(out var what, out fault)
            ? new ReadRequest.Valid(new AuthorizationRequest(client, redirect, challenge, what, prompt, maxAge))
            : Refuse(fault.Code, fault.Path is null ? fault.Message : $"{fault.Message} ({fault.Path})");
    }

    private static Result<Asked> ByScope(StrictForm form, ClientRecord client, RegistrySnapshot registry)
    {
        if (form[Names.Resources.AuthorizationDetails] is not null)
            return new Fault(Names.Errors.InvalidAuthorizationDetails, "A client that is no agent asks by scope.");
        // RFC 8707 §2.1. Absent: the client's only tool server.
        var named = form.Values(Names.Resources.Resource).Distinct(StringComparer.Ordinal).ToList();
        if (named.Count > 1)
            return new Fault(Names.Errors.InvalidTarget, "Ask for one resource at a time.");
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
        if (Narrowing.ForTask(details.Authority, agent, registry) is { } beyond)
            return beyond;
        return TaskDeadline.Resolve(details.Task.ExpiresAt, agent.MaxTask, now).TryGet(out var until, out fault)
            ? new Asked.Delegation(agent, details.Authority, purpose, until)
            : fault;
    }

    // RFC 7636 §4.2: base64url of a SHA-256, 43 characters.
    private static bool IsS256(string challenge) => challenge.Length == 43 && challenge.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');
}
