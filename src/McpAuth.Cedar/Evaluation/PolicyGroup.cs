using System.Runtime.InteropServices;
using McpAuth.Cedar.Policies;

namespace McpAuth.Cedar.Evaluation;

/// <summary>
/// The policies of a set that say the same: same effect, scope and conditions. They are decided once. (Sets that programs write repeat themselves:
/// a guard-rail for each tool, a rule for each team.)
/// </summary>
/// <param name="conditions">All that is tested, in order: what the scope says of principal and resource, then the conditions.</param>
internal sealed class PolicyGroup(Effect effect, EntityScope principal, ActionScope action, EntityScope resource, Node[] conditions)
{
    private readonly List<int> policies = [];

    public Effect Effect { get; } = effect;

    public EntityScope Principal { get; } = principal;

    public ActionScope Action { get; } = action;

    public EntityScope Resource { get; } = resource;

    /// <summary>What the conditions read of the context.</summary>
    public required ContextReads Reads { get; init; }

    /// <summary>Positions in the set's <see cref="PolicySet.Policies"/>, rising.</summary>
    public ReadOnlySpan<int> Policies => CollectionsMarshal.AsSpan(policies);

    /// <summary>Whether the index holds this in more than one place.</summary>
    public bool IsInSeveralPlaces { get; } = action.Actions.Count > 1;

    public void Add(int policy) => policies.Add(policy);

    /// <summary>Tests the policies and keeps what came of it. The action is in their scope: the index shows a group to no other.</summary>
    public void Decide(ref Frame frame, AuthorizationResponse response)
    {
        if (IsInSeveralPlaces && !response.FirstVisit(this)) return;
        switch (Test(ref frame))
        {
            case Truth.True: response.Satisfied(this); break;
            case Truth.Failed: response.Failed(this, frame.Failure); break;
        }
    }

    private Truth Test(ref Frame frame)
    {
        for (int i = 0; i < conditions.Length; i++)
        {
            Truth truth = conditions[i].Test(ref frame);
            if (truth != Truth.True) return truth == Truth.Failed ? Node.Unless(Truth.False, conditions.AsSpan(i + 1), ref frame) : truth;
        }
        return Truth.True;
    }
}
