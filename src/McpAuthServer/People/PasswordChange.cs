using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Audit;
using McpAuthServer.Storage;
using Microsoft.AspNetCore.Identity;

namespace McpAuthServer.People;

/// <summary>A person gives themself another password: with the old one, and every other session of theirs ends.</summary>
internal sealed class PasswordChange(PasswordProof proof, UserManager<Account> accounts, PeopleContext context, AuditTrail trail, TimeProvider time)
{
    /// <summary>Code of the fault: the new password is not <see cref="Passwords.IsAdmissible"/>.</summary>
    public const string Inadmissible = "inadmissible";

    /// <remarks>Codes: <see cref="Inadmissible"/>, <see cref="PasswordProof.Refused"/>, <see cref="PasswordProof.Busy"/>.</remarks>
    public async Task<Result<Account>> TryAsync(SignInSession session, string current, string next, CancellationToken cancel)
    {
        if (!Passwords.IsAdmissible(next))
            return new Fault(Inadmissible, $"The new password must have {Passwords.Rule}.");
        // Without an account (the address was taken away meanwhile) nothing is found, and the refusal recorded.
        var name = (await accounts.FindByIdAsync(session.UserId))?.UserName ?? "";
        return await proof.ProveAsync(name, current, async (account, _) =>
        {
            account.SetPassword(accounts.PasswordHasher, next);
            context.Record(Changed(account, session.Id));
            return await accounts.SavedAsync(account) ? account : null;
        }, cancel);
    }

    private AccountChange Changed(Account account, string session)
    {
        var now = time.GetUtcNow();
        var e = trail.Success(AuditTypes.AccountChanged) with { User = account.Id, Data = new() { ["members"] = new System.Text.Json.Nodes.JsonArray("password") } };
        return new AccountChange(e)
        {
            Lock = StateLock.Exclusive,
            First = tx => [.. SessionEnding.EndAllOf(tx, account.Id, session, SessionEnding.PasswordChanged, now, e.Node).Select(ended => ended with { Cause = e.Id })],
        };
    }
}
