using System.Text;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Evaluation;

/// <summary>What became of one policy in one decision.</summary>
public enum PolicyOutcome
{
    /// <summary>Its scope or a condition excludes the request.</summary>
    NotSatisfied,
    Satisfied,
    Failed,
}

/// <summary>
/// Why a request is decided as it is: every policy, and what each part of its conditions came to. For people; it quotes the request's values, so it is as
/// confidential as they are.
/// </summary>
public sealed class Explanation
{
    internal Explanation(AuthorizationResponse response, IReadOnlyList<PolicyExplanation> policies) => (Response, Policies) = (response, policies);

    public AuthorizationResponse Response { get; }

    /// <summary>In the order of the set.</summary>
    public IReadOnlyList<PolicyExplanation> Policies { get; }

    /// <summary>The decision, then each policy whose scope includes the request; those that it excludes are only counted.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.Append(Response.Decision == Decision.Allow ? "Allow" : "Deny").Append(Response.Cause switch
        {
            DenialCause.None => "",
            DenialCause.NothingPermits => ": no policy permits it",
            DenialCause.Forbidden => ": forbidden",
            DenialCause.ForbidFailed => ": a forbid could not be evaluated",
            DenialCause.PolicyFailed => ": a policy could not be evaluated",
            _ => $": {Response.RequestFault}",
        });
        if (Response.Reasons.Count > 0) text.Append(" by ").AppendJoin(", ", Response.Reasons);
        text.Append('\n');
        int excluded = 0;
        foreach (PolicyExplanation policy in Policies)
            if (policy.InScope) policy.Append(text.Append('\n'));
            else excluded++;
        if (excluded > 0) text.Append('\n').Append(excluded).Append(excluded == 1 ? " policy has another scope\n" : " policies have another scope\n");
        return text.ToString();
    }
}

/// <summary>One policy's part of an <see cref="Explanation"/>.</summary>
/// <param name="InScope">Whether principal, action and resource are in the policy's scope; if not, its conditions are not evaluated.</param>
/// <param name="Steps">Its conditions, as far as they were evaluated.</param>
public sealed record PolicyExplanation(Policy Policy, PolicyOutcome Outcome, bool InScope, IReadOnlyList<ExplanationStep> Steps)
{
    public override string ToString() => Append(new StringBuilder()).ToString();

    internal StringBuilder Append(StringBuilder text)
    {
        text.Append(Policy.Effect == Effect.Permit ? "permit " : "forbid ").Append(Policy.Id);
        if (Policy.Location is { } where) text.Append(" at ").Append(where);
        text.Append(Outcome switch
        {
            PolicyOutcome.Satisfied => " is satisfied\n",
            PolicyOutcome.Failed => " failed\n",
            _ => InScope ? " is not satisfied\n" : " has another scope\n",
        });
        foreach (ExplanationStep step in Steps) step.Append(text, 1);
        return text;
    }
}

/// <summary>An expression that was evaluated, what it came to, and the parts it was evaluated from.</summary>
/// <param name="Expression">As the policy has it.</param>
/// <param name="Value">No value when it failed.</param>
/// <param name="Failure">Why it failed; null when it did not, or when a part of it did.</param>
public sealed record ExplanationStep(string Expression, Value Value, string? Failure, SourceLocation? Where, IReadOnlyList<ExplanationStep> Parts)
{
    internal void Append(StringBuilder text, int level)
    {
        text.Append(' ', 2 * level).Append(Expression).Append("  →  ");
        if (!Value.IsNone) text.Append(Value);
        else text.Append(Failure is null ? "failed" : $"failed: {Failure}");
        if (Failure is not null && Where is not null) text.Append(" (").Append(Where).Append(')');
        text.Append('\n');
        // Literals and variables say it themselves.
        foreach (ExplanationStep part in Parts) part.Append(text, level + 1);
    }
}
