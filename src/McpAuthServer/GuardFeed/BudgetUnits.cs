using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuthServer.Storage;

namespace McpAuthServer.GuardFeed;

/// <param name="Calls">That are needed; <paramref name="UpTo"/> would be taken.</param>
/// <param name="Limits">Of the task and its ancestors, root first, so that two guards take the rows in the same order.</param>
internal sealed record Spending(string Task, string Server, string Tool, int Calls, int UpTo, IReadOnlyList<(string Task, long Limit)> Limits);

/// <summary>All of the calls against every limit, or none (invariant 11); and as many more as a lease may hold.</summary>
internal sealed class SpendCalls(Spending what, string guard, DateTimeOffset now) : Unit<BudgetResponse>
{
    /// <summary>How long a lease is good for. A guard that dies takes no more than this with it.</summary>
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);

    /// <summary>A lease holds this part of what is left, so that the last calls go to whoever needs one.</summary>
    private const int Share = 4;

    private static readonly Sql
        Living = new(
            """
            with recursive up (id, parent_id, state, expires_at) as (
              select id, parent_id, state, expires_at from tasks where id = @id
              union all select t.id, t.parent_id, t.state, t.expires_at from tasks t join up on t.id = up.parent_id)
            select min(case when state = 'active' then expires_at else 0 end) from up
            """),
        Open = new("insert into budgets (task_id, tool_server, tool, spent) values (@task, @server, @tool, 0) on conflict do nothing"),
        Spent = new("select spent from budgets where task_id = @task and tool_server = @server and tool = @tool"),
        Take = new("update budgets set spent = spent + @calls where task_id = @task and tool_server = @server and tool = @tool and spent + @calls <= @limit"),
        GiveBack = new("update budgets set spent = spent - @calls where task_id = @task and tool_server = @server and tool = @tool"),
        Insert = new("insert into budget_leases (id, guard_id, counted, tool_server, tool, calls, expires_at) values (@id, @guard, @counted, @server, @tool, @calls, @expires)");

    public override BudgetResponse Apply(WriteTx tx)
    {
        var ms = now.ToUnixTimeMilliseconds();
        var ends = tx.First(Living.With(what.Task), r => r.IsDBNull(0) ? 0 : r.GetInt64(0));
        if (ends <= ms)
            return new BudgetResponse(0, Names.Reasons.TaskEnded);
        foreach (var (task, _) in what.Limits)
            tx.Run(Open.With(task, what.Server, what.Tool));

        // What is read here may be gone when it is taken: then only what is needed is.
        var wanted = what.UpTo == what.Calls || what.Limits.Count == 0 ? what.Calls : Math.Max(what.Calls, Math.Min(what.UpTo, Left(tx) / Share));
        var granted = Taken(tx, wanted) ? wanted : wanted > what.Calls && Taken(tx, what.Calls) ? what.Calls : 0;
        if (granted == 0)
            return new BudgetResponse(0, Names.Denials.BudgetSpent);
        if (granted == what.Calls)
            return new BudgetResponse((int)granted);
        var (lease, until) = (Id.New(Id.BudgetLease, now), Math.Min(ms + (long)Lease.TotalMilliseconds, ends));
        tx.Run(Insert.With(lease, guard, string.Join(' ', what.Limits.Select(l => l.Task)), what.Server, what.Tool, granted - what.Calls, until));
        return new BudgetResponse((int)granted, null, lease, (int)((until - ms) / 1000));
    }

    private long Left(WriteTx tx) => what.Limits.Min(l => l.Limit - tx.First(Spent.With(l.Task, what.Server, what.Tool), r => r.GetInt64(0)));

    private bool Taken(WriteTx tx, long calls)
    {
        for (var i = 0; i < what.Limits.Count; i++)
        {
            if (tx.Run(Take.With(calls, what.Limits[i].Task, what.Server, what.Tool, what.Limits[i].Limit)) == 1)
                continue;
            for (var taken = 0; taken < i; taken++)
                tx.Run(GiveBack.With(calls, what.Limits[taken].Task, what.Server, what.Tool));
            return false;
        }
        return true;
    }
}

/// <summary>The rest of a lease, given back once, in time, by whom it was leased to, and never more than it holds. The result is how many calls.</summary>
internal sealed class ReturnCalls(string guard, string lease, int unused, long now) : Unit<long>
{
    private static readonly Sql
        Find = new("select counted, tool_server, tool from budget_leases where id = @id"),
        Close = new("delete from budget_leases where id = @id and guard_id = @guard and expires_at > @now and calls >= @unused"),
        GiveBack = new("update budgets set spent = spent - @calls where task_id = @task and tool_server = @server and tool = @tool");

    public override long Apply(WriteTx tx)
    {
        if (tx.First(Find.With(lease), r => (Held?)new Held(r.GetString(0), r.GetString(1), r.GetString(2))) is not { } held || tx.Run(Close.With(lease, guard, now, (long)unused)) == 0)
            return 0;
        foreach (var task in held.Counted.Split(' '))
            tx.Run(GiveBack.With((long)unused, task, held.Server, held.Tool));
        return unused;
    }

    private sealed record Held(string Counted, string Server, string Tool);
}
