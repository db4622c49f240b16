using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Storage;

namespace McpAuthServer.CallApprovals;

/// <summary>What becomes of a held call.</summary>
/// <param name="Approval">The one that is used up, or waits; null with <paramref name="Reason"/>, or when none is there.</param>
/// <param name="Reason">Why nobody is asked.</param>
internal readonly record struct Claim(CallApproval? Approval, bool Used = false, string? Reason = null)
{
    public bool Found => Approval is not null || Reason is not null;
}

/// <summary>
/// Uses up a person's yes to exactly this call, in the commit that says so and names the decision; or finds what waits for one. A guard that did not hear the answer asks
/// again for the same decision, and gets the same.
/// </summary>
internal sealed class ClaimApproval(HeldCall call, string resource, DateTimeOffset now, string node) : Unit<Claim>
{
    private static readonly Sql
        UsedBefore = new($"select {CallApproval.Columns} from approvals where used_by = @decision and binding = @binding"),
        Open = new($"select {CallApproval.Columns} from approvals where binding = @binding and state in ('waiting', 'approved') and expires_at > @now"),
        Use = new("update approvals set state = 'used', used_at = @now, used_by = @decision where id = @id and state = 'approved' and expires_at > @now");

    public override Claim Apply(WriteTx tx) => Find(tx, call, resource, now, node);

    public static Claim Find(WriteTx tx, HeldCall call, string resource, DateTimeOffset now, string node)
    {
        var (binding, ms) = (call.Bound.Binding, now.ToUnixTimeMilliseconds());
        if (tx.First(UsedBefore.With(call.Decision, binding), CallApproval.Read) is { } same)
            return new(same, Used: true);
        if (!ApprovalLife.Lives(tx, call.Bound, call.Issued.Grant!, now))
            return new(null, Reason: Names.Reasons.TaskEnded);
        if (tx.First(Open.With(binding, ms), CallApproval.Read) is not { } open)
            return default;
        if (open.State == ApprovalState.Waiting)
            return new(open);
        // One statement: of two that ask at once, on any node, one changes the row.
        if (tx.Run(Use.With(ms, call.Decision, open.Id)) == 0)
            return default;
        tx.Append(open.Event(ApprovalLife.New(AuditTypes.ApprovalUsed, "success", now, node), resource, call.Decision) with
        {
            Jti = call.Issued.Jti, Grant = call.Issued.Grant, Data = new() { ["by"] = open.AnsweredBy },
        });
        return new(open, Used: true);
    }
}

/// <summary>Lets a call wait for a person, unless they are asked too much already.</summary>
/// <param name="webhooks">Who is told, by their names.</param>
internal sealed class AskApproval(HeldCall call, string resource, int mostOfUser, IReadOnlyList<string> webhooks, DateTimeOffset now, string node) : Unit<Claim>
{
    private static readonly Sql
        LastRefusal = new("select coalesce(max(answered_at), 0) from approvals where binding = @binding and state = 'refused'"),
        WaitingOfTask = new("select count(*) from approvals where task_id = @task and state = 'waiting' and expires_at > @now"),
        WaitingOfUser = new("select count(*) from approvals where user_id = @user and state = 'waiting' and expires_at > @now"),
        Insert = new(
            """
            insert into approvals (id, state, binding, task_id, grant_id, user_id, agent_id, instance_id, client_id, chain, tool_server, tool, def_digest, args_digest, policy_hash, jti,
              sealed, sealed_for, asked_at, expires_at, asked_event)
            values (@id, 'waiting', @binding, @task, @grant, @user, @agent, @instance, @client, @chain, @server, @tool, @def, @args, @policy, @jti, @sealed, @decision, @now, @expires, @event)
            """),
        Notice = new("insert into approval_notices (approval, webhook, attempts, next_at) values (@approval, @webhook, 0, @now)");

    // Two questions at once must not both be the last that is allowed.
    public override StateLock Lock => StateLock.Exclusive;

    public override Claim Apply(WriteTx tx)
    {
        var (bound, issued, ms) = (call.Bound, call.Issued, now.ToUnixTimeMilliseconds());
        ApprovalLife.Expire(tx, bound.Task, now, node);
        // Another was first in between.
        if (ClaimApproval.Find(tx, call, resource, now, node) is { Found: true } claim)
            return claim;
        var asked = ApprovalLife.New(AuditTypes.ApprovalAsked, "success", now, node);
        var approval = new CallApproval(
            Id.New(Id.Approval, now), ApprovalState.Waiting, bound, issued.Grant!, issued.Client!, issued.Chain ?? [], issued.Jti!, call.Sealed, call.Decision, now, now + Limits.Approval, asked.Id,
            null, null, null);
        if (Refusal(tx, ms) is { } reason)
        {
            tx.Append(approval.Event(asked with { Type = AuditTypes.ApprovalNotAsked, Outcome = "refused", Reason = reason }, resource, call.Decision) with { Approval = null });
            return new(null, Reason: reason);
        }
        tx.Run(Insert.With(
            approval.Id, bound.Binding, bound.Task, approval.Grant, bound.User, bound.Agent, bound.Instance, approval.Client,
            JsonSerializer.Serialize(approval.Chain, ApprovalJson.Default.IReadOnlyListString), bound.ToolServer, bound.Tool, bound.DefDigest, bound.ArgsDigest, bound.PolicyHash, approval.Jti,
            call.Sealed, call.Decision, ms, approval.Expires.ToUnixTimeMilliseconds(), asked.Id));
        foreach (var webhook in webhooks)
            tx.Run(Notice.With(approval.Id, webhook, ms));
        tx.Append(approval.Event(asked, resource, call.Decision) with { Data = new() { ["def_digest"] = bound.DefDigest, ["expires_at"] = approval.Expires.ToUnixTimeMilliseconds() } });
        return new(approval);
    }

    private string? Refusal(WriteTx tx, long ms)
    {
        // Nobody is asked the same until they say yes to have peace.
        if (tx.First(LastRefusal.With(call.Bound.Binding), r => r.GetInt64(0)) + (long)Limits.Approval.TotalMilliseconds > ms)
            return Names.Reasons.DeniedLately;
        var waiting = tx.First(WaitingOfTask.With(call.Bound.Task, ms), r => r.GetInt64(0));
        var ofUser = call.Bound.User is { } user ? tx.First(WaitingOfUser.With(user, ms), r => r.GetInt64(0)) : 0;
        return waiting >= Limits.ApprovalsWaiting || ofUser >= mostOfUser ? Names.Reasons.TooManyWaiting : null;
    }
}
