using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Evaluation;

/// <summary>
/// Finds the policies whose scope a request can match: by action, and where many are left, by principal, then by resource. It only ever leaves out
/// what its scope excludes, and a scope cannot fail; so what is left out is neither a reason nor an error. What is found is tested in full.
/// </summary>
internal abstract class ScopeIndex
{
    /// <summary>Up to here testing all is faster than looking up.</summary>
    private const int Few = 8;

    /// <summary>Shows each group that may match to <paramref name="visitor"/>; one that <see cref="PolicyGroup.IsInSeveralPlaces"/> perhaps more than once.</summary>
    public abstract void Visit(ref Frame frame, ref GroupVisitor visitor);

    public static ScopeIndex Build(IReadOnlyList<PolicyGroup> groups) => new ByScope(Dimension.Action, groups);

    private static ScopeIndex Next(Dimension after, List<PolicyGroup> groups) =>
        groups.Count <= Few || after == Dimension.Resource ? new Leaf([.. groups]) : new ByScope(after + 1, groups);

    private enum Dimension
    {
        Action,
        Principal,
        Resource,
    }

    private sealed class Leaf(PolicyGroup[] groups) : ScopeIndex
    {
        public override void Visit(ref Frame frame, ref GroupVisitor visitor)
        {
            foreach (PolicyGroup group in groups) visitor.Visit(group, ref frame);
        }
    }

    /// <summary>Groups by what their scope says of one of the three.</summary>
    private sealed class ByScope : ScopeIndex
    {
        private readonly Dimension dimension;
        private readonly Dictionary<EntityUid, ScopeIndex> equal;
        private readonly Dictionary<EntityUid, ScopeIndex> under;
        private readonly Dictionary<string, ScopeIndex> ofType;
        private readonly ScopeIndex? others;

        public ByScope(Dimension dimension, IReadOnlyList<PolicyGroup> groups)
        {
            this.dimension = dimension;
            var equalTo = new Dictionary<EntityUid, List<PolicyGroup>>();
            var below = new Dictionary<EntityUid, List<PolicyGroup>>();
            var typed = new Dictionary<string, List<PolicyGroup>>(StringComparer.Ordinal);
            var rest = new List<PolicyGroup>();
            foreach (PolicyGroup group in groups)
            {
                if (dimension == Dimension.Action)
                {
                    if (group.Action.Kind == ScopeKind.Any) rest.Add(group);
                    foreach (EntityUid action in group.Action.Actions)
                        Add(group.Action.Kind == ScopeKind.Equal ? equalTo : below, action, group);
                    continue; // `in []` matches nothing, and stands nowhere
                }
                EntityScope scope = dimension == Dimension.Principal ? group.Principal : group.Resource;
                switch (scope.Kind)
                {
                    case ScopeKind.Equal: Add(equalTo, scope.Entity!, group); break;
                    case ScopeKind.In or ScopeKind.IsIn: Add(below, scope.Entity!, group); break;
                    case ScopeKind.Is: Add(typed, scope.Type!, group); break;
                    default: rest.Add(group); break;
                }
            }
            equal = equalTo.ToDictionary(e => e.Key, e => Next(dimension, e.Value));
            under = below.ToDictionary(e => e.Key, e => Next(dimension, e.Value));
            ofType = typed.ToDictionary(e => e.Key, e => Next(dimension, e.Value), StringComparer.Ordinal);
            others = rest.Count == 0 ? null : Next(dimension, rest);
        }

        public override void Visit(ref Frame frame, ref GroupVisitor visitor)
        {
            EntityUid uid = dimension switch
            {
                Dimension.Action => frame.Action,
                Dimension.Principal => frame.Principal,
                _ => frame.Resource,
            };
            if (equal.Count > 0 && equal.TryGetValue(uid, out ScopeIndex? found)) found.Visit(ref frame, ref visitor);
            if (under.Count > 0)
            {
                if (under.TryGetValue(uid, out found)) found.Visit(ref frame, ref visitor);
                if (frame.Find(uid) is { } entity)
                    foreach (EntityUid ancestor in entity.Ancestors)
                        if (under.TryGetValue(ancestor, out found)) found.Visit(ref frame, ref visitor);
            }
            if (ofType.Count > 0 && ofType.TryGetValue(uid.Type, out found)) found.Visit(ref frame, ref visitor);
            others?.Visit(ref frame, ref visitor);
        }

        private static void Add<TKey>(Dictionary<TKey, List<PolicyGroup>> to, TKey key, PolicyGroup group)
            where TKey : notnull
        {
            if (!to.TryGetValue(key, out List<PolicyGroup>? list)) to[key] = list = [];
            if (list.Count == 0 || !ReferenceEquals(list[^1], group)) list.Add(group); // an action named twice in one list
        }
    }
}
