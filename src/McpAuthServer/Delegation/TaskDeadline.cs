using McpAuth.Protocol;

namespace McpAuthServer.Delegation;

/// <summary>How long a task may last: 1 h by default, at most 24 h and what the agent's record allows.</summary>
internal static class TaskDeadline
{
    public static Result<DateTimeOffset> Resolve(DateTimeOffset? asked, TimeSpan agentMaximum, DateTimeOffset now)
    {
        var maximum = agentMaximum < Limits.TaskMaximum ? agentMaximum : Limits.TaskMaximum;
        if (asked is not { } end)
            return Seconds(now + (maximum < Limits.TaskDefault ? maximum : Limits.TaskDefault));
        if (end <= now)
            return new Fault(Names.Errors.InvalidAuthorizationDetails, "The task's expires_at lies in the past.");
        return end > now + maximum
            ? new Fault(Names.Errors.InvalidAuthorizationDetails, $"The task may last {maximum.TotalMinutes:0} minutes at most.")
            : Seconds(end);
    }

    // Claims count in seconds; the stored deadline is the one that tokens can name.
    private static DateTimeOffset Seconds(DateTimeOffset time) => DateTimeOffset.FromUnixTimeSeconds(time.ToUnixTimeSeconds());
}
