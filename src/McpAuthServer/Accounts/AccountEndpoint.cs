using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Audit;
using McpAuthServer.Authorizations;
using McpAuthServer.Delegation;
using McpAuthServer.Pages;
using McpAuthServer.People;
using McpAuthServer.Storage;

namespace McpAuthServer.Accounts;

/// <summary>A person sees what acts for them, and ends it.</summary>
internal static class AccountEndpoint
{
    /// <summary>Names which of the fixed confirmations to show.</summary>
    private const string DoneParameter = "done", Ended = "ended", Withdrawn = "withdrawn", Answered = "answered", Lifted = "lifted";

    public static string EndPath(string task) => $"{Names.Paths.Account}/tasks/{Uri.EscapeDataString(task)}/end";

    public static string WithdrawPath(string consent) => $"{Names.Paths.Account}/consents/{Uri.EscapeDataString(consent)}/withdraw";

    public static string LiftPath(string consent) => $"{Names.Paths.Account}/consents/{Uri.EscapeDataString(consent)}/lift";

    public static void MapAccount(this IEndpointRouteBuilder routes)
    {
        routes.MapGet(Names.Paths.Account, ShowAsync);
        routes.MapPost(Names.Paths.Account + "/tasks/{id}/end", (string id, HttpContext context, AccountDesk desk, TaskStore tasks) =>
            desk.ActAsync<Transition>(context, AuditTypes.TaskRefused, "There is no such task", Ended, async (user, by, now) =>
                // Whose a task is never changes, so it may be looked up before the unit.
                (await tasks.Find(id, context.RequestAborted))?.UserId == user ? new EndTask(id, TaskState.Revoked, "ended_by_person", by, proof: null, now, desk.Node) : null,
                ended => ended.State is not null));
        routes.MapPost(Names.Paths.Account + "/consents/{id}/withdraw", (string id, HttpContext context, AccountDesk desk) =>
            desk.ActAsync<bool>(context, AuditTypes.ConsentRefused, "There is no such access", Withdrawn, (user, by, now) => new(new WithdrawConsent(id, user, by, now, desk.Node)), found => found));
        routes.MapPost(Names.Paths.Account + "/consents/{id}/lift", (string id, HttpContext context, AccountDesk desk) =>
            desk.ActAsync<bool>(context, AuditTypes.ConsentRefused, "There is no such access", Lifted, (user, by, now) => new(new LiftConsent(id, user, by, null, now, desk.Node)), found => found));
    }

    public static string Location(Issuer issuer, string done) => $"{issuer.BasePath}{Names.Paths.Account}?{DoneParameter}={done}";

    private static async Task<IResult> ShowAsync(HttpContext context, AccountReader reader, Issuer issuer, TimeProvider time)
    {
        if (await Browser.SignedInAsync(context) is not { Person: var person })
            return new SeeOther(issuer.BasePath + Names.Paths.SignIn);
        var now = time.GetUtcNow();
        return PageResult.Of<AccountPage>("What works for you", new Dictionary<string, object>
        {
            [nameof(AccountPage.View)] = await reader.ReadAsync(person, now, context.RequestAborted), [nameof(AccountPage.Now)] = now,
            [nameof(AccountPage.Name)] = person.Name, [nameof(AccountPage.Email)] = person.Email ?? "",
            [nameof(AccountPage.Done)] = (string?)context.Request.Query[DoneParameter] switch
            {
                Ended => "The access has ended. Nothing of that task works any more.",
                Withdrawn => "The access was withdrawn, and everything that stood on it has ended.",
                Lifted => "Your organization may let it have access again.",
                Answered => "Your answer counts. The agent that asked gets it when it asks again.",
                _ => "",
            },
        });
    }
}

/// <summary>What the forms of the account page have in common.</summary>
internal sealed class AccountDesk(ICommitLog log, AuditTrail trail, Issuer issuer, ServerOptions options, TimeProvider time)
{
    public string Node => options.Node;

    /// <param name="act">Null when what is meant is not this person's, or is not there: nobody can tell which.</param>
    /// <param name="found">Of its result, whether there was what is meant.</param>
    public async Task<IResult> ActAsync<T>(
        HttpContext context, string refused, string missing, string done, Func<string, Initiator, DateTimeOffset, ValueTask<Unit<T>?>> act, Func<T, bool> found)
    {
        // 1. Who; and a form of ours, from this browser.
        if (await Browser.SignedInAsync(context) is not { Person.Id: var user, Session: var session })
            return new SeeOther(issuer.BasePath + Names.Paths.SignIn);
        var (form, refusal) = await PageForm.ReadAsync(context, refused, user);
        if (form is null)
            return refusal!;

        // 2. What is theirs, while they are signed in.
        var now = time.GetUtcNow();
        if (await act(user, new Initiator(null, null, null, Rank.User, user), now) is { } unit)
        {
            var (signedIn, result) = await log.Commit(new ActOfPerson<T>(session, unit, now));
            if (!signedIn)
            {
                await trail.RefuseAsync(trail.Refusal(refused, "session_ended") with { User = user }, []);
                return new SeeOther(issuer.BasePath + Names.Paths.SignIn);
            }
            if (found(result!))
                return new SeeOther(AccountEndpoint.Location(issuer, done));
        }
        await trail.RefuseAsync(trail.Refusal(refused, "unknown") with { User = user }, []);
        return PageResult.Error(StatusCodes.Status404NotFound, missing, "Perhaps it has ended already. Your account shows what there is.");
    }
}
