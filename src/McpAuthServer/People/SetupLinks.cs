using System.Security.Cryptography;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuthServer.Audit;
using McpAuthServer.Storage;
using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;

namespace McpAuthServer.People;

/// <param name="UserId">Whose password it sets; null: whoever opens it becomes the first administrator.</param>
internal sealed record SetupLink(string Hash, string? UserId);

/// <summary>One-time links: the first administrator makes their account, a registered user gets a (new) password.</summary>
internal sealed class SetupLinks(UserManager<Account> accounts, PeopleContext context, ICommitLog log, IReadStore store, AuditTrail trail, TimeProvider time)
{
    public static readonly TimeSpan Life = TimeSpan.FromHours(24);

    /// <summary>Codes of faults.</summary>
    public const string Invalid = "invalid_link", NameTaken = "name_taken", Inadmissible = "inadmissible";

    public const string Administrators = "select count(*) from users where administrator = 1 and enabled = 1";

    private static readonly Sql
        Open = new("select user_id from setup_links where hash = @hash and used_at is null and expires_at > @now"),
        Use = new("update setup_links set used_at = @used where hash = @hash and used_at is null and expires_at > @now"),
        AdministratorCount = new(Administrators),
        AddAdministrator = new("insert into users (id, name, email, enabled, administrator, changed_at) values (@id, @name, @email, 1, 1, @now)");

    /// <summary>Makes a link in the place of older unused ones of the same kind, and returns its secret; it is kept as its hash only.</summary>
    /// <returns>Null when there is an administrator already (<paramref name="user"/> null), or no such user who has an e-mail address.</returns>
    public async Task<string?> MakeAsync(string? user)
    {
        var secret = Base64Url.Encode(RandomNumberGenerator.GetBytes(32));
        var made = await log.Commit(new MakeSetupLink(Base64Url.Sha256(secret), user, time.GetUtcNow() + Life, trail.Success(AuditTypes.SetupLinkMade) with { User = user }));
        return made ? secret : null;
    }

    /// <summary>The link, if it can be used; else a refusal is recorded.</summary>
    public async Task<SetupLink?> FindAsync(string? secret, CancellationToken cancel)
    {
        var hash = Base64Url.Sha256(secret ?? "");
        if (await store.First(Open.With(hash, Now), r => new SetupLink(hash, r.IsDBNull(0) ? null : r.GetString(0)), cancel) is { } link)
            return link;
        await RefusedAsync(null);
        return null;
    }

    /// <summary>Uses the link: the first administrator's user and account, or nothing.</summary>
    /// <remarks>Codes: <see cref="Inadmissible"/>, <see cref="NameTaken"/>, <see cref="Invalid"/> (used, expired, or there is an administrator by now).</remarks>
    public async Task<Result<Account>> CreateAdministratorAsync(SetupLink link, string name, string email, string password)
    {
        if (!Passwords.IsAdmissible(password))
            return InadmissibleFault;
        if (await accounts.FindByNameAsync(email) is not null)
            return new Fault(NameTaken, "Somebody else has this e-mail address.");
        var now = time.GetUtcNow();
        var account = NewAccount(Id.New(Id.User, now), email);
        account.SetPassword(accounts.PasswordHasher, password);
        return await SavedAsync(link, account, isNew: true, AuditTypes.AccountCreated, tx =>
        {
            // Under the exclusive lock: of two who set up at once, one becomes it.
            if (tx.First(AdministratorCount.With(), r => r.GetInt64(0)) > 0)
                return null;
            tx.Run(AddAdministrator.With(account.Id, name, email, now.ToUnixTimeMilliseconds()));
            return [];
        });
    }

    /// <summary>Uses the link: a new password for its user, whose sessions end; a lock-out is lifted.</summary>
    /// <remarks>Codes: <see cref="Inadmissible"/>, <see cref="Invalid"/>.</remarks>
    public async Task<Result<Account>> SetPasswordAsync(SetupLink link, Person person, string password)
    {
        if (!Passwords.IsAdmissible(password))
            return InadmissibleFault;
        var found = await accounts.FindByIdAsync(person.Id);
        var account = found ?? NewAccount(person.Id, person.Email!);
        account.SetPassword(accounts.PasswordHasher, password);
        (account.AccessFailedCount, account.LockoutEnd) = (0, null);
        var now = time.GetUtcNow();
        return await SavedAsync(link, account, found is null, found is null ? AuditTypes.AccountCreated : AuditTypes.AccountChanged,
            tx => SessionEnding.EndAllOf(tx, person.Id, except: null, SessionEnding.PasswordChanged, now, node: null));
    }

    private static Fault InadmissibleFault => new(Inadmissible, $"The password must have {Passwords.Rule}.");

    private long Now => time.GetUtcNow().ToUnixTimeMilliseconds();

    private static Account NewAccount(string id, string email) => new() { Id = id, UserName = email, Email = email, LockoutEnabled = true };

    private async Task<Result<Account>> SavedAsync(SetupLink link, Account account, bool isNew, string type, Func<WriteTx, IReadOnlyList<AuditEvent>?> with)
    {
        var e = trail.Success(type) with { User = account.Id, Data = new() { ["members"] = new JsonArray("password"), ["by"] = "setup_link" } };
        context.Record(new AccountChange(e)
        {
            Lock = StateLock.Exclusive,
            // The link is consumed before anything is made.
            First = tx => tx.Run(Use.With(Now, link.Hash, Now)) == 0 ? null : with(tx)?.Select(effect => effect with { Cause = e.Id, Node = e.Node }).ToList(),
        });
        try
        {
            var saved = isNew ? (await accounts.CreateAsync(account)).Succeeded : await accounts.SavedAsync(account);
            if (saved)
                return account;
        }
        catch (DbUpdateConcurrencyException)
        {
            // Identity says it so when an account is created.
        }
        await RefusedAsync(link.UserId);
        return new Fault(Invalid, "The link was used or is too old.");
    }

    private Task<string?> RefusedAsync(string? user) => trail.RefuseAsync(trail.Refusal(AuditTypes.SetupRefused, Invalid) with { User = user }, []);
}

/// <summary>False when the link's condition does not hold.</summary>
internal sealed class MakeSetupLink(string hash, string? user, DateTimeOffset expires, AuditEvent e) : Unit<bool>
{
    private static readonly Sql
        Administrators = new(SetupLinks.Administrators),
        HasAddress = new("select count(*) from users where id = @id and email is not null"),
        Forget = new("delete from setup_links where used_at is null and coalesce(user_id, '') = @user"),
        Insert = new("insert into setup_links (hash, user_id, created_at, expires_at) values (@hash, @user, @created, @expires)");

    public override StateLock Lock => StateLock.Exclusive;

    public override bool Apply(WriteTx tx)
    {
        var holds = user is null ? tx.First(Administrators.With(), r => r.GetInt64(0)) == 0 : tx.First(HasAddress.With(user), r => r.GetInt64(0)) == 1;
        if (!holds)
            return false;
        tx.Run(Forget.With(user ?? ""));
        tx.Run(Insert.With(hash, user, e.Time, expires.ToUnixTimeMilliseconds()));
        tx.Append(e);
        return true;
    }
}
