using McpAuth.Protocol;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Storage;

namespace McpAuthServer.Delegation;

/// <summary>A node in the tree of authority, as an exchange needs it. Immutable but for its state, which only units read.</summary>
/// <param name="InstancesEnd">When the first instance of the grant or its ancestors expires; it may still be renewed. Null = there is none.</param>
internal sealed record GrantRecord(
    string Id, string TaskId, string? UserId, Authority Authority, IReadOnlyList<string> Lineage, DateTimeOffset? InstancesEnd);

/// <summary>Reads grants.</summary>
internal sealed class GrantStore(IReadStore store)
{
    /// <summary>Entries of a token's lineage; it keeps tokens small.</summary>
    public const int MaxLineage = 16;

    private static readonly Sql ById = new(
        """
        with recursive up (parent_id, instance_id) as (
          select parent_id, instance_id from grants where id = @id
          union all select g.parent_id, g.instance_id from grants g join up on g.id = up.parent_id)
        select id, task_id, user_id, authority, lineage, (select min(i.expires_at) from up join instances i on i.id = up.instance_id) from grants where id = @id
        """);

    public Task<GrantRecord?> Find(string id, CancellationToken cancel) =>
        store.First(ById.With(id), r => (GrantRecord?)new GrantRecord(
            r.GetString(0), r.GetString(1), r.IsDBNull(2) ? null : r.GetString(2),
            Authority.Parse(StrictJson.Parse(r.GetString(3), TaskRecord.AuthorityLimits).Value).Value,
            r.GetString(4).Split(' ', StringSplitOptions.RemoveEmptyEntries), r.IsDBNull(5) ? null : DateTimeOffset.FromUnixTimeMilliseconds(r.GetInt64(5))), cancel);
}

/// <summary>Reads agent instances.</summary>
internal sealed class InstanceStore(IReadStore store)
{
    private static readonly Sql ById = new("select id, jkt, workload, assurance, expires_at, state from instances where id = @id");

    private readonly Remembered<InstanceContext> known = new();

    /// <summary>What a token says of an instance. It may have been renewed or ended since: the issuing unit asks for its state.</summary>
    public async ValueTask<InstanceContext?> FindContext(string id, DateTimeOffset now, CancellationToken cancel)
    {
        // Near its end it is read again, so that a renewal does not go unseen and shorten tokens.
        if (known.Find(id) is { } context && context.Expires > now + Limits.AccessToken)
            return context;
        return await Find(id, cancel) is { } found ? known.Add(id, found) : null;
    }

    public Task<InstanceContext?> Find(string id, CancellationToken cancel) =>
        store.First(ById.With(id), r => (InstanceContext?)new InstanceContext(
            r.GetString(0), r.GetString(1), r.IsDBNull(2) ? null : r.GetString(2), r.GetString(3), DateTimeOffset.FromUnixTimeMilliseconds(r.GetInt64(4)), r.GetString(5) == "active"), cancel);
}
