using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Abuse;
using McpAuthServer.Audit;
using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;

namespace McpAuthServer.People;

/// <summary>
/// Checks a name and a password. Whatever is wrong, the caller learns one thing, after the same work; the event says why. Every wrong
/// guess is counted, also those that come at once or on several nodes: the account's row is compared with what was read, and whatever is
/// done upon the right password rests on that row as the counting of a failure does.
/// </summary>
internal sealed class PasswordProof(
    UserManager<Account> accounts, PeopleContext context, PersonStore people, RateLimits limits, AbuseRecord abuse, AuditTrail trail, SignInGate gate, TimeProvider time)
{
    /// <summary>Codes of the fault.</summary>
    public const string Refused = "refused", Busy = "busy";

    /// <summary>When to come again after <see cref="Busy"/>, in seconds.</summary>
    public const int RetryAfter = 10;

    /// <summary>Reasons of the event, beside <see cref="Names.Reasons.UserDisabled"/>.</summary>
    public const string UnknownAccount = "unknown_account", WrongPassword = "wrong_password", LockedOut = "locked_out";

    private static readonly Account Nobody = new() { Id = "" };
    private static readonly string NobodysHash = Passwords.NobodysHash();

    /// <param name="act">
    /// Saves what follows from the right password, with its event; null when the account changed meanwhile, then it is judged again. The flag says that the
    /// password's hash is out of date.
    /// </param>
    /// <param name="cancel">Ends the waiting only: an attempt that began is judged and counted, whether or not somebody waits for the answer.</param>
    public async Task<Result<T>> ProveAsync<T>(string email, string password, Func<Account, bool, Task<T?>> act, CancellationToken cancel) where T : class
    {
        var name = Account.Normalize(email);
        using var turn = await gate.EnterAsync(name, cancel);
        if (turn is null)
        {
            await abuse.ReportAsync(new(limits.Node, Limit.SignIn, default));
            return new Fault(Busy, "Too many people sign in at this moment. Try again.");
        }

        var account = await accounts.FindByNameAsync(email);
        // A name that failed too often is not tried, whether or not anybody has it. Attempts on it take turns, so none slips by.
        var permits = limits.OfAccount(name);
        if (permits.Lacks(Limit.SignIn) is { } shortage)
        {
            await abuse.ReportAsync(shortage, user: account?.Id);
            return new Fault(Busy, "There were too many attempts with this name. Try again in a minute.");
        }
        var result = await JudgeAsync(account, password, act);
        if (result.Fault?.Code == Refused)
            permits.Take(Limit.SignIn);
        return result;
    }

    private async Task<Result<T>> JudgeAsync<T>(Account? account, string password, Func<Account, bool, Task<T?>> act) where T : class
    {
        if (account?.PasswordHash is not { } hash)
        {
            Verify(Nobody, NobodysHash, password);
            return await RefuseAsync(UnknownAccount, account?.Id);
        }
        var verified = Verify(account, hash, password);
        while (true)
        {
            // Looked at after the password was verified, and held: a save fails when the row is another one by then.
            if (account.LockoutEnd > time.GetUtcNow())
                return await RefuseAsync(LockedOut, account.Id);
            if (verified == PasswordVerificationResult.Failed)
            {
                if (await CountAsync(account))
                    return RefusedFault;
            }
            else if (await people.Find(account.Id, CancellationToken.None) is not { Enabled: true })
            {
                return await RefuseAsync(Names.Reasons.UserDisabled, account.Id);
            }
            else
            {
                (account.AccessFailedCount, account.LockoutEnd) = (0, null);
                if (await act(account, verified == PasswordVerificationResult.SuccessRehashNeeded) is { } done)
                    return Result<T>.Of(done);
            }

            await context.Entry(account).ReloadAsync(CancellationToken.None);
            if (context.Entry(account).State == EntityState.Detached || account.PasswordHash is null)
                return await RefuseAsync(UnknownAccount, account.Id);
            if (account.PasswordHash != hash)
                verified = Verify(account, hash = account.PasswordHash, password);
        }
    }

    private static Fault RefusedFault => new(Refused, "The e-mail address or the password is wrong, or you cannot sign in at this moment.");

    private PasswordVerificationResult Verify(Account account, string hash, string password) => accounts.PasswordHasher.VerifyHashedPassword(account, hash, password);

    /// <summary>Counts a failure and records it; false when the account changed meanwhile.</summary>
    private async Task<bool> CountAsync(Account account)
    {
        var rules = accounts.Options.Lockout;
        if (++account.AccessFailedCount >= rules.MaxFailedAccessAttempts)
            (account.AccessFailedCount, account.LockoutEnd) = (0, time.GetUtcNow() + rules.DefaultLockoutTimeSpan);
        context.Record(new AccountChange(trail.Refusal(AuditTypes.SignInFailed, WrongPassword) with { User = account.Id }));
        return await accounts.SavedAsync(account);
    }

    private async Task<Fault> RefuseAsync(string reason, string? user)
    {
        // A name that nobody has is not recorded: people type their password there.
        await trail.RefuseAsync(trail.Refusal(AuditTypes.SignInFailed, reason) with { User = user }, []);
        return RefusedFault;
    }
}

internal static class AccountSaving
{
    /// <summary>Saves what <see cref="PeopleContext.Record"/> told; false when the account changed since it was read, or a precondition does not hold.</summary>
    public static async Task<bool> SavedAsync(this UserManager<Account> accounts, Account account)
    {
        var result = await accounts.UpdateAsync(account);
        if (result.Succeeded)
            return true;
        return result.Errors.Any(error => error.Code == nameof(IdentityErrorDescriber.ConcurrencyFailure))
            ? false
            : throw new InvalidOperationException($"The account was refused: {string.Join(", ", result.Errors.Select(error => error.Code))}.");
    }
}
