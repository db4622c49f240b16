using McpAuth.Protocol;
using McpAuthServer.Clients;
using McpAuthServer.Registry;
using McpAuthServer.Storage;
using McpAuthServer.Tokens;

namespace McpAuthServer.Delegation;

/// <summary>Whether everything that a token stands on still lives, as committed now.</summary>
internal sealed class TokenStates(IReadStore store, ClientDirectory clients, GuardDirectory guards, RegistryReader registryReader, RegistryCache registry, TimeProvider time)
{
    private static readonly Sql
        GrantLives = new(
            """
            with recursive up (id, parent_id, state, instance_id) as (
              select id, parent_id, state, instance_id from grants where id = @grant
              union all select g.id, g.parent_id, g.state, g.instance_id from grants g join up on g.id = up.parent_id)
            select count(*), sum(case when up.state = 'active' and (up.instance_id is null or exists (
              select 1 from instances i where i.id = up.instance_id and i.state = 'active' and i.expires_at > @now)) then 1 else 0 end) from up
            """),
        TaskLives = new(
            """
            with recursive up (id, parent_id, state, expires_at) as (
              select id, parent_id, state, expires_at from tasks where id = @task
              union all select t.id, t.parent_id, t.state, t.expires_at from tasks t join up on t.id = up.parent_id)
            select count(*), sum(case when state = 'active' and expires_at > @now then 1 else 0 end) from up
            """);

    private static readonly Sql UserLives = new("select enabled from users where id = @id");

    public async Task<bool> LivesAsync(OwnToken token, RegistrySnapshot seen, CancellationToken cancel)
    {
        // Who a person is has no task.
        if (token.Grant is null || (token.Task is null && !token.IsIdentity))
            return false;
        var now = time.GetUtcNow().ToUnixTimeMilliseconds();
        if (!await AllAsync(GrantLives.With(token.Grant, now), cancel) || (token.Task is not null && !await AllAsync(TaskLives.With(token.Task, now), cancel)))
            return false;
        if (token.Subject.StartsWith(Id.User, StringComparison.Ordinal) && await store.First(UserLives.With(token.Subject), r => r.GetInt64(0), cancel) != 1)
            return false;
        // An agent or client suspended by another process may not be in memory yet; introspection is asked when freshness matters.
        if (await registryReader.Version(cancel) != seen.Version)
        {
            registry.Invalidate(seen.Version);
            seen = await registry.Current(cancel);
        }
        var presents = token.IsDownstream
            ? await guards.Find(token.ClientId, cancel) is { Active: true } guard && seen.ToolServers.GetValueOrDefault(guard.ToolServer) is { Active: true }
            : await clients.KnownAsync(token.ClientId, seen, cancel) is { Active: true };
        return presents
            && token.Chain.Append(token.Subject).Where(id => id.StartsWith(Id.Agent, StringComparison.Ordinal))
                .All(id => seen.Agents.GetValueOrDefault(id) is { Active: true });
    }

    private Task<bool> AllAsync(Statement statement, CancellationToken cancel) =>
        store.First(statement, r => r.GetInt64(0) is var all and > 0 && Convert.ToInt64(r.GetValue(1), System.Globalization.CultureInfo.InvariantCulture) == all, cancel);
}
