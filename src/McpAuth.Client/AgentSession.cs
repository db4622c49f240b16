using System.Globalization;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuth.Protocol.ToolCalls;

namespace McpAuth.Client;

/// <summary>
/// One running copy of an agent: attested, bound to a key, renewed with that key for as long as the session lasts, ended when it is disposed. Thread-safe. Every method
/// throws <see cref="OAuthErrorException"/> when the server refuses, <see cref="HttpRequestException"/> when it cannot be asked, and <see cref="EvidenceException"/>
/// when the program cannot get at its evidence.
/// </summary>
public sealed class AgentSession : IAsyncDisposable
{
    private AgentSession(AttestedInstance attested)
    {
        Attested = attested;
        Tokens = new TokenEndpoint(attested.Server, attested.Client, attested.Key);
        Tasks = new TaskEndpoint(attested);
    }

    /// <summary>The key every token of this session is bound to.</summary>
    public SigningKey Key => Attested.Key;
    public string Issuer => Attested.Server.Issuer;

    /// <summary>The instance's id, <c>ins_…</c>.</summary>
    public string Instance => Attested.Current.Instance;

    /// <summary>The governed agent this is a copy of, <c>agt_…</c>.</summary>
    public string Agent => Attested.Current.Agent;

    internal AttestedInstance Attested { get; }
    internal TokenEndpoint Tokens { get; }
    internal TaskEndpoint Tasks { get; }

    /// <summary>Attests this process as the agent that <paramref name="client"/> authenticates.</summary>
    /// <param name="key">The instance's key; null = a new one that never leaves this process.</param>
    public static Task<AgentSession> AttestAsync(
        string issuer, ClientAuthentication client, SigningKey? key = null, ConnectionOptions? options = null, CancellationToken cancellationToken = default) =>
        AttestAsync(issuer, WorkloadEvidence.Client(client), key, options, cancellationToken);

    /// <summary>Attests this process as the agent that the registry binds its evidence to. Which agent, and which client it is, the server says.</summary>
    /// <param name="key">The instance's key; null = a new one that never leaves this process.</param>
    /// <exception cref="OAuthErrorException">
    /// The evidence is refused; <see cref="OAuthErrorException.Reason"/> says why: <c>no_binding</c>, <c>wrong_audience</c>, <c>expired</c>, <c>evidence_of_another_key</c>…
    /// </exception>
    public static async Task<AgentSession> AttestAsync(
        string issuer, WorkloadEvidence evidence, SigningKey? key = null, ConnectionOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(evidence);
        var attested = new AttestedInstance(new ServerConnection(issuer, options ?? new ConnectionOptions()), evidence, key);
        try
        {
            await attested.Start(cancellationToken);
            return new AgentSession(attested);
        }
        catch
        {
            attested.Dispose();
            throw;
        }
    }

    /// <summary>Begins a task of this agent's own; it ends when it is completed or disposed.</summary>
    /// <param name="purpose">For people: shown and recorded, never read for authority.</param>
    /// <param name="authority">The tools and arguments the task needs, within the agent's ceiling.</param>
    /// <param name="expiresAt">Null = one hour; at most 24.</param>
    /// <param name="resumable">
    /// Whether another instance of this agent could go on with it: then the end of this one does not fail the task. It waits for <see cref="ResumeTask"/>.
    /// </param>
    public Task<AgentTask> BeginTask(
        string purpose, Authority authority, DateTimeOffset? expiresAt = null, bool resumable = false, CancellationToken cancellationToken = default) =>
        BeginTask(purpose, Json(authority), expiresAt, resumable, cancellationToken);

    /// <summary>As the other, with the <c>mcp_tool_call</c> array as JSON (RFC 9396 §2).</summary>
    public Task<AgentTask> BeginTask(
        string purpose, JsonElement authorizationDetails, DateTimeOffset? expiresAt = null, bool resumable = false, CancellationToken cancellationToken = default) =>
        Begin(new CreateTaskRequest(purpose, authorizationDetails, expiresAt, Resumable: resumable), cancellationToken);

    /// <summary>Takes up a task of this agent's own that is already running. What ends or stops a resumable one stays with the instance that holds it.</summary>
    public async Task<AgentTask> OpenTask(string id, CancellationToken cancellationToken = default) =>
        new(this, await Tasks.Show(id, cancellationToken), line: null);

