using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuth.Protocol.ToolCalls;

namespace McpAuth.Client;

/// <summary>
/// One running copy of an agent: attested, bound to a key, renewed while it is used, ended when disposed. Thread-safe. Every method
/// throws <see cref="OAuthErrorException"/> when the server refuses and <see cref="HttpRequestException"/> when it cannot be asked.
/// </summary>
public sealed class AgentSession : IAsyncDisposable
{
    private readonly ServerConnection server;
    private readonly ClientAuthentication client;
    private readonly bool ownsKey;
    private readonly TokenCache tokens;
    private InstanceResponse? instance;
    private bool ended;

    private AgentSession(ServerConnection server, ClientAuthentication client, SigningKey? key)
    {
        (this.server, this.client, ownsKey, Key) = (server, client, key is null, key ?? SigningKey.Create());
        TokenEndpoint = new TokenEndpoint(server, client, Key);
        tokens = new TokenCache(server.Time, (_, ct) => Attest(ct));
    }

    /// <summary>The key every token of this session is bound to.</summary>
    public SigningKey Key { get; }
    public string Issuer => server.Issuer;

    /// <summary>The instance's id, <c>ins_…</c>.</summary>
    public string Instance => instance!.Instance;

    /// <summary>The governed agent this is a copy of, <c>agt_…</c>.</summary>
    public string Agent => instance!.Agent;

    internal ServerConnection Server => server;
    internal TokenEndpoint TokenEndpoint { get; }

    /// <summary>Attests this process as the agent that <paramref name="client"/> authenticates.</summary>
    /// <param name="key">The instance's key; null = a new one that never leaves this process.</param>
    public static async Task<AgentSession> AttestAsync(
        string issuer, ClientAuthentication client, SigningKey? key = null, ConnectionOptions? options = null, CancellationToken cancellationToken = default)
    {
        var session = new AgentSession(new ServerConnection(issuer, options ?? new ConnectionOptions()), client, key);
        try
        {
            await session.tokens.Get(cancellationToken);
            return session;
        }
        catch
        {
            session.Release();
            throw;
        }
    }

    /// <summary>Begins a task of this agent's own; it ends when it is completed or disposed.</summary>
    /// <param name="purpose">For people: shown and recorded, never read for authority.</param>
    /// <param name="authority">The tools and arguments the task needs, within the agent's ceiling.</param>
    /// <param name="expiresAt">Null = one hour; at most 24.</param>
    public Task<AgentTask> BeginTask(
        string purpose, Authority authority, DateTimeOffset? expiresAt = null, CancellationToken cancellationToken = default)
    {
        using var details = JsonDocument.Parse(authority.ToJson());
        return BeginTask(purpose, details.RootElement.Clone(), expiresAt, cancellationToken);
    }

    /// <summary>As the other, with the <c>mcp_tool_call</c> array as JSON (RFC 9396 §2).</summary>
    public Task<AgentTask> BeginTask(
        string purpose, JsonElement authorizationDetails, DateTimeOffset? expiresAt = null, CancellationToken cancellationToken = default) =>
        Begin(new CreateTaskRequest(purpose, authorizationDetails, expiresAt), cancellationToken);

