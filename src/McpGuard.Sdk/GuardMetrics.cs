using System.Diagnostics;
using System.Diagnostics.Metrics;
using McpAuth.Protocol;
using McpGuard.Sdk.Audit;
using McpGuard.Sdk.Calls;
using McpGuard.Sdk.Revocation;
using Microsoft.Extensions.Options;

namespace McpGuard.Sdk;

/// <summary>The names under which the guard is measured; <c>docs/guard.md</c> says what each instrument means.</summary>
public static class McpGuardMetrics
{
    /// <summary>The meter of every guard in the process; each has its resource as the meter's tag <c>mcpguard.resource</c>.</summary>
    public const string Meter = "McpGuard";
}

/// <summary>What the guard counts. Every tag has few values: no text of a caller, of a policy or of another decision point.</summary>
internal sealed class GuardMetrics
{
    /// <summary>Seconds: from what a decision in memory takes to what a person could wait for.</summary>
    private static readonly double[] Buckets = [0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

    private static readonly string[] Failures = ["policy_timeout", "policy_error", "pdp_timeout", "pdp_error"];

    private readonly Counter<long> decisions, outcomes, refusals;
    private readonly Histogram<double> durations;
    private readonly TimeProvider time;

    public GuardMetrics(
        IMeterFactory meters, IOptions<McpGuardOptions> options, GuardReadiness readiness, RevocationFeed feed, Spool spool, AuditDelivery delivery, TimeProvider time)
    {
        this.time = time;
        Meter meter = meters.Create(new MeterOptions(McpGuardMetrics.Meter) { Tags = [new("mcpguard.resource", options.Value.Resource)] });
        decisions = meter.CreateCounter<long>("mcpguard.decisions", "{decision}", "Calls decided, by tool, decision and denial code.");
        durations = meter.CreateHistogram("mcpguard.decision.duration", "s", "From the message read to the decision recorded.", tags: null, new InstrumentAdvice<double> { HistogramBucketBoundaries = Buckets });
        outcomes = meter.CreateCounter<long>("mcpguard.outcomes", "{call}", "How the handlers of allowed calls ended.");
        refusals = meter.CreateCounter<long>("mcpguard.refusals", "{request}", "Requests refused without a decision, or ended while they ran, by reason.");
        meter.CreateObservableGauge("mcpguard.problems", () => readiness.Problems().Select(problem => new Measurement<int>(1, new KeyValuePair<string, object?>("problem", problem))),
            "{problem}", "What keeps calls from being decided or recorded; nothing when the guard is ready.");
        meter.CreateObservableGauge("mcpguard.revocations.age", () => feed.Loaded ? [new Measurement<double>(feed.Age.TotalSeconds)] : Array.Empty<Measurement<double>>(),
            "s", "How long ago the guard knew all that was revoked; nothing before it knew it for the first time.");
        meter.CreateObservableGauge("mcpguard.spool.size", () => spool.Size, "By", "What the record takes on the disk, with the last of what was delivered.");
        meter.CreateObservableGauge("mcpguard.spool.undelivered", () => delivery.Waiting, "{record}", "Records that the server is not known to have.");
    }

    /// <summary>When a decision began; 0 while nobody asks how long they take.</summary>
    public long Began() => durations.Enabled ? time.GetTimestamp() : 0;

    public void Decided(CallDecision decision, long began)
    {
        if (began != 0) durations.Record(time.GetElapsedTime(began).TotalSeconds);
        if (!decisions.Enabled) return;
        TagList tags = new() { { "decision", decision.Allowed ? "allow" : "deny" } };
        if (decision.Tool is { } tool) tags.Add("tool", tool.Name);
        if (decision.Denial is { } denial)
        {
            tags.Add("code", denial.Code);
            // Of the others some are the host's own words.
            if (denial.Code == Names.Denials.GuardUnavailable) tags.Add("reason", denial.Reason);
            else if (denial.Code == Names.Denials.PolicyDenied && Undecided(denial.Reason) is { } why) tags.Add("reason", why);
        }
        decisions.Add(1, tags);
    }

    /// <summary>Why it is denied where nobody said no: a policy of the host's, or another decision point, was too slow or broken.</summary>
    private static string? Undecided(string? reason) => Array.Find(Failures, f => reason is not null && reason.StartsWith(f, StringComparison.Ordinal));

    public void Finished(CallDecision decision, HandlerOutcome how)
    {
        if (!outcomes.Enabled) return;
        TagList tags = new() { { "outcome", how.Success ? "success" : "error" } };
        if (decision.Tool is { } tool) tags.Add("tool", tool.Name);
        outcomes.Add(1, tags);
    }

    /// <param name="reason">A stable code.</param>
    public void Refused(string reason) => refusals.Add(1, new KeyValuePair<string, object?>("reason", reason));
}
