using McpGuard.Sdk.Calls;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace McpGuard.Sdk.DecisionPoints;

/// <summary>What the decision points said of one call.</summary>
/// <param name="Reason">Why it is denied, for the audit alone; null when all allowed, or there are none.</param>
/// <param name="Told">Who answered what, in the order of their names; null where there are none.</param>
internal readonly record struct PointsFinding(string? Reason, IReadOnlyList<(string Name, string Answer)>? Told);

/// <summary>Asks all decision points at once. All must allow; the first that does not ends the asking.</summary>
internal sealed class AllDecisionPoints(IOptions<McpGuardOptions> options, TimeProvider time, ILogger<AllDecisionPoints> logger) : IDisposable
{
    private readonly DecisionPoint[] points = [.. options.Value.DecisionPoints.OrderBy(p => p.Name, StringComparer.Ordinal).Select(p => new DecisionPoint(p, time, logger))];

    public bool Any => points.Length > 0;

    /// <exception cref="OperationCanceledException">The caller has gone.</exception>
    public async ValueTask<PointsFinding> Decide(Caller caller, Evaluation asked, CancellationToken cancellationToken)
    {
        if (!Any) return default;
        DateTimeOffset now = time.GetUtcNow();
        byte[]? whole = null, bare = null;
        byte[] Request(bool withInput) => withInput ? whole ??= Write(true) : bare ??= Write(false);
        byte[] Write(bool withInput) => EvaluationRequest.Write(caller, options.Value.Resource, asked, withInput, now);

        using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task<PointAnswer>[] answers = [.. points.Select(p => p.Ask(Request(p.IncludeArguments), asked.Id, enough.Token))];
        await foreach (Task<PointAnswer> answer in Task.WhenEach(answers).WithCancellation(cancellationToken))
        {
            if (answer is { IsCompletedSuccessfully: true, Result: PointAnswer.Allow }) continue;
            await enough.CancelAsync();
            break;
        }
        foreach (Task<PointAnswer> answer in answers) await ((Task)answer).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancellationToken.ThrowIfCancellationRequested();

        // One that was cut short because another had denied has said nothing.
        var told = new List<(string, string)>(points.Length);
        string? reason = null;
        for (int i = 0; i < points.Length; i++)
        {
            if (!answers[i].IsCompletedSuccessfully) continue;
            string word = Word(answers[i].Result);
            told.Add((points[i].Name, word));
            if (answers[i].Result != PointAnswer.Allow) reason ??= $"pdp_{(answers[i].Result == PointAnswer.Deny ? "denied" : word)} {points[i].Name}";
        }
        // Nothing but all of them is a yes.
        if (reason is null && told.Count != points.Length) reason = "pdp_error";
        return new(reason, told);
    }

    public void Dispose()
    {
        foreach (DecisionPoint point in points) point.Dispose();
    }

    private static string Word(PointAnswer answer) => answer switch { PointAnswer.Allow => "allow", PointAnswer.Deny => "deny", PointAnswer.Timeout => "timeout", _ => "error" };
}