    /// <summary>Takes up a task of this agent's own that is already running.</summary>
    public async Task<AgentTask> OpenTask(string id, CancellationToken cancellationToken = default) =>
        new(this, await server.Send(tokens, own => Get(TaskAddress(id), own), ProtocolJson.Default.TaskView, cancellationToken), line: null);

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
        Uri redirectUri, string purpose, Authority authority, DateTimeOffset? expiresAt = null, CancellationToken cancellationToken = default)
    {
        using var details = JsonDocument.Parse(authority.ToJson());
        return AskPerson(redirectUri, purpose, details.RootElement.Clone(), expiresAt, cancellationToken);
    }

    /// <summary>As the other, with the <c>mcp_tool_call</c> array as JSON (RFC 9396 §2).</summary>
    public async Task<DelegationRequest> AskPerson(
        Uri redirectUri, string purpose, JsonElement authorizationDetails, DateTimeOffset? expiresAt = null, CancellationToken cancellationToken = default)
    {
        AuthorizationServerMetadata metadata = await server.Metadata(cancellationToken);
        Uri endpoint = metadata.AuthorizationEndpoint ?? throw ServerConnection.Senseless("it has no authorization endpoint");
        // OAuth 2.1 §7.10; MCP 2026-07-28, Authorization Code Protection.
        if (!metadata.KeepsChallenges) throw ServerConnection.Senseless("it does not say that it keeps S256 challenges");
        return new DelegationRequest(this, endpoint, client.ClientId, redirectUri, TaskMember.NewDetails(authorizationDetails, purpose, expiresAt));
    }

    /// <summary>
    /// Takes over work from another agent (RFC 8693): this agent becomes the actor, the other stays in the chain, the user is the
    /// same, and authority only narrows. The tokens that follow continue the one received here.
    /// </summary>
    /// <param name="subjectToken">The other agent's access token, as it handed it over.</param>
    /// <param name="authorizationDetails">What is needed; a <c>task</c> member with <c>purpose</c> and <c>expires_at</c> describes the child task.</param>
    public async Task<AgentTask> AcceptHandOff(
        string subjectToken, string resource, JsonElement authorizationDetails, CancellationToken cancellationToken = default)
    {
        ServerAddress.RequireResource(resource);
        return await Present(own => TakeUp(subjectToken, own, resource, authorizationDetails.GetRawText(), cancellationToken), cancellationToken);
    }

    /// <summary>Ends the instance: its tokens, and every token below it, are dead when this returns. The session cannot be used after it.</summary>
    public async Task EndAsync(CancellationToken cancellationToken = default)
    {
        if (ended) return;
        Uri address = server.At($"{Names.Paths.Instances}/{Uri.EscapeDataString(Instance)}");
        await Present(async own =>
        {
            await server.Send(new ServerRequest(HttpMethod.Delete, address) { Key = Key, AccessToken = own.Value, NoAnswer = true }, cancellationToken);
            tokens.Drop(own);
            return ended = true;
        }, cancellationToken);
    }

    /// <summary>Ends the instance; if the server cannot be told, the instance ends when it expires.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await EndAsync();
        }
        catch (Exception e) when (e is HttpRequestException or OAuthErrorException)
        {
        }
        Release();
    }

    internal async Task<AgentTask> Begin(CreateTaskRequest request, CancellationToken cancellationToken)
    {
        byte[] body = ServerRequest.Body(request, ProtocolJson.Default.CreateTaskRequest);
        Uri uri = server.At(Names.Paths.Tasks);
        TaskView view = await server.Send(
            tokens, own => new ServerRequest(HttpMethod.Post, uri) { Json = body, Key = Key, AccessToken = own.Value }, ProtocolJson.Default.TaskView, cancellationToken);
        return new AgentTask(this, view, line: null);
    }

    internal Task<TaskView> Transition(string id, string verb, string? reason, CancellationToken cancellationToken)
    {
        byte[] body = ServerRequest.Body(new TaskTransitionRequest(reason), ProtocolJson.Default.TaskTransitionRequest);
        Uri uri = TaskAddress(id, verb);
        return server.Send(
            tokens, own => new ServerRequest(HttpMethod.Post, uri) { Json = body, Key = Key, AccessToken = own.Value }, ProtocolJson.Default.TaskView, cancellationToken);
    }

    internal Task<TaskStory> Story(string id, CancellationToken cancellationToken) =>
        server.Send(tokens, own => Get(TaskAddress(id, "story"), own), ProtocolJson.Default.TaskStory, cancellationToken);

    /// <summary>Presents the instance token, and once more a new one if the server has revoked the key that signed it.</summary>
    internal async Task<T> Present<T>(Func<AccessToken, Task<T>> request, CancellationToken cancellationToken)
    {
        AccessToken own = await tokens.Get(cancellationToken);
        try
        {
            return await request(own);
        }
        catch (OAuthErrorException refused) when (refused.Reason == Names.Reasons.KeyRevoked)
        {
            tokens.Drop(own);
        }
        return await request(await tokens.Get(cancellationToken));
    }

    /// <summary>What a person's answer opens: the code for their delegation, and that, with the instance as actor, for the first token of its task.</summary>
    internal async Task<AgentTask> Redeem(string code, Uri redirectUri, string verifier, CancellationToken cancellationToken)
    {
        // A session that cannot go on shall not cost the code.
        await tokens.Get(cancellationToken);
        (AccessToken delegation, TokenResponse answer) = await TokenEndpoint.Redeem(code, redirectUri, verifier, cancellationToken);
        if (TaskMember.FirstLocation(answer.AuthorizationDetails) is not { } resource || !ServerAddress.IsResource(resource))
            throw ServerConnection.Senseless("what the person handed over names no tool server");
        return await Present(own => TakeUp(delegation.Value, own, resource, authorizationDetails: null, cancellationToken), cancellationToken);
    }

    private async Task<AgentTask> TakeUp(string subjectToken, AccessToken own, string resource, string? authorizationDetails, CancellationToken cancellationToken)
    {
        (AccessToken token, TokenResponse answer) = await TokenEndpoint.Exchange(subjectToken, own, resource, authorizationDetails, cancellationToken);
        if (TaskMember.IdIn(answer.AuthorizationDetails) is not { } id) throw ServerConnection.Senseless("the token names no task");
        TaskView view = await server.Send(tokens, current => Get(TaskAddress(id), current), ProtocolJson.Default.TaskView, cancellationToken);
        return new AgentTask(this, view, new TokenLine(TokenEndpoint, resource, token, answer.RefreshToken));
    }

    private async Task<AccessToken> Attest(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(ended, this);
        DateTimeOffset asked = server.Time.GetUtcNow();
        InstanceResponse answer = await server.Send(
            new ServerRequest(HttpMethod.Post, server.At(Names.Paths.Instances)) { Client = client, Key = Key }, ProtocolJson.Default.InstanceResponse, cancellationToken);
        AccessToken token = ServerConnection.Bound(answer.AccessToken, answer.TokenType, answer.ExpiresIn, scope: null, asked);
        instance = answer;
        return token;
    }

    private ServerRequest Get(Uri uri, AccessToken own) => new(HttpMethod.Get, uri) { Key = Key, AccessToken = own.Value };

    private Uri TaskAddress(string id, string? last = null) =>
        server.At($"{Names.Paths.Tasks}/{Uri.EscapeDataString(id)}{(last is null ? "" : "/" + last)}");

    private void Release()
    {
        tokens.Dispose();
        server.Dispose();
        if (ownsKey) Key.Dispose();
    }
}
