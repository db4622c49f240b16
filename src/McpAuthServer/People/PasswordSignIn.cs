using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Audit;
using McpAuthServer.Storage;
using Microsoft.AspNetCore.Identity;

namespace McpAuthServer.People;

/// <summary>Begins a session for whoever proves who they are.</summary>
internal sealed class PasswordSignIn(PasswordProof proof, UserManager<Account> accounts, PeopleContext context, AuditTrail trail, TimeProvider time)
{
    /// <param name="replaced">The session this browser had before; it ends.</param>
    /// <remarks>Codes: <see cref="PasswordProof.Refused"/>, <see cref="PasswordProof.Busy"/>.</remarks>
    public Task<Result<SignInSession>> TryAsync(string email, string password, string? replaced, CancellationToken cancel) =>
        proof.ProveAsync(email, password, async (account, outdated) =>
        {
            if (outdated)
                account.PasswordHash = accounts.PasswordHasher.HashPassword(account, password);
            return await BeginAsync(account, replaced);
        }, cancel);

    /// <summary>The session, the account as it is after a success and the event, in one; null when the account changed or the user was disabled meanwhile.</summary>
    private async Task<SignInSession?> BeginAsync(Account account, string? replaced)
    {
        var now = time.GetUtcNow();
        var session = new SignInSession(Id.New(Id.Session, now), account.Id, now, SignInSession.Password, now + SignInSession.Life);
        var e = trail.Success(AuditTypes.SignedIn) with { User = account.Id };
        context.Record(new AccountChange(e)
        {
            Lock = replaced is null ? StateLock.Shared : StateLock.Exclusive,
            First = tx => !SessionBeginning.Begin(tx, session) ? null
                : replaced is null ? []
                : [.. SessionEnding.Replace(tx, replaced, session, now, e.Node).Select(ended => ended with { Cause = e.Id })],
        });
        return await accounts.SavedAsync(account) ? session : null;
    }
}