    /// <summary>
    /// Goes on with a resumable task that another instance of this agent left: it waits since that one ended or disposed it, and is this one's from now on, whether the
    /// other still lives or not. Its purpose, authority and deadline, and the person it is for, stay as they are.
    /// </summary>
    /// <param name="id">As the one before kept it: <see cref="AgentTask.Id"/>.</param>
    /// <exception cref="OAuthErrorException">
    /// <see cref="OAuthErrorException.Reason"/> <c>task_ended</c>: it is over. <c>actor_unauthorized</c>: a person or an administrator stopped it, and has to lift that first.
    /// <c>held_by_another</c>: another instance of this agent works on it, as far as the server knows: it lives, and has not left it.
    /// <see cref="OAuthErrorException.Error"/> <c>not_found</c>, with status 404: there is none, or it is another agent's.
    /// </exception>
    public async Task<AgentTask> ResumeTask(string id, string? reason = null, CancellationToken cancellationToken = default) =>
        new(this, await Tasks.Move(id, "resume", reason, cancellationToken), line: null);

    /// <summary>
    /// Prepares the request that asks a person to let this agent work for them (OAuth 2.1 §4.1.1, with PKCE): send their browser to its address,
    /// and give it what the browser brings back. The client must be registered for <c>authorization_code</c>, and for <c>refresh_token</c> where
    /// the task lasts or spans several tool servers.
    /// </summary>
    /// <param name="redirectUri">As registered: https, http on loopback with any port (RFC 8252 §7.3), or the program's own scheme.</param>
    /// <param name="purpose">What the person reads as the agent's own words.</param>
    /// <param name="authority">The tools and arguments the task needs; the person may leave some of it out.</param>
    /// <param name="expiresAt">When the task ends at the latest. Null = one hour; at most 24.</param>
    public Task<DelegationRequest> AskPerson(
        Uri redirectUri, string purpose, Authority authority, DateTimeOffset? expiresAt = null, CancellationToken cancellationToken = default) =>
        AskPerson(redirectUri, purpose, Json(authority), expiresAt, cancellationToken);

    /// <summary>As the other, with the <c>mcp_tool_call</c> array as JSON (RFC 9396 §2).</summary>
    public async Task<DelegationRequest> AskPerson(
        Uri redirectUri, string purpose, JsonElement authorizationDetails, DateTimeOffset? expiresAt = null, CancellationToken cancellationToken = default)
    {
        AuthorizationServerMetadata metadata = await Attested.Server.Metadata(cancellationToken);
        Uri endpoint = metadata.AuthorizationEndpoint ?? throw ServerConnection.Senseless("it has no authorization endpoint");
        // OAuth 2.1 §7.10; MCP 2026-07-28, Authorization Code Protection.
        if (!metadata.KeepsChallenges) throw ServerConnection.Senseless("it does not say that it keeps S256 challenges");
        return new DelegationRequest(this, endpoint, Attested.Client.ClientId, redirectUri, purpose, TaskMember.NewDetails(authorizationDetails, purpose, expiresAt));
    }

    /// <summary>
    /// Asks a named person who is elsewhere to let this agent work for them (OpenID Connect CIBA Core §7.1): the question waits on their account page, and the agent for
    /// the answer. For agents without a browser before them. The client must be registered for <c>urn:openid:params:grant-type:ciba</c>.
    /// </summary>
    /// <param name="loginHint">The person's sign-in name or id.</param>
    /// <param name="purpose">What the person reads as the agent's own words.</param>
    /// <param name="authority">The tools and arguments the task needs; the person may leave some of it out.</param>
    /// <param name="bindingMessage">One line of at most 100 characters that the person can compare with what they see elsewhere, such as a ticket's number.</param>
    /// <param name="expiresAt">When the task ends at the latest. Null = one hour; at most 24.</param>
    /// <param name="patience">How long the question waits; null = ten minutes, which is the most.</param>
    /// <exception cref="OAuthErrorException"><c>unknown_user_id</c>: nobody could be asked. <c>access_denied</c> with 403: the person was asked enough for now, see <see cref="OAuthErrorException.Reason"/>.</exception>
    public Task<BackchannelRequest> AskPerson(
        string loginHint, string purpose, Authority authority, string? bindingMessage = null, DateTimeOffset? expiresAt = null, TimeSpan? patience = null,
        CancellationToken cancellationToken = default) =>
        AskPerson(loginHint, purpose, Json(authority), bindingMessage, expiresAt, patience, cancellationToken);

