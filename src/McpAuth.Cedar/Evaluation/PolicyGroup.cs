using System.Runtime.InteropServices;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Evaluation;

/// <summary>
/// The policies of a set that say the same: same effect, scope and conditions. They are decided once. (Sets that programs write repeat themselves:
/// a guard-rail for each tool, a rule for each team.)
/// </summary>
internal sealed class PolicyGroup(PolicyBody body, EntityScope principal, ActionScope action, EntityScope resource, Node[] conditions)
{
    private readonly List<int> policies = [];

    public Effect Effect => body.Effect;

    public EntityScope Principal { get; } = principal;

    public ActionScope Action { get; } = action;

    public EntityScope Resource { get; } = resource;

    /// <summary>What the conditions read of the context.</summary>
    public required ContextReads Reads { get; init; }

    /// <summary>Positions in the set's <see cref="PolicySet.Policies"/>, rising.</summary>
    public ReadOnlySpan<int> Policies => CollectionsMarshal.AsSpan(policies);

    /// <summary>Whether the index holds this in more than one place.</summary>
    public bool IsInSeveralPlaces => Action.Actions.Count > 1;

    public void Add(int policy) => policies.Add(policy);

    /// <summary>Whether the policies are satisfied. The scope cannot fail; a condition can.</summary>
    public Truth Test(ref Frame frame)
    {
        if (!Holds(Principal, frame.Principal, ref frame) ||
            !HoldsAction(ref frame) ||
            !Holds(Resource, frame.Resource, ref frame))
            return Truth.False;
        foreach (Node condition in conditions)
        {
            Truth truth = condition.Test(ref frame);
            if (truth != Truth.True) return truth;
        }
        return Truth.True;
    }

    public static bool Holds(EntityScope scope, EntityUid uid, ref Frame frame) => scope.Kind switch
    {
        ScopeKind.Any => true,
        ScopeKind.Equal => uid.Equals(scope.Entity),
        ScopeKind.In => frame.IsIn(uid, scope.Entity!),
        ScopeKind.Is => uid.Type == scope.Type,
        _ => uid.Type == scope.Type && frame.IsIn(uid, scope.Entity!),
    };

    private bool HoldsAction(ref Frame frame)
    {
        switch (Action.Kind)
        {
            case ScopeKind.Any: return true;
            case ScopeKind.Equal: return frame.Action.Equals(Action.Actions[0]);
            default:
                for (int i = 0; i < Action.Actions.Count; i++) // a walk by enumerator would allocate one
                    if (frame.IsIn(frame.Action, Action.Actions[i])) return true;
                return false;
        }
    }
}
