using McpAuth.Protocol;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Delegation;

/// <summary>The task behind what one person lets one program do by scope: one at a time, 24 h.</summary>
internal sealed class PersonSessions(ICommitLog log, TaskStore tasks, ServerOptions options)
{
    /// <summary>The one that runs, or a new one that the issuance begins.</summary>
    /// <param name="adds">What the person has allowed now; the session's authority becomes that too.</param>
    public async Task<SessionTask> CurrentAsync(ClientRecord client, string user, Authority adds, DateTimeOffset now, CancellationToken cancel)
    {
        if (await tasks.FindSession(client.Id, user, cancel) is { } running)
        {
            if (running.Expires > now)
                return new(running.Id, running.Expires, adds, null);
            // Its deadline was not recorded yet. What came after it must not wait for that.
            await log.Commit(new EndTask(running.Id, TaskState.Expired, "deadline", new Initiator(null, null, client.Id, Rank.Administrator), null, now, options.Node));
        }
        var until = DateTimeOffset.FromUnixTimeSeconds((now + Limits.TaskMaximum).ToUnixTimeSeconds());
        var id = Id.New(Id.Task, now);
        return new(id, until, null, new NewTask(id, null, TaskOrigin.Session, $"session of {client.Name}", adds, until));
    }
}

/// <param name="Adds">To a session that runs.</param>
internal sealed record SessionTask(string Id, DateTimeOffset Expires, Authority? Adds, NewTask? New);