    /// <summary>As the other, with the <c>mcp_tool_call</c> array as JSON (RFC 9396 §2).</summary>
    public async Task<BackchannelRequest> AskPerson(
        string loginHint, string purpose, JsonElement authorizationDetails, string? bindingMessage = null, DateTimeOffset? expiresAt = null, TimeSpan? patience = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(loginHint);
        if (patience is { } given) ArgumentOutOfRangeException.ThrowIfLessThan(given, TimeSpan.FromSeconds(1), nameof(patience));
        ServerConnection server = Attested.Server;
        Uri endpoint = (await server.Metadata(cancellationToken)).BackchannelAuthenticationEndpoint ?? throw ServerConnection.Senseless("it asks nobody who is elsewhere");
        // The key that polls must be that of a living instance.
        await Attested.Token(cancellationToken);
        List<KeyValuePair<string, string>> form =
        [
            new(Names.Ciba.LoginHint, loginHint),
            new(Names.Resources.AuthorizationDetails, TaskMember.NewDetails(authorizationDetails, purpose, expiresAt)),
        ];
        if (bindingMessage is not null) form.Add(new(Names.Ciba.BindingMessage, bindingMessage));
        if (patience is { } wait) form.Add(new(Names.Ciba.RequestedExpiry, ((long)wait.TotalSeconds).ToString(CultureInfo.InvariantCulture)));
        DateTimeOffset asked = server.Time.GetUtcNow();
        BackchannelResponse answer = await server.Send(
            new ServerRequest(HttpMethod.Post, endpoint) { Form = form, Client = Attested.Client, Key = Key }, ProtocolJson.Default.BackchannelResponse, cancellationToken);
        return new BackchannelRequest(this, answer, purpose, asked);
    }

    /// <summary>
    /// Takes over what another agent handed off (RFC 8693): this agent becomes the actor, the other stays in the chain, the user is the same, and what comes is a task
    /// below the other's, of which it ends no later.
    /// </summary>
    /// <exception cref="ArgumentException">It is of another authorization server.</exception>
    public Task<AgentTask> AcceptHandOff(HandOff handOff, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(handOff);
        return AcceptHandOff(handOff, handOff.AuthorizationDetails, cancellationToken);
    }

    /// <summary>As the other, but takes less than was handed off: no more than <paramref name="authorizationDetails"/>, an <c>mcp_tool_call</c> array of one entry.</summary>
    public Task<AgentTask> AcceptHandOff(HandOff handOff, JsonElement authorizationDetails, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(handOff);
        // The token is for its issuer alone, and so is what may be known of it.
        if (handOff.Issuer != Issuer) throw new ArgumentException("The hand-off is of another authorization server.", nameof(handOff));
        return new HandedWork(this).TakeUp(
            handOff.SubjectToken, handOff.Resource, TaskMember.NewDetails(authorizationDetails, handOff.Purpose, handOff.ExpiresAt), cancellationToken);
    }

    /// <summary>As the others, for a token that came by other ways than <see cref="HandOff"/>.</summary>
    /// <param name="subjectToken">The other agent's access token, as it handed it over.</param>
    /// <param name="authorizationDetails">What is needed; a <c>task</c> member with <c>purpose</c> and <c>expires_at</c> describes the child task.</param>
    public Task<AgentTask> AcceptHandOff(
        string subjectToken, string resource, JsonElement authorizationDetails, CancellationToken cancellationToken = default)
    {
        ServerAddress.RequireResource(resource);
        return new HandedWork(this).TakeUp(subjectToken, resource, authorizationDetails.GetRawText(), cancellationToken);
    }

    /// <summary>Ends the instance: its tokens, and every token below it, are dead when this returns. The session cannot be used after it.</summary>
    public Task EndAsync(CancellationToken cancellationToken = default) => Attested.End(cancellationToken);

    /// <summary>Ends the instance; if the server cannot be told, the instance ends when it expires.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await EndAsync();
        }
        catch (Exception e) when (e is HttpRequestException or OAuthErrorException or EvidenceException or ObjectDisposedException)
        {
        }
        Attested.Dispose();
    }

    internal async Task<AgentTask> Begin(CreateTaskRequest request, CancellationToken cancellationToken) => new(this, await Tasks.Create(request, cancellationToken), line: null);

    private static JsonElement Json(Authority authority)
    {
        using var details = JsonDocument.Parse(authority.ToJson());
        return details.RootElement.Clone();
    }
}
