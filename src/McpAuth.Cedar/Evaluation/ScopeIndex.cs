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
        private readonly UidMap<ScopeIndex>? equal;
        private readonly UidMap<ScopeIndex>? under;
        private readonly Dictionary<string, ScopeIndex>? ofType;
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
            equal = Map(equalTo);
            under = Map(below);
            if (typed.Count > 0) ofType = typed.ToDictionary(e => e.Key, e => Next(dimension, e.Value), StringComparer.Ordinal);
            if (rest.Count > 0) others = Next(dimension, rest);
        }

        public override void Visit(ref Frame frame, ref GroupVisitor visitor)
        {
            EntityUid uid = dimension switch
            {
                Dimension.Action => frame.Action,
                Dimension.Principal => frame.Principal,
                _ => frame.Resource,
            };
            equal?.Find(uid)?.Visit(ref frame, ref visitor);
            if (under is not null)
            {
                under.Find(uid)?.Visit(ref frame, ref visitor);
                if (frame.Find(uid) is { } entity)
                    foreach (EntityUid ancestor in entity.Ancestors) under.Find(ancestor)?.Visit(ref frame, ref visitor);
            }
            if (ofType is not null && ofType.TryGetValue(uid.Type, out ScopeIndex? found)) found.Visit(ref frame, ref visitor);
            others?.Visit(ref frame, ref visitor);
        }

        private UidMap<ScopeIndex>? Map(Dictionary<EntityUid, List<PolicyGroup>> groups) =>
            groups.Count == 0 ? null : new(groups.ToDictionary(e => e.Key, e => Next(dimension, e.Value)));

        private static void Add<TKey>(Dictionary<TKey, List<PolicyGroup>> to, TKey key, PolicyGroup group)
            where TKey : notnull
        {
            if (!to.TryGetValue(key, out List<PolicyGroup>? list)) to[key] = list = [];
            if (list.Count == 0 || !ReferenceEquals(list[^1], group)) list.Add(group); // an action named twice in one list
        }
    }
}
