using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Mcp;

/// <summary>What the policies that may apply to an action read of the context. A policy applies by its action scope; principal and resource differ by call.</summary>
internal sealed class ReadsOfActions
{
    private readonly ContextReads always = new();
    private readonly Dictionary<EntityUid, ContextReads> equal = [];
    private readonly Dictionary<EntityUid, ContextReads> under = [];

    public ReadsOfActions(IReadOnlyList<PolicyGroup> groups)
    {
        foreach (PolicyGroup group in groups)
        {
            if (group.Action.Kind == ScopeKind.Any) always.Add(group.Reads);
            foreach (EntityUid action in group.Action.Actions)
            {
                Dictionary<EntityUid, ContextReads> by = group.Action.Kind == ScopeKind.Equal ? equal : under;
                if (!by.TryGetValue(action, out ContextReads? reads)) by.Add(action, reads = new());
                reads.Add(group.Reads);
            }
        }
    }

    public ContextReads Of(Entity action)
    {
        var reads = new ContextReads();
        reads.Add(always);
        Add(equal, action.Uid);
        Add(under, action.Uid);
        foreach (EntityUid group in action.Ancestors) Add(under, group);
        return reads;

        void Add(Dictionary<EntityUid, ContextReads> from, EntityUid key)
        {
            if (from.TryGetValue(key, out ContextReads? more)) reads.Add(more);
        }
    }
}
