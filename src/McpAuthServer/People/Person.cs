using System.Data.Common;
using McpAuthServer.Storage;

namespace McpAuthServer.People;

/// <summary>A user, as tokens and pages tell of them.</summary>
internal sealed record Person(string Id, string Name, string? Email, bool Enabled, bool Administrator, IReadOnlyList<string> Groups);

/// <summary>Reads people. A state read here may be an old one: whatever issues asks again in its unit.</summary>
internal sealed class PersonStore(IReadStore store)
{
    private static readonly Sql
        ById = new("select id, name, email, enabled, administrator from users where id = @id"),
        GroupsOf = new("select group_id from group_members where user_id = @id order by group_id");

    public async Task<Person?> Find(string id, CancellationToken cancel)
    {
        if (await store.First(ById.With(id), Read, cancel) is not { } person)
            return null;
        return person with { Groups = await store.All(GroupsOf.With(id), r => r.GetString(0), cancel) };
    }

    private static Person? Read(DbDataReader r) => new(
        r.GetString(0), r.GetString(1), r.IsDBNull(2) ? null : r.GetString(2), r.GetInt64(3) != 0, r.GetInt64(4) != 0, []);
}
