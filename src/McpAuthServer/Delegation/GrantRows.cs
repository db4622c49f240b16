using McpAuthServer.Storage;

namespace McpAuthServer.Delegation;

/// <summary>Writes the grant of an issuance; the statement itself asks whether the nearest of what the grant stands on still lives.</summary>
internal static class GrantRows
{
    private const string Columns =
        "id, parent_id, task_id, subject, agent_id, instance_id, user_id, client_id, consent_id, tool_server, authority, chain, lineage, depth, state, created_at, expires_at, token_exp";

    private const string Values =
        "@id, @parent, @task, @subject, @agent, @instance, @user, @client, @consent, @server, @authority, @chain, @lineage, @depth, 'active', @created, @expires, @token_exp";

    private const string
        TaskLives = "exists (select 1 from tasks t where t.id = @task and t.state = 'active' and t.expires_at > @created)",
        InstanceLives = "exists (select 1 from instances i where i.id = @instance and i.state = 'active' and i.expires_at > @created)",
        ParentLives = "exists (select 1 from grants g where g.id = @parent and g.state = 'active')",
        UserLives = "exists (select 1 from users u where u.id = @user and u.enabled = 1)";

    [Flags]
    private enum On { Task = 0, Instance = 1, Parent = 2, User = 4 }

    private static readonly Sql[] Inserts = [.. Enumerable.Range(0, 8).Select(on => new Sql($"insert into grants ({Columns}) select {Values} where {Lives((On)on)}"))];

    private static readonly Sql[] Extends = [.. Enumerable.Range(0, 8).Select(on => new Sql(
        "update grants set token_exp = case when token_exp < @token_exp then @token_exp else token_exp end where id = @id and state = 'active' and " + Lives((On)on)))];

    /// <summary>False when something no longer lives; then nothing was written.</summary>
    public static bool Record(WriteTx tx, Issuance plan)
    {
        var who = plan.Who;
        var now = plan.IssuedAt.ToUnixTimeMilliseconds();
        var tokenExp = plan.Expires.ToUnixTimeMilliseconds();
        var on = (who.Instance is null ? 0 : On.Instance) | (who.User is null ? 0 : On.User);
        if (!plan.NewGrant)
            return tx.Run(Extends[(int)on].With(
                [tokenExp, plan.GrantId, plan.TaskId, now, .. who.Instance is null ? Array.Empty<object?>() : [who.Instance], .. who.User is null ? Array.Empty<object?>() : [who.User]])) == 1;
        on |= plan.ParentGrant is null ? 0 : On.Parent;
        return tx.Run(Inserts[(int)on].With(
            plan.GrantId, plan.ParentGrant, plan.TaskId, who.Subject, who.Agent, who.Instance, who.User, who.Client, plan.Consent, plan.Target.Id,
            plan.AuthorityJson, string.Join(' ', who.Chain), string.Join(' ', plan.Lineage), who.Chain.Count, now, plan.TaskExpires.ToUnixTimeMilliseconds(), tokenExp)) == 1;
    }

    private static string Lives(On on) => string.Join(" and ", new[]
    {
        TaskLives, on.HasFlag(On.Instance) ? InstanceLives : null, on.HasFlag(On.Parent) ? ParentLives : null, on.HasFlag(On.User) ? UserLives : null,
    }.OfType<string>());
}
