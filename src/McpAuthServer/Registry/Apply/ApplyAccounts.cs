using McpAuth.Protocol;
using McpAuthServer.People;
using McpAuthServer.Storage;
using Microsoft.AspNetCore.Identity;

namespace McpAuthServer.Registry.Apply;

/// <summary>
/// Writes how users sign in: a user with an e-mail address has an account under that name, without one has none. A file's password is an
/// account's first and never replaces another.
/// </summary>
internal static class ApplyAccounts
{
    public const string SignInNameRemoved = "sign_in_name_removed";

    private static readonly Sql
        Named = new("select id from accounts where normalized_user_name = @name"),
        Stored = new("select user_name, password_hash from accounts where id = @id"),
        WithPassword = new("select id from accounts where password_hash is not null"),
        Release = new("update accounts set normalized_user_name = id where id = @id and normalized_user_name <> @name"),
        Insert = new(
            """
            insert into accounts (id, user_name, normalized_user_name, email, normalized_email, email_confirmed, password_hash, security_stamp, concurrency_stamp,
              phone_number_confirmed, two_factor_enabled, lockout_enabled, access_failed_count)
            values (@id, @name, @normalized, @name, @normalized, 0, @hash, @stamp, @version, 0, 0, 1, 0)
            """),
        Rename = new("update accounts set user_name = @name, normalized_user_name = @normalized, email = @name, normalized_email = @normalized, concurrency_stamp = @version where id = @id"),
        SetPassword = new("update accounts set password_hash = @hash, security_stamp = @stamp, concurrency_stamp = @version where id = @id");

    private static readonly Sql[] Remove =
        [.. new[] { "account_claims", "account_logins", "account_tokens", "account_passkeys" }.Select(t => new Sql($"delete from {t} where user_id = @id")),
            new("delete from accounts where id = @id")];

    /// <summary>
    /// The document with every password as its hash. It takes a tenth of a second each, so it is done before the unit, and only for who has none yet.
    /// </summary>
    public static async Task<ApplyDocument> HashedAsync(ApplyDocument document, IReadStore store, IPasswordHasher<Account> hasher)
    {
        if (!document.Users.Any(u => u.Password is not null))
            return document;
        var known = (await store.All(WithPassword.With(), r => r.GetString(0), CancellationToken.None)).ToHashSet(StringComparer.Ordinal);
        return document with
        {
            Users = [.. document.Users.Select(u => u.Password is not { } password ? u
                : u with { Password = null, PasswordHash = known.Contains(u.Id) ? null : hasher.HashPassword(new Account { Id = u.Id }, password) })],
        };
    }

    /// <summary>Nobody else may have the sign-in name, but for who gives it up in the same file.</summary>
    public static IEnumerable<Fault> Conflicts(WriteTx tx, IReadOnlyList<AppliedUser> users)
    {
        foreach (var user in users)
            if (user.Email is { } email && tx.First(Named.With(Account.Normalize(email.Value)), r => r.GetString(0)) is { } holder && holder != user.Id
                && !users.Any(u => u.Id == holder && (u.Email is null || Account.Normalize(u.Email.Value.Value) != Account.Normalize(email.Value))))
                yield return new Fault("conflict", "Another user has this e-mail address, which is how they sign in.", email.Path);
    }

    /// <summary>Names that the file gives to others are free before the first is given.</summary>
    public static void ReleaseNames(WriteTx tx, IReadOnlyList<AppliedUser> users)
    {
        foreach (var user in users)
            tx.Run(Release.With(user.Id, user.Email is { } email ? Account.Normalize(email.Value) : ""));
    }

    /// <returns>The members that changed beyond those of the user's own row.</returns>
    public static IEnumerable<string> Write(ApplyChanges changes, AppliedUser user)
    {
        var (tx, stored) = (changes.Tx, changes.Tx.First(Stored.With(user.Id), r => (Row?)new Row(r.GetString(0), r.IsDBNull(1) ? null : r.GetString(1))));
        if (user.Email is not { } email)
        {
            if (stored is null)
                return [];
            foreach (var removal in Remove)
                tx.Run(removal.With(user.Id));
            changes.EndSessions(user.Id, SignInNameRemoved);
            return ["password"];
        }
        var (name, version) = (email.Value, Id.New("", changes.At));
        if (stored is null)
            tx.Run(Insert.With(user.Id, name, Account.Normalize(name), user.PasswordHash, Account.NewStamp(), version));
        else if (stored.Name != name)
            tx.Run(Rename.With(name, Account.Normalize(name), version, user.Id));
        if (user.PasswordHash is null || stored?.PasswordHash is not null)
            return [];
        if (stored is not null)
            tx.Run(SetPassword.With(user.PasswordHash, Account.NewStamp(), version, user.Id));
        return ["password"];
    }

    private sealed record Row(string Name, string? PasswordHash);
}
