using System.Collections.Concurrent;
using System.Text.Json;
using McpAuth.Protocol.Messages;

namespace McpAuth.Client;

/// <summary>
/// One bounded piece of work: where its tokens come from, and what ends them. Disposing a task that was not completed fails it,
/// so no authority outlives an exception. Thread-safe.
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
        return new DpopHandler(session.Key, new Uri(resource), cache.Get, cache.Drop, inner, session.Server.Time);
    }

    /// <summary>Begins a child task; its authority, deadline and budgets are within this one's, and it ends with it.</summary>
    public Task<AgentTask> BeginChild(
        string purpose, JsonElement authorizationDetails, DateTimeOffset? expiresAt = null, CancellationToken cancellationToken = default) =>
        session.Begin(new CreateTaskRequest(purpose, authorizationDetails, expiresAt, Id), cancellationToken);

    /// <summary>The work is done: when this returns, every token of the task and its descendants is dead.</summary>
    public Task<TaskView> Complete(string? reason = null, CancellationToken cancellationToken = default) => Move("complete", reason, cancellationToken);

    /// <summary>The work is given up; as final as <see cref="Complete"/>.</summary>
    public Task<TaskView> Fail(string? reason = null, CancellationToken cancellationToken = default) => Move("fail", reason, cancellationToken);

    /// <summary>Stops tokens and calls until <see cref="Resume"/>.</summary>
    public Task<TaskView> Suspend(string? reason = null, CancellationToken cancellationToken = default) => Move("suspend", reason, cancellationToken);

    /// <summary>Lifts the agent's own suspension; what a person suspended is refused.</summary>
    public Task<TaskView> Resume(string? reason = null, CancellationToken cancellationToken = default) => Move("resume", reason, cancellationToken);

    /// <summary>Everything that happened in the task and its descendants, in order.</summary>
    public Task<TaskStory> Story(CancellationToken cancellationToken = default) => session.Story(Id, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        try
        {
            if (view.State is "active" or "suspended") await Fail("abandoned");
        }
        catch (Exception e) when (e is HttpRequestException or OAuthErrorException or ObjectDisposedException)
        {
            // Already ended by someone else, or the server cannot be told, also because the session has ended: then the deadline ends it.
        }
        foreach (TokenCache cache in tokens.Values) cache.Dispose();
        line?.Dispose();
    }

    private async Task<TaskView> Move(string verb, string? reason, CancellationToken cancellationToken) =>
        view = await session.Transition(Id, verb, reason, cancellationToken);

    private TokenCache Cache(string resource)
    {
        ServerAddress.RequireResource(resource);
        return tokens.GetOrAdd(resource, r => new TokenCache(session.Server.Time, (_, ct) => Fetch(r, ct)));
    }

    private async Task<AccessToken> Fetch(string resource, CancellationToken cancellationToken)
    {
        string details = TaskMember.Details(view.AuthorizationDetails, resource, Id);
        if (line is not null) return await line.Renew(resource, details, cancellationToken);
        (AccessToken token, _) = await session.Present(
            own => session.TokenEndpoint.Exchange(own.Value, actor: null, resource, details, cancellationToken), cancellationToken);
        return token;
    }
}
