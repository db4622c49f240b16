using McpAuth.Cedar.Policies;

namespace McpAuth.Cedar.Evaluation;

/// <summary>
/// A decision and what it rests on. A caller that decides often hands the same object in again (<see cref="Authorizer.Authorize(Request, Entities.EntityStore, AuthorizationResponse)"/>):
/// then a decision allocates nothing. Not for use by two threads at a time.
/// </summary>
public sealed class AuthorizationResponse
{
    private readonly List<int> permits = [];
    private readonly List<int> forbids = [];
    private readonly List<(int Policy, Failure Failure)> failures = [];
    private readonly List<PolicyGroup> visited = [];
    private readonly List<string> reasons = [];
    private readonly List<PolicyError> errors = [];
    private string[] ids = [];
    private bool forbidFailed, told;

    public Decision Decision { get; private set; }

    public DenialCause Cause { get; private set; } = DenialCause.NothingPermits;

    /// <summary>
    /// Ids of the policies that decided, in the order of the set: the satisfied permits of an Allow, the satisfied forbids of a Deny; empty where nothing
    /// permits.
    /// </summary>
    public IReadOnlyList<string> Reasons
    {
        get
        {
            Tell();
            return reasons;
        }
    }

    /// <summary>The policies that could not be evaluated, in the order of the set.</summary>
    public IReadOnlyList<PolicyError> Errors
    {
        get
        {
            Tell();
            return errors;
        }
    }

    /// <summary>What is wrong with the request, in one sentence that quotes no value; null unless <see cref="Cause"/> is <see cref="DenialCause.RequestInvalid"/>.</summary>
    public string? RequestFault { get; private set; }

    internal void Begin()
    {
        Decision = Decision.Deny;
        Cause = DenialCause.NothingPermits;
        RequestFault = null;
        (forbidFailed, told) = (false, false);
        permits.Clear();
        forbids.Clear();
        failures.Clear();
        visited.Clear();
    }

    internal bool FirstVisit(PolicyGroup group)
    {
        foreach (PolicyGroup known in visited)
            if (ReferenceEquals(known, group)) return false;
        visited.Add(group);
        return true;
    }

    internal void Satisfied(PolicyGroup group)
    {
        List<int> to = group.Effect == Effect.Permit ? permits : forbids;
        foreach (int policy in group.Policies) to.Add(policy);
    }

    internal void Failed(PolicyGroup group, Failure failure)
    {
        forbidFailed |= group.Effect == Effect.Forbid;
        foreach (int policy in group.Policies) failures.Add((policy, failure));
    }

    internal void Refuse(string fault)
    {
        Cause = DenialCause.RequestInvalid;
        RequestFault = fault;
    }

    /// <summary>Denies what was allowed although a policy failed.</summary>
    internal void DenyFailed()
    {
        if (Decision == Decision.Deny || failures.Count == 0) return;
        (Decision, Cause) = (Decision.Deny, DenialCause.PolicyFailed);
    }

    /// <param name="all">The ids of the set's policies, in its order.</param>
    internal void Conclude(string[] all, AuthorizationMode mode)
    {
        ids = all;
        if (forbids.Count > 0) Cause = DenialCause.Forbidden;
        else if (forbidFailed && mode == AuthorizationMode.Strict) Cause = DenialCause.ForbidFailed;
        else if (permits.Count > 0) (Decision, Cause) = (Decision.Allow, DenialCause.None);
    }

    /// <summary>Names the policies, when somebody wants to know: many callers only act on the decision.</summary>
    private void Tell()
    {
        if (told) return;
        told = true;
        reasons.Clear();
        errors.Clear();
        List<int> decisive = Decision == Decision.Allow ? permits : forbids;
        if (decisive.Count > 1) decisive.Sort();
        for (int i = 0; i < decisive.Count; i++) reasons.Add(ids[decisive[i]]);
        if (failures.Count > 1) failures.Sort(static (a, b) => a.Policy.CompareTo(b.Policy));
        for (int i = 0; i < failures.Count; i++) errors.Add(new(ids[failures[i].Policy], failures[i].Failure));
    }
}
