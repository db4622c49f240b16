using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Evaluation;

/// <summary>
/// A decision and what it rests on. A caller that decides often hands the same object in again (<see cref="Authorizer.Authorize(Request, Entities.EntityStore, AuthorizationResponse)"/>):
/// then a decision allocates nothing. Not for use by two threads at a time.
/// </summary>
public sealed class AuthorizationResponse
{
    // What is told is worked out when it is asked for; the lists are kept, like all here, to be filled again.
    private readonly List<int> decisive = [];
    private readonly List<(int Policy, Failure Failure)> failed = [];
    private readonly List<string> reasons = [];
    private readonly List<PolicyError> errors = [];
    private Pile<PolicyGroup> permits, forbids, visited;
    private Pile<(PolicyGroup Group, Failure Failure)> failures;
    private Slot[] slots = [];
    private string[] ids = [];
    private bool forbidFailed, permitOpen, told;

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

    /// <summary>Whether what is not known yet could still make it an Allow: nothing that is known forbids, and a permit is satisfied or may be.</summary>
    internal bool MayAllow(AuthorizationMode mode) => forbids.Count == 0 && !(forbidFailed && mode == AuthorizationMode.Strict) && (permits.Count > 0 || permitOpen);

    internal void Begin()
    {
        Decision = Decision.Deny;
        Cause = DenialCause.NothingPermits;
        RequestFault = null;
        (forbidFailed, permitOpen, told) = (false, false, false);
        permits.Clear();
        forbids.Clear();
        failures.Clear();
        visited.Clear();
    }

    /// <summary>
    /// So many slots for the decision, all unknown; kept here so that a decision allocates none. Whoever takes them clears them: what is kept must not keep a
    /// request alive.
    /// </summary>
    internal Span<Slot> Slots(int count)
    {
        if (slots.Length < count) slots = new Slot[count];
        return slots.AsSpan(0, count);
    }

    /// <summary>For texts of the decision; whoever puts some there clears them.</summary>
    internal PassingTexts Passing { get; } = new();

    internal bool FirstVisit(PolicyGroup group)
    {
        foreach (PolicyGroup known in visited.All)
            if (ReferenceEquals(known, group)) return false;
        visited.Add(group);
        return true;
    }

    internal void Satisfied(PolicyGroup group)
    {
        ref Pile<PolicyGroup> to = ref group.Effect == Effect.Permit ? ref permits : ref forbids;
        to.Add(group);
    }

    internal void Failed(PolicyGroup group, Failure failure)
    {
        bool open = failure.Code == FailureCode.NotYetKnown;
        forbidFailed |= group.Effect == Effect.Forbid && !open;
        permitOpen |= group.Effect == Effect.Permit && open;
        failures.Add((group, failure));
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
        decisive.Clear();
        foreach (PolicyGroup group in Decision == Decision.Allow ? permits.All : forbids.All) decisive.AddRange(group.Policies);
        decisive.Sort();
        foreach (int policy in decisive) reasons.Add(ids[policy]);
        failed.Clear();
        foreach ((PolicyGroup group, Failure failure) in failures.All)
            foreach (int policy in group.Policies) failed.Add((policy, failure));
        failed.Sort(static (a, b) => a.Policy.CompareTo(b.Policy));
        foreach ((int policy, Failure failure) in failed) errors.Add(new(ids[policy], failure));
    }

    /// <summary>A list that is emptied by forgetting how much is in it: each decision begins with that.</summary>
    private struct Pile<T>
    {
        private T[]? items;

        public int Count { get; private set; }

        public readonly ReadOnlySpan<T> All => items.AsSpan(0, Count);

        public void Add(T item)
        {
            if (items is null || Count == items.Length) Array.Resize(ref items, Math.Max(4, Count * 2));
            items[Count++] = item;
        }

        public void Clear() => Count = 0;
    }
}
