using System.Collections.Concurrent;
using McpAuth.Protocol;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Delegation;

/// <summary>
/// The task behind a client's own tokens by scope: one active at a time, 24 h, replaced when it ended or the client's authority changed. Found in
/// memory on the hot path; the issuing unit checks that it is still active.
/// </summary>
internal sealed class SessionTasks(ICommitLog log, TaskStore tasks, ServerOptions options)
{
    private readonly ConcurrentDictionary<string, (TaskRecord Task, Authority Checked)> known = new(StringComparer.Ordinal);

    public async Task<TaskRecord> CurrentAsync(ClientRecord client, long registryVersion, DateTimeOffset now, CancellationToken cancel)
    {
        // A snapshot's records are made once, so the same object means the same authority.
        if (known.TryGetValue(client.Id, out var entry) && ReferenceEquals(entry.Checked, client.Authority) && Lasts(entry.Task, now))
            return entry.Task;
        while (true)
        {
            if (await tasks.FindSession(client.Id, cancel) is { } stored)
            {
                if (Lasts(stored, now) && stored.AuthorityJson == client.Authority.ToJson())
                {
                    known[client.Id] = (stored, client.Authority);
                    return stored;
                }
                var state = stored.ExpiresAt <= now.ToUnixTimeMilliseconds() ? TaskState.Expired : TaskState.Completed;
                await log.Commit(new EndTask(stored.Id, state, "succeeded", new Initiator(null, null, client.Id, Rank.Administrator), null, now, options.Node));
            }
            var fresh = new NewTask(
                Id.New(Id.Task, now), null, TaskOrigin.Session, $"session of {client.Name}", client.Authority,
                DateTimeOffset.FromUnixTimeSeconds((now + Limits.TaskMaximum).ToUnixTimeSeconds()));
            var who = new Principals(client.Id, Names.Claims.ProfileClient, null, null, null, client.Id, []);
            if ((await log.Commit(new CreateTask(fresh, who, registryVersion, null, now, options.Node))).Outcome == IssueOutcome.Stale
                && await tasks.FindSession(client.Id, cancel) is null)
                throw new StaleRegistryException();
        }
    }

    /// <summary>The issuing unit found the task ended: look it up again next time.</summary>
    public void Forget(string client) => known.TryRemove(client, out _);

    private static bool Lasts(TaskRecord task, DateTimeOffset now) => task.Expires > now + Limits.AccessToken;
}

/// <summary>The registry changed while something was planned on it: plan again on the next snapshot.</summary>
internal sealed class StaleRegistryException() : Exception("The registry changed; plan again.");
