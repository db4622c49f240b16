using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Audit;
using McpAuthServer.CallApprovals;
using McpAuthServer.Clients;
using McpAuthServer.Delegation;
using McpAuthServer.Pages;
using McpAuthServer.People;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Approvals;

/// <summary>Shows a call that waits to who may answer, and takes the answer.</summary>
internal sealed class ApprovalDesk(
    ApprovalStore approvals, Approvers approvers, ApprovalWork work, RegistryReader reader, RegistryCache registry, ICommitLog log, AuditTrail trail, Interactions interactions, Issuer issuer,
    ServerOptions options, TimeProvider time)
{
    /// <summary>How often the registry may change under one answer before it is given up.</summary>
    private const int Attempts = 5;

    public static readonly PageResult NotThere = PageResult.Error(
        StatusCodes.Status404NotFound, "Nothing like this waits for you", "It was answered, it waited for too long, or it is another person's to answer. Your account shows what waits for you.");

    private static readonly PageResult Changed = PageResult.Error(
        StatusCodes.Status409Conflict, "This call can no longer be approved", "The tool or the rules about it have changed since it was asked. If it is still wanted, it will be asked again.");

    public SeeOther SignIn(string id) =>
        new($"{issuer.BasePath}{Names.Paths.SignIn}?continue={Uri.EscapeDataString(interactions.Seal(new Interaction("", time.GetUtcNow(), Approval: id)))}");

    public async Task<IResult> ShowAsync(string id, SignedIn who, CancellationToken cancel)
    {
        var now = time.GetUtcNow();
        var snapshot = await FreshAsync(cancel);
        if (await WaitingAsync(id, now, cancel) is not { } approval || await approvers.RefusesAsync(approval, who.Person, snapshot, now, cancel) is not null)
            return NotThere;
        if (approvers.Changed(approval, snapshot) is not null || await approvals.ArgumentsAsync(approval, cancel) is not { } arguments)
            return Changed;
        return PageResult.Of<ApprovalPage>("An agent asks before it acts", new Dictionary<string, object>
        {
            [nameof(ApprovalPage.View)] = await work.ViewAsync(approval, JsonElement.Parse(arguments), who.Person, snapshot, cancel),
            [nameof(ApprovalPage.Name)] = who.Person.Name, [nameof(ApprovalPage.Email)] = who.Person.Email ?? "", [nameof(ApprovalPage.Now)] = now,
        });
    }

    public async Task<IResult> AnswerAsync(string id, bool yes, SignedIn who, CancellationToken cancel)
    {
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            // 1. The person may answer, by what is registered now.
            var now = time.GetUtcNow();
            var snapshot = await FreshAsync(cancel);
            if (await WaitingAsync(id, now, cancel) is not { } approval)
                return await RefuseAsync("not_waiting", id, who);
            if (await approvers.RefusesNowAsync(approval, who.Person.Id, snapshot, now, cancel) is { } reason)
                return await RefuseAsync(reason, id, who);

            // 2. What they saw is what would be called.
            if (yes && approvers.Changed(approval, snapshot) is { } change)
            {
                await log.Commit(new VoidApproval(approval, change, now, options.Node));
                return Changed;
            }

            // 3. One commit: the answer, its record, and the arguments are gone.
            switch (await log.Commit(new AnswerApproval(approval, yes, who.Session, null, yes ? null : "refused_by_person", snapshot.Version, now, options.Node)))
            {
                case AnswerOutcome.Done:
                    return new SeeOther(issuer.BasePath + Names.Paths.AccountAnswered);
                case AnswerOutcome.SignedOut:
                    return await RefuseAsync("session_ended", id, who);
                case AnswerOutcome.Over:
                    return await RefuseAsync("not_waiting", id, who);
                default:
                    continue;
            }
        }
        return PageResult.Error(StatusCodes.Status503ServiceUnavailable, "Try again in a moment", "What is registered is changing just now.");
    }

    private async Task<CallApproval?> WaitingAsync(string id, DateTimeOffset now, CancellationToken cancel) =>
        await approvals.FindAsync(id, cancel) is { State: ApprovalState.Waiting } found && found.Expires > now ? found : null;

    private async Task<IResult> RefuseAsync(string reason, string id, SignedIn who)
    {
        await trail.RefuseAsync(trail.Refusal(AuditTypes.ApprovalDenied, reason) with { User = who.Person.Id, Approval = id }, []);
        return NotThere;
    }

    // What another node changed counts from its commit on: a yes is given on what is so now.
    private async Task<RegistrySnapshot> FreshAsync(CancellationToken cancel)
    {
        var seen = await registry.Current(cancel);
        if (await reader.Version(cancel) == seen.Version)
            return seen;
        registry.Invalidate(seen.Version);
        return await registry.Current(cancel);
    }
}

/// <summary>What the page tells of the work that a call belongs to.</summary>
internal sealed class ApprovalWork(TaskStore tasks, PersonStore people, ClientDirectory clients)
{
    public async Task<ApprovalView> ViewAsync(CallApproval approval, JsonElement arguments, Person asked, RegistrySnapshot registry, CancellationToken cancel)
    {
        var program = (await clients.KnownAsync(approval.Client, registry, cancel))?.Name ?? approval.Client;
        var user = approval.Call.User is { } id && id != asked.Id ? await people.Find(id, cancel) : null;
        return ApprovalView.Of(approval, arguments, registry, program, await tasks.FindTerms(approval.Call.Task, cancel), asked, user);
    }
}
