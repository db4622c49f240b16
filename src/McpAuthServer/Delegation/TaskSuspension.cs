using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Storage;

namespace McpAuthServer.Delegation;

/// <summary>
/// Suspends or resumes a task. Resuming needs at least the rank that suspended (invariant 12). A resumable task is moved by the instance that holds it; one that
/// waits, or whose holder no longer lives, becomes that of the instance that resumes it. Whoever else lifts a suspension leaves it to be taken up.
/// </summary>
internal sealed class SuspendOrResumeTask(string id, bool suspend, string? reason, Initiator by, Once? proof, DateTimeOffset now, string node) : Unit<Transition>
{
    private static readonly Sql Update = new("update tasks set state = @state, suspended_by = @rank where id = @id");

    public override StateLock Lock => StateLock.Exclusive;

    public override Transition Apply(WriteTx tx)
    {
        if (TaskTransitions.Replayed(tx, proof, id, by, now, node))
            return new(Replayed: true, false, null);
        var ms = now.ToUnixTimeMilliseconds();
        if (TaskHolding.Find(tx, id) is not { } task)
            return new(false, false, null);
        if (TaskState.IsFinal(task.State) || task.ExpiresAt <= ms)
            return Refuse(tx, task, Names.Reasons.TaskEnded);
        // Suspending again may only raise the rank; whoever is of lower rank changes nothing.
        if (by.Rank < task.SuspendedBy)
            return Refuse(tx, task, Names.Reasons.ActorUnauthorized);
        // What waits is for whichever instance comes next, also while the one that left it lives.
        if ((suspend || task.State == TaskState.Active) && TaskHolding.IsAnothers(tx, task, by, ms))
            return Refuse(tx, task, Names.Reasons.HeldByAnother);
        return suspend ? Suspend(tx, task, ms) : Resume(tx, task, ms);
    }

    private Transition Suspend(WriteTx tx, TaskRecord task, long ms)
    {
        tx.Run(Update.With(TaskState.Suspended, (long)by.Rank, id));
        Revocations.Deny(tx, SubjectKind.Task, id, TaskState.Suspended, ms);
        tx.Append(TaskTransitions.Event(AuditTypes.TaskSuspended, "success", reason, task, by, now, node));
        return new(false, true, TaskState.Suspended);
    }

    private Transition Resume(WriteTx tx, TaskRecord task, long ms)
    {
        var comes = task is { Resumable: true, InstanceId: { } holder } && by.Instance is { } instance && instance != holder ? (From: holder, To: instance) : default((string From, string To)?);
        if (task.State == TaskState.Active && comes is null)
            return new(false, true, task.State);
        // Who resumes must live itself: its own end may have come first.
        if (by.Instance is not null && !TaskHolding.Lives(tx, by.Instance, ms))
            return Refuse(tx, task, Names.Reasons.InstanceEnded);
        if (by.Instance is null && task is { Resumable: true, InstanceId: { } gone } && !TaskHolding.Lives(tx, gone, ms))
        {
            // Nobody works on it. The stop is lifted as far as it was theirs; the next instance of the agent resumes it.
            tx.Run(Update.With(TaskState.Suspended, (long)Rank.Agent, id));
            tx.Append(TaskTransitions.Event(AuditTypes.TaskSuspended, "success", Names.Reasons.InstanceEnded, task, by, now, node));
            return new(false, true, TaskState.Suspended);
        }

        var resumed = TaskTransitions.Event(AuditTypes.TaskResumed, "success", reason, task, by, now, node);
        List<AuditEvent> events = [resumed];
        if (comes is { } taken)
            events = TaskHolding.TakeUp(tx, task, taken.From, taken.To, by, resumed, now, node);
        else
            tx.Run(Update.With(TaskState.Active, (long)Rank.None, id));
        if (task.State == TaskState.Suspended)
            Revocations.Lift(tx, SubjectKind.Task, id, "resumed", ms);
        events.ForEach(tx.Append);
        return new(false, true, TaskState.Active);
    }

    private Transition Refuse(WriteTx tx, TaskRecord task, string why)
    {
        tx.Append(TaskTransitions.Event(AuditTypes.TaskRefused, "refused", why, task, by, now, node));
        return new(false, false, task.State, why);
    }
}
