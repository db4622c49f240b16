using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuthServer.Audit;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Storage;

namespace McpAuthServer.GuardFeed;

/// <summary>
/// <c>POST /guard/budgets</c>: spends calls of a tool with <c>max_calls</c>, against the task and every ancestor, in one transaction. A guard
/// asks before each such call.
/// </summary>
internal static class BudgetsEndpoint
{
    private const int MaxCalls = 1000;

    public static void MapBudgetsEndpoint(this IEndpointRouteBuilder routes) => routes.MapPost(Names.Paths.GuardBudgets, HandleAsync);

    private static async Task<IResult> HandleAsync(
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
        return Answer(await log.Commit(new SpendCalls(task, caller.Server.Id, body.Tool, body.Calls, limits, time.GetUtcNow().ToUnixTimeMilliseconds())));
    }

    private static IResult Answer(BudgetResponse answer) => Results.Json(answer, ProtocolJson.Default.BudgetResponse);
}

/// <summary>All of the calls against every limit, or none (invariant 11).</summary>
internal sealed class SpendCalls(string task, string server, string tool, int calls, IReadOnlyList<(string Task, long Limit)> limits, long now) : Unit<BudgetResponse>
{
    private static readonly Sql
        Ended = new(
            """
            with recursive up (id, parent_id, state, expires_at) as (
              select id, parent_id, state, expires_at from tasks where id = @id
              union all select t.id, t.parent_id, t.state, t.expires_at from tasks t join up on t.id = up.parent_id)
            select count(*) from up where state <> 'active' or expires_at <= @now
            """),
        Open = new("insert into budgets (task_id, tool_server, tool, spent) values (@task, @server, @tool, 0) on conflict do nothing"),
        Take = new("update budgets set spent = spent + @calls where task_id = @task and tool_server = @server and tool = @tool and spent + @calls <= @limit"),
        GiveBack = new("update budgets set spent = spent - @calls where task_id = @task and tool_server = @server and tool = @tool");

    public override BudgetResponse Apply(WriteTx tx)
    {
        if (tx.First(Ended.With(task, now), r => r.GetInt64(0)) > 0)
            return new BudgetResponse(0, Names.Reasons.TaskEnded);
        for (var i = 0; i < limits.Count; i++)
        {
            tx.Run(Open.With(limits[i].Task, server, tool));
            if (tx.Run(Take.With((long)calls, limits[i].Task, server, tool, limits[i].Limit)) == 1)
                continue;
            for (var taken = 0; taken < i; taken++)
                tx.Run(GiveBack.With((long)calls, limits[taken].Task, server, tool));
            return new BudgetResponse(0, Names.Denials.BudgetSpent);
        }
        return new BudgetResponse(calls);
    }
}
