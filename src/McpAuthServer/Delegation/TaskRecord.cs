using System.Data.Common;
using System.Text.Json;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.Messages;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Storage;

namespace McpAuthServer.Delegation;

/// <summary>States of a task; all but the first two are final.</summary>
internal static class TaskState
{
    public const string Active = "active", Suspended = "suspended", Completed = "completed", Failed = "failed", Expired = "expired", Revoked = "revoked";

    public static bool IsFinal(string state) => state is not (Active or Suspended);
}

/// <summary>Where a task came from; it decides who may exchange for it.</summary>
internal static class TaskOrigin
{
    /// <summary>An agent's own, by <c>POST /tasks</c> or inline.</summary>
    public const string Own = "own";

    /// <summary>A hand-off's child: its chain lives in its tokens, so an instance token alone does not open it.</summary>
    public const string HandOff = "handoff";

    /// <summary>An agent's for a person: opened by what the person handed over or what their enterprise said, whichever it was, and by nothing else.</summary>
    public const string Delegated = "delegated";

    /// <summary>Stands behind a client's tokens by scope, its own or a person's.</summary>
    public const string Session = "session";
}

/// <summary>Who suspends; resuming needs at least the same rank.</summary>
internal enum Rank { None = 0, Agent = 1, User = 2, Administrator = 3 }

/// <summary>One bounded piece of delegated work, as stored. Everything but state, suspension, end and instance is immutable.</summary>
/// <param name="InstanceId">Whose it is: the instance that began it, or took it up last; null where no instance did.</param>
/// <param name="Resumable">Whether it outlives that instance, suspended, for another of the same agent to take up; else it fails with it.</param>
internal sealed record TaskRecord(
    string Id, string? ParentId, string? UserId, string? AgentId, string ClientId, string Origin, string Purpose, string AuthorityJson, string State,
    Rank SuspendedBy, long CreatedAt, long ExpiresAt, long? EndedAt, long? ResidualMs, string? InstanceId, bool Resumable)
{
    public static readonly JsonLimits AuthorityLimits = new(1024 * 1024);

    private Authority? authority;

    public Authority Authority => authority ??= ReadAuthority(AuthorityJson);

    /// <summary>An authority as this server once wrote it.</summary>
    public static Authority ReadAuthority(string stored) => McpAuth.Protocol.ToolCalls.Authority.Parse(StrictJson.Parse(stored, AuthorityLimits).Value).Value;

    public DateTimeOffset Expires => DateTimeOffset.FromUnixTimeMilliseconds(ExpiresAt);

    public TaskView ToView() => new(
        Id, State, Purpose, AgentId, UserId, ParentId, DateTimeOffset.FromUnixTimeMilliseconds(CreatedAt), Expires,
        EndedAt is { } ended ? DateTimeOffset.FromUnixTimeMilliseconds(ended) : null, JsonElement.Parse(AuthorityJson), ResidualMs, Resumable);
}

/// <summary>Reads tasks.</summary>
internal sealed class TaskStore(IReadStore store)
{
    public const string Columns =
        "id, parent_id, user_id, agent_id, client_id, origin, purpose, authority, state, suspended_by, created_at, expires_at, ended_at, residual_ms, instance_id, resumable";

    private static readonly Sql ById = new($"select {Columns} from tasks where id = @id");

    private static readonly Sql SessionOf = new(
        $"select {Columns} from tasks where client_id = @client and user_id is null and origin = 'session' and state = 'active'");

    private static readonly Sql SessionWith = new(
        $"select {Columns} from tasks where client_id = @client and user_id = @user and origin = 'session' and state in ('active', 'suspended') order by created_at desc");

    private static readonly Sql AgentsFor = new(
        $"select {Columns} from tasks where user_id = @user and agent_id is not null and state in ('active', 'suspended') and expires_at > @now order by created_at desc, id");

    private static readonly Sql Up = new(
        """
        with recursive up (id, parent_id, agent_id, height) as (
          select id, parent_id, agent_id, 0 from tasks where id = @id
          union all select t.id, t.parent_id, t.agent_id, up.height + 1 from tasks t join up on t.id = up.parent_id)
        select id, agent_id from up order by height
        """);

    private readonly Remembered<TaskRecord> known = new();

    public Task<TaskRecord?> Find(string id, CancellationToken cancel) => store.First(ById.With(id), Read, cancel);

    /// <summary>A task for what never changes of it (whose, what for, how far, until when); its state here may be an old one.</summary>
    public async ValueTask<TaskRecord?> FindTerms(string id, CancellationToken cancel)
    {
        if (known.Find(id) is { } task)
            return task;
        return await Find(id, cancel) is { } found ? known.Add(id, found) : null;
    }

    /// <summary>The one active session task of a client that acts for itself.</summary>
    public Task<TaskRecord?> FindSession(string client, CancellationToken cancel) => store.First(SessionOf.With(client), Read, cancel);

    /// <summary>The session task of a person with a client that has not ended, suspended or not.</summary>
    public Task<TaskRecord?> FindSession(string client, string user, CancellationToken cancel) => store.First(SessionWith.With(client, user), Read, cancel);

    /// <summary>What agents are doing for a person at this moment, newest first.</summary>
    public async Task<IReadOnlyList<TaskRecord>> RunningFor(string user, DateTimeOffset now, CancellationToken cancel) =>
        [.. (await store.All(AgentsFor.With(user, now.ToUnixTimeMilliseconds()), Read, cancel)).OfType<TaskRecord>()];

    /// <summary>The task and its ancestors, nearest first, each with its agent.</summary>
    public Task<List<(string Id, string? Agent)>> Lineage(string id, CancellationToken cancel) =>
        store.All(Up.With(id), r => (r.GetString(0), r.IsDBNull(1) ? null : r.GetString(1)), cancel);

    public static TaskRecord? Read(DbDataReader r) => new(
        r.GetString(0), Text(r, 1), Text(r, 2), Text(r, 3), r.GetString(4), r.GetString(5), r.GetString(6), r.GetString(7), r.GetString(8),
        (Rank)r.GetInt64(9), r.GetInt64(10), r.GetInt64(11), Long(r, 12), Long(r, 13), Text(r, 14), r.GetInt64(15) != 0);

    private static string? Text(DbDataReader r, int i) => r.IsDBNull(i) ? null : r.GetString(i);

    private static long? Long(DbDataReader r, int i) => r.IsDBNull(i) ? null : r.GetInt64(i);
}
