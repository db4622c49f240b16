using McpAuth.Protocol.Audit;
using McpAuthServer.People;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.CallApprovals;

/// <summary>How an answer ended.</summary>
internal enum AnswerOutcome
{
    Done,

    /// <summary>It waits no longer: answered, or over.</summary>
    Over,

    /// <summary>The registry changed since who may answer was decided.</summary>
    Stale,

    /// <summary>The person has signed out since, or was disabled.</summary>
    SignedOut,
}

/// <summary>A person's yes or no, or an administrator's no. The arguments are not needed any more, and go.</summary>
/// <param name="session">Of the person who answered; null for an administrator.</param>
/// <param name="administrator">The client that administers; null for a person.</param>
/// <param name="registryVersion">A yes counts only while that is what is registered.</param>
internal sealed class AnswerApproval(
    CallApproval approval, bool yes, SignInSession? session, string? administrator, string? reason, long registryVersion, DateTimeOffset now, string node) : Unit<AnswerOutcome>
{
    private static readonly Sql Answer = new(
        """
        update approvals set state = @state, sealed = null, answered_at = @now, answered_by = @by where id = @id and state = 'waiting' and expires_at > @now
        """);

    public override AnswerOutcome Apply(WriteTx tx)
    {
        // A form may be sent slowly: who answers must be signed in when it is complete.
        if (session?.Lives(tx, now) == false)
            return AnswerOutcome.SignedOut;
        if (yes && !RegistryVersion.IsCurrent(tx, registryVersion))
            return AnswerOutcome.Stale;
        if (yes && !ApprovalLife.Lives(tx, approval.Call, approval.Grant, now))
            return AnswerOutcome.Over;
        var by = session?.UserId ?? administrator;
        if (tx.Run(Answer.With(yes ? ApprovalState.Approved : ApprovalState.Refused, now.ToUnixTimeMilliseconds(), by, approval.Id)) == 0)
            return AnswerOutcome.Over;
        tx.Append(approval.Event(
            ApprovalLife.New(yes ? AuditTypes.ApprovalApproved : AuditTypes.ApprovalRefused, yes ? "success" : "refused", now, node) with { Reason = reason, Data = new() { ["by"] = by } },
            ApprovalLife.ResourceOf(tx, approval.Call.ToolServer), approval.AskedEvent));
        return AnswerOutcome.Done;
    }
}

/// <summary>Ends one that was asked for something that is no longer so: the policies, or the tool.</summary>
internal sealed class VoidApproval(CallApproval approval, string reason, DateTimeOffset now, string node) : Unit<bool>
{
    private static readonly Sql Close = new("update approvals set state = 'ended', sealed = null where id = @id and state = 'waiting'");

    public override bool Apply(WriteTx tx)
    {
        if (tx.Run(Close.With(approval.Id)) == 0)
            return false;
        tx.Append(approval.Event(
            ApprovalLife.New(AuditTypes.ApprovalEnded, "refused", now, node) with { Reason = reason }, ApprovalLife.ResourceOf(tx, approval.Call.ToolServer), approval.AskedEvent));
        return true;
    }
}
