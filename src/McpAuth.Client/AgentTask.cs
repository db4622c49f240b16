using System.Collections.Concurrent;
using System.Text.Json;
using McpAuth.Protocol.Messages;
using McpAuth.Protocol.ToolCalls;

namespace McpAuth.Client;

/// <summary>
/// One bounded piece of work: where its tokens come from, and what ends them. Disposing a task that was not completed fails it, or suspends it
/// where another instance may resume it: no authority outlives an exception. Thread-safe.
/// </summary>
public sealed class AgentTask : IAsyncDisposable
{
    private readonly AgentSession session;
    private readonly ConcurrentDictionary<string, TokenCache> tokens = new(StringComparer.Ordinal);
    // Work that was handed over, by a person or an agent, is continued by what came of it; an instance token alone would drop who it is for.
    private readonly TokenLine? line;
    private TaskView view;

    internal AgentTask(AgentSession session, TaskView view, TokenLine? line)
    {
        (this.session, this.view, this.line) = (session, view, line);
        if (line is not null) Cache(line.Resource).Set(line.First);
    }

    public string Id => view.Id;

    /// <summary>As the server last described it.</summary>
    public TaskView View => view;

    /// <summary>A token for one tool server, for the rest of this task: kept, and renewed shortly before it expires.</summary>
    /// <remarks>What a person handed over to a client that may not refresh is good for the first of its tool servers alone.</remarks>
    /// <param name="resource">The tool server's resource identifier, exactly.</param>
    /// <exception cref="ArgumentException">It is no absolute URI, or has a fragment.</exception>
    public ValueTask<AccessToken> GetToken(string resource, CancellationToken cancellationToken = default) => Cache(resource).Get(cancellationToken);

    /// <summary>A handler for an MCP client of that tool server: token, proof and renewal are its business.</summary>
    /// <param name="inner">Sends the requests; null = a handler without redirects and cookies.</param>
    public DpopHandler CreateHandler(string resource, HttpMessageHandler? inner = null)
    {
        TokenCache cache = Cache(resource);
        return new DpopHandler(session.Key, new Uri(resource), cache.Get, cache.Drop, inner, session.Attested.Server.Time);
    }

    /// <summary>
    /// Hands a part of this task to another agent, which takes it up with <see cref="AgentSession.AcceptHandOff(McpAuth.Client.HandOff, CancellationToken)"/>: it gets a task below this one, no more
    /// than is given here, and its name before this agent's in the chain of every call. When this task ends, the other one has. The registry says to whom this
    /// agent may hand off (<c>hand_off_to</c>).
    /// </summary>
    /// <param name="purpose">For people: shown and recorded, never read for authority.</param>
    /// <param name="authority">At one tool server, within what this task holds there.</param>
    /// <param name="expiresAt">When the other agent's task ends at the latest; null = with this one.</param>
    /// <exception cref="ArgumentException">It is not for exactly one tool server.</exception>
    public Task<HandOff> HandOff(string purpose, Authority authority, DateTimeOffset? expiresAt = null, CancellationToken cancellationToken = default)
    {
        using var details = JsonDocument.Parse(authority.ToJson());
        return HandOff(purpose, details.RootElement.Clone(), expiresAt, cancellationToken);
    }

    /// <summary>As the other, with the <c>mcp_tool_call</c> array as JSON (RFC 9396 §2).</summary>
    public async Task<HandOff> HandOff(string purpose, JsonElement authorizationDetails, DateTimeOffset? expiresAt = null, CancellationToken cancellationToken = default)
    {
        if (authorizationDetails is not { ValueKind: JsonValueKind.Array } || authorizationDetails.GetArrayLength() != 1 || TaskMember.FirstLocation(authorizationDetails) is not { } resource)
            throw new ArgumentException("A hand-off is for exactly one tool server.", nameof(authorizationDetails));
        // Not the token this task works with: one that holds no more than is handed over, and can be revoked without it.
        AccessToken held = await GetToken(resource, cancellationToken);
        (AccessToken given, _) = await session.Tokens.Exchange(held.Value, actor: null, resource, TaskMember.Within(authorizationDetails, Id), cancellationToken);
        return new HandOff(new HandOffMessage(session.Issuer, resource, purpose, authorizationDetails, given.Value, given.ExpiresAt, expiresAt));
    }

    /// <summary>Takes back what was handed off: ends another agent's task below this one. When this returns, its tokens are dead.</summary>
    /// <param name="taskId">The other agent's task, as it said or as this task's <see cref="Story"/> names it.</param>
    public Task<TaskView> TakeBack(string taskId, string? reason = null, CancellationToken cancellationToken = default) =>
        session.Tasks.Move(taskId, "revoke", reason, cancellationToken);

    /// <summary>Begins a child task of this agent's own, which works as itself; its authority, deadline and budgets are within this one's, and it ends with it.</summary>
    public Task<AgentTask> BeginChild(
        string purpose, JsonElement authorizationDetails, DateTimeOffset? expiresAt = null, bool resumable = false, CancellationToken cancellationToken = default) =>
        session.Begin(new CreateTaskRequest(purpose, authorizationDetails, expiresAt, Id, resumable), cancellationToken);

    /// <summary>The work is done: when this returns, every token of the task and its descendants is dead.</summary>
    public Task<TaskView> Complete(string? reason = null, CancellationToken cancellationToken = default) => Move("complete", reason, cancellationToken);

    /// <summary>The work is given up; as final as <see cref="Complete"/>.</summary>
    public Task<TaskView> Fail(string? reason = null, CancellationToken cancellationToken = default) => Move("fail", reason, cancellationToken);

    /// <summary>Stops tokens and calls until <see cref="Resume"/>.</summary>
    public Task<TaskView> Suspend(string? reason = null, CancellationToken cancellationToken = default) => Move("suspend", reason, cancellationToken);

    /// <summary>Lifts the agent's own suspension; what a person suspended is refused.</summary>
    public Task<TaskView> Resume(string? reason = null, CancellationToken cancellationToken = default) => Move("resume", reason, cancellationToken);

    /// <summary>Everything that happened in the task and its descendants, in order.</summary>
    public Task<TaskStory> Story(CancellationToken cancellationToken = default) => session.Tasks.Story(Id, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        try
        {
            if (view is { State: "active", Resumable: true }) await Suspend("abandoned");
            else if (view is { State: "active" or "suspended", Resumable: false }) await Fail("abandoned");
        }
        catch (Exception e) when (e is HttpRequestException or OAuthErrorException or EvidenceException or ObjectDisposedException)
        {
            // Already ended by someone else, or another instance's by now, or the server cannot be told, also because the session has ended: then the deadline ends it.
        }
        foreach (TokenCache cache in tokens.Values) cache.Dispose();
        line?.Dispose();
    }

    private async Task<TaskView> Move(string verb, string? reason, CancellationToken cancellationToken) =>
        view = await session.Tasks.Move(Id, verb, reason, cancellationToken);

    private TokenCache Cache(string resource)
    {
        ServerAddress.RequireResource(resource);
        return tokens.GetOrAdd(resource, r => new TokenCache(session.Attested.Server.Time, (_, ct) => Fetch(r, ct)));
    }

    private async Task<AccessToken> Fetch(string resource, CancellationToken cancellationToken)
    {
        string details = TaskMember.Details(view.AuthorizationDetails, resource, Id);
        if (line is not null) return await line.Renew(resource, details, cancellationToken);
        (AccessToken token, _) = await session.Attested.Present(
            own => session.Tokens.Exchange(own.Value, actor: null, resource, details, cancellationToken), cancellationToken);
        return token;
    }
}
