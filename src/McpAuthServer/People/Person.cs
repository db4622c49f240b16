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
        ByIdToAsk = new("select u.id from users u join accounts a on a.id = u.id where u.enabled = 1 and u.id = @id"),
        ByNameToAsk = new("select u.id from users u join accounts a on a.id = u.id where u.enabled = 1 and a.normalized_user_name = @name"),
        EnabledAfter = new("select id from users where enabled = 1 and (@after = '' or id > @after) order by id limit @limit"),
        GroupsOf = new("select group_id from group_members where user_id = @id order by group_id");

    public async Task<Person?> Find(string id, CancellationToken cancel)
    {
        if (await store.First(ById.With(id), Read, cancel) is not { } person)
            return null;
        return person with { Groups = await store.All(GroupsOf.With(id), r => r.GetString(0), cancel) };
    }

    /// <summary>The ids of those who are enabled, in the database's order of them.</summary>
    /// <param name="after">Empty: from the first.</param>
    public Task<List<string>> PageAsync(string after, int count, CancellationToken cancel) => store.All(EnabledAfter.With(after, (long)count), r => r.GetString(0), cancel);

    /// <summary>The id of a person who could sign in and answer, by their sign-in name or id. One who is disabled is not told apart from none.</summary>
    public Task<string?> FindToAsk(string hint, CancellationToken cancel) =>
        store.First(hint.Contains('@', StringComparison.Ordinal) ? ByNameToAsk.With(Account.Normalize(hint)) : ByIdToAsk.With(hint), r => r.GetString(0), cancel);

    private static Person? Read(DbDataReader r) => new(
        r.GetString(0), r.GetString(1), r.IsDBNull(2) ? null : r.GetString(2), r.GetInt64(3) != 0, r.GetInt64(4) != 0, []);
}
