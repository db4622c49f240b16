using McpAuth.Protocol;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Storage;

namespace McpAuthServer.Delegation;

/// <summary>A node in the tree of authority, as an exchange needs it. Immutable but for its state, which only units read.</summary>
/// <param name="InstancesEnd">When the first instance of the grant or its ancestors expires; it may still be renewed. Null = there is none.</param>
/// <param name="TaskId">Null where a person's consent to an agent stands alone.</param>
/// <param name="ToolServer">The tool server's id; null as <paramref name="TaskId"/>.</param>
/// <param name="Chain">Subjects of the <c>act</c> chain, outermost first.</param>
internal sealed record GrantRecord(
    string Id, string? ParentId, string? TaskId, string Subject, string? UserId, string? Consent, string? ToolServer, Authority Authority, IReadOnlyList<string> Chain,
    IReadOnlyList<string> Lineage, DateTimeOffset Expires, DateTimeOffset? InstancesEnd);

/// <summary>Reads grants.</summary>
internal sealed class GrantStore(IReadStore store)
{
    /// <summary>Entries of a token's lineage; it keeps tokens small.</summary>
    public const int MaxLineage = 16;

    private static readonly Sql
        Below = new("select count(*) from grants where parent_id = @root and task_id = @task"),
        RootsOf = new("select count(*) from grants where task_id = @task and parent_id is null and consent_id = @consent"),
        Purpose = new("select purpose from consents where id = @id"),
        RootOfTask = new(
            """
            select p.id, f.auth_time, f.acr from grants g join grants p on p.id = g.parent_id left join refresh_families f on f.grant_id = g.id
            where g.task_id = @task and p.task_id is null order by g.created_at, g.id limit 1
            """);

    private static readonly Sql ById = new(
        """
        with recursive up (parent_id, instance_id) as (
          select parent_id, instance_id from grants where id = @id
          union all select g.parent_id, g.instance_id from grants g join up on g.id = up.parent_id)
        select id, parent_id, task_id, subject, user_id, consent_id, tool_server, authority, chain, lineage, expires_at,
          (select min(i.expires_at) from up join instances i on i.id = up.instance_id)
        from grants where id = @id
        """);

    public Task<GrantRecord?> Find(string id, CancellationToken cancel) =>
        store.First(ById.With(id), Read, cancel);

    /// <summary>Whether a grant of the task hangs directly below the root.</summary>
    public async Task<bool> IsBelow(string root, string task, CancellationToken cancel) => await store.First(Below.With(root, task), r => r.GetInt64(0), cancel) > 0;

    /// <summary>Whether the task has a grant that stands on the consent by itself.</summary>
    public async Task<bool> BeganWith(string task, string consent, CancellationToken cancel) => await store.First(RootsOf.With(task, consent), r => r.GetInt64(0), cancel) > 0;

    /// <summary>What a person handed over and a task began with, and when and how the person had signed in, where a line of refresh tokens kept that.</summary>
    public Task<(string Id, DateTimeOffset? AuthTime, string? Acr)> FindRoot(string task, CancellationToken cancel) => store.First(RootOfTask.With(task), r => (
        r.GetString(0), r.IsDBNull(1) ? (DateTimeOffset?)null : DateTimeOffset.FromUnixTimeMilliseconds(r.GetInt64(1)), r.IsDBNull(2) ? null : r.GetString(2)), cancel);

    /// <summary>What the person was told the work is for.</summary>
    public async Task<string> PurposeOf(string consent, CancellationToken cancel) => await store.First(Purpose.With(consent), r => r.GetString(0), cancel) ?? "";

    private static GrantRecord? Read(System.Data.Common.DbDataReader r)
    {
        return new(
            r.GetString(0), Text(1), Text(2), r.GetString(3), Text(4), Text(5), Text(6), TaskRecord.ReadAuthority(r.GetString(7)),
            Words(8), Words(9), DateTimeOffset.FromUnixTimeMilliseconds(r.GetInt64(10)), r.IsDBNull(11) ? null : DateTimeOffset.FromUnixTimeMilliseconds(r.GetInt64(11)));

        string? Text(int i) => r.IsDBNull(i) ? null : r.GetString(i);
        string[] Words(int i) => r.GetString(i).Split(' ', StringSplitOptions.RemoveEmptyEntries);
    }
}

/// <summary>Reads agent instances.</summary>
internal sealed class InstanceStore(IReadStore store)
{
    private static readonly Sql
        ById = new("select id, jkt, workload, assurance, expires_at, state from instances where id = @id"),
        ByKey = new("select id from instances where agent_id = @agent and jkt = @jkt and state = 'active' and expires_at > @now");

    private readonly Remembered<InstanceContext> known = new();

    /// <summary>What a token says of an instance. It may have been renewed or ended since: the issuing unit asks for its state.</summary>
    public async ValueTask<InstanceContext?> FindContext(string id, DateTimeOffset now, CancellationToken cancel)
    {
        // Near its end it is read again, so that a renewal does not go unseen and shorten tokens.
        if (known.Find(id) is { } context && context.Expires > now + Limits.AccessToken)
            return context;
        return await Find(id, cancel) is { } found ? known.Add(id, found) : null;
    }

    /// <summary>The id of the agent's live instance that holds a key; null when none does.</summary>
    public Task<string?> FindByKey(string agent, string thumbprint, DateTimeOffset now, CancellationToken cancel) =>
        store.First(ByKey.With(agent, thumbprint, now.ToUnixTimeMilliseconds()), r => r.GetString(0), cancel);

    public Task<InstanceContext?> Find(string id, CancellationToken cancel) =>
        store.First(ById.With(id), r => (InstanceContext?)new InstanceContext(
            r.GetString(0), r.GetString(1), r.IsDBNull(2) ? null : r.GetString(2), r.GetString(3), DateTimeOffset.FromUnixTimeMilliseconds(r.GetInt64(4)), r.GetString(5) == "active"), cancel);
}
