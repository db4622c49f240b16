using System.Data.Common;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Policies;

/// <param name="Text">Cedar; what a version says never changes.</param>
/// <param name="Tests">JSON, as it was sent.</param>
internal sealed record PolicyVersion(string ToolServer, long Version, string State, string Text, string Tests, string? Note, long CreatedAt, string? CreatedBy, long? ActivatedAt);

/// <summary>Reads versions of policies.</summary>
internal sealed class PolicyVersions(IReadStore store)
{
    private const string Columns = "tool_server, version, state, source, tests, note, created_at, created_by, activated_at";

    private static readonly Sql
        One = new($"select {Columns} from policy_sets where tool_server = @server and version = @version"),
        Page = new($"select {Columns} from policy_sets where tool_server = @server and version < @before order by version desc limit @limit");

    public Task<PolicyVersion?> FindAsync(string server, long version, CancellationToken cancel) => store.First(One.With(server, version), Read, cancel);

    /// <summary>Newest first.</summary>
    public async Task<List<PolicyVersion>> PageAsync(string server, long before, long limit, CancellationToken cancel) =>
        [.. (await store.All(Page.With(server, before, limit), Read, cancel)).OfType<PolicyVersion>()];

    private static PolicyVersion? Read(DbDataReader r) => new(
        r.GetString(0), r.GetInt64(1), r.GetString(2), r.GetString(3), r.GetString(4), r.IsDBNull(5) ? null : r.GetString(5), r.GetInt64(6),
        r.IsDBNull(7) ? null : r.GetString(7), r.IsDBNull(8) ? null : r.GetInt64(8));
}

/// <summary>Writes a new version, which decides nothing yet. The result is its number; 0 when there is no such tool server.</summary>
internal sealed class DraftPolicy(string server, string text, string tests, string? note, string by, DateTimeOffset now, string node) : Unit<long>
{
    private static readonly Sql
        Exists = new("select count(*) from tool_servers where id = @id"),
        Next = new("select coalesce(max(version), 0) + 1 from policy_sets where tool_server = @server"),
        Insert = new("insert into policy_sets (tool_server, version, state, source, tests, note, created_at, created_by, activated_at) " +
            "values (@server, @version, 'draft', @source, @tests, @note, @now, @by, null)");

    /// <summary>Two drafts at once would take the same number.</summary>
    public override StateLock Lock => StateLock.Exclusive;

    public override long Apply(WriteTx tx)
    {
        if (tx.First(Exists.With(server), r => r.GetInt64(0)) == 0)
            return 0;
        var version = tx.First(Next.With(server), r => r.GetInt64(0));
        tx.Run(Insert.With(server, version, text, tests, note, now.ToUnixTimeMilliseconds(), by));
        tx.Append(PolicyEvents.Of(AuditTypes.PolicyDrafted, server, version, by, now, node));
        return version;
    }
}

/// <summary>Whether a move happened.</summary>
internal enum PolicyMove
{
    Moved,

    /// <summary>It is in that state already.</summary>
    Already,

    /// <summary>The tools changed since it was checked: check again.</summary>
    Stale,

    /// <summary>It is neither active nor a shadow, so there is nothing to withdraw; or it decides, so it cannot be asked beside itself.</summary>
    Idle,
}

/// <summary>
/// Makes a version the one that decides, or the shadow, or neither; whichever was in its place retires. An older version is activated the same way, so going back
/// takes one step. Guards hear of it by the manifest's number.
/// </summary>
/// <param name="to"><see cref="PolicyState.Active"/>, <see cref="PolicyState.Shadow"/> or <see cref="PolicyState.Retired"/>.</param>
/// <param name="registryVersion">What it was checked against.</param>
internal sealed class MovePolicy(string server, long version, string to, long registryVersion, string by, DateTimeOffset now, string node) : Unit<PolicyMove>
{
    private static readonly Sql
        State = new("select state from policy_sets where tool_server = @server and version = @version"),
        Retire = new("update policy_sets set state = 'retired' where tool_server = @server and state = @state"),
        Move = new("update policy_sets set state = @state, activated_at = case when @state = 'active' then @now else activated_at end where tool_server = @server and version = @version");

    public override StateLock Lock => StateLock.Exclusive;

    public override PolicyMove Apply(WriteTx tx)
    {
        var was = tx.First(State.With(server, version), r => r.GetString(0));
        if (was == to)
            return PolicyMove.Already;
        if (to == PolicyState.Retired && was is not (PolicyState.Active or PolicyState.Shadow))
            return PolicyMove.Idle;
        // Who wants to try the version beside does not say that nothing shall decide any more; that is to withdraw it.
        if (to == PolicyState.Shadow && was == PolicyState.Active)
            return PolicyMove.Idle;
        if (!RegistryVersion.IsCurrent(tx, registryVersion))
            return PolicyMove.Stale;
        if (to != PolicyState.Retired)
            tx.Run(Retire.With(server, to));
        tx.Run(Move.With(to, now.ToUnixTimeMilliseconds(), server, version));
        tx.Run(Manifest.Raise.With(server));
        RegistryVersion.Raise(tx);
        tx.Append(PolicyEvents.Of(
            to switch { PolicyState.Active => AuditTypes.PolicyActivated, PolicyState.Shadow => AuditTypes.PolicyShadowed, _ => AuditTypes.PolicyWithdrawn }, server, version, by, now, node));
        return PolicyMove.Moved;
    }
}

internal static class PolicyEvents
{
    public static AuditEvent Of(string type, string server, long version, string by, DateTimeOffset now, string node) => new()
    {
        Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = type, Outcome = "success", Client = by, Node = node,
        Data = new JsonObject { ["tool_server"] = server, ["version"] = version, ["by"] = by },
    };
}
