using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuthServer.Audit;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Storage;

namespace McpAuthServer.GuardFeed;

/// <summary>
/// <c>POST /guard/budgets</c>: spends calls of a tool with <c>max_calls</c>, against the task and every ancestor, in one transaction. A guard that asks for
/// more than it needs gets a lease, whose unused rest it returns (<c>POST /guard/budgets/returns</c>).
/// </summary>
internal static class BudgetsEndpoint
{
    private const int MaxCalls = 1000, MaxReturns = 100;

    public static void MapBudgetsEndpoint(this IEndpointRouteBuilder routes)
    {
        routes.MapPost(Names.Paths.GuardBudgets, SpendAsync);
        routes.MapPost(Names.Paths.GuardBudgetReturns, ReturnAsync);
    }

    private static async Task<IResult> SpendAsync(
        HttpContext context, GuardCallers callers, IssuedTokens issued, TaskStore tasks, GrantStore grants, ICommitLog log, TimeProvider time)
    {
        var cancel = context.RequestAborted;
        var (caller, error) = await callers.AuthenticateAsync(context, Names.Paths.GuardBudgets);
        if (caller is null)
            return error!;
        var (body, invalid) = await StrictBody.JsonAsync(context.Request, RequestJson.Default.BudgetRequest, Limits.TokenBody);
        if (body is null)
            return invalid!;
        if (body.Calls is < 1 or > MaxCalls)
            return OAuthError.InvalidRequest($"calls lies between 1 and {MaxCalls}.");
        if (body.UpTo is { } most && (most < body.Calls || most > MaxCalls))
            return OAuthError.InvalidRequest($"up_to lies between calls and {MaxCalls}.");
        if (await issued.FindAsync(body.Jti, cancel) is not { Task: { } task, Grant: { } grantId } token || token.Resource != caller.Server.Resource
            || await grants.Find(grantId, cancel) is not { } grant)
            return Answer(new BudgetResponse(0, Names.Reasons.Foreign));
        if (grant.Authority.At(caller.Server.Resource)?.Tools.ContainsKey(body.Tool) != true)
            return Answer(new BudgetResponse(0, Names.Denials.NotInTask));

        // The grant's own limit counts against its task; every ancestor's against itself.
        var limits = new List<(string Task, long Limit)>();
        foreach (var (id, _) in await tasks.Lineage(task, cancel))
        {
            var held = (await tasks.FindTerms(id, cancel))!.Authority.At(caller.Server.Resource)?.Tools.GetValueOrDefault(body.Tool)?.MaxCalls;
            var narrowed = id == task ? grant.Authority.At(caller.Server.Resource)?.Tools.GetValueOrDefault(body.Tool)?.MaxCalls : null;
            if ((held, narrowed) is not (null, null))
                limits.Add((id, Math.Min(held ?? long.MaxValue, narrowed ?? long.MaxValue)));
        }
        // Root first, so that two guards take the rows in the same order.
        limits.Reverse();
        return Answer(await log.Commit(new SpendCalls(
            new Spending(task, caller.Server.Id, body.Tool, body.Calls, body.UpTo ?? body.Calls, limits), caller.Guard.Id, time.GetUtcNow())));
    }

    private static async Task<IResult> ReturnAsync(HttpContext context, GuardCallers callers, ICommitLog log, TimeProvider time)
    {
        var (caller, error) = await callers.AuthenticateAsync(context, Names.Paths.GuardBudgetReturns);
        if (caller is null)
            return error!;
        var (body, invalid) = await StrictBody.JsonAsync(context.Request, RequestJson.Default.BudgetReturnsRequest, Limits.TokenBody);
        if (body is null)
            return invalid!;
        if (body.Leases.Count is < 1 or > MaxReturns || body.Leases.Any(l => l is null or { Unused: < 0 or > MaxCalls } or { Lease: null }))
            return OAuthError.InvalidRequest($"leases are 1 to {MaxReturns}, each with what is unused of it.");
        long returned = 0;
        foreach (var lease in body.Leases)
            returned += await log.Commit(new ReturnCalls(caller.Guard.Id, lease.Lease, lease.Unused, time.GetUtcNow().ToUnixTimeMilliseconds()));
        return Results.Json(new BudgetReturnsResponse(returned), ProtocolJson.Default.BudgetReturnsResponse);
    }

    private static IResult Answer(BudgetResponse answer) => Results.Json(answer, ProtocolJson.Default.BudgetResponse);
}
