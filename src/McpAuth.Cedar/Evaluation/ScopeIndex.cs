using System.Runtime.CompilerServices;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Evaluation;

/// <summary>
/// Finds the policies whose scope a request can match: by action, and where many are left, by principal, then by resource. It only ever leaves out
/// what its scope excludes, and a scope cannot fail; so what is left out is neither a reason nor an error. By action it leaves out all of that, so what
/// is found is tested for the rest.
/// </summary>
internal abstract class ScopeIndex
{
    /// <summary>Up to here testing all is faster than looking up.</summary>
    private const int Few = 8;

    /// <summary>Decides each group that may match; comes to one that <see cref="PolicyGroup.IsInSeveralPlaces"/> perhaps more than once.</summary>
    public abstract void Decide(ref Frame frame, AuthorizationResponse response);

    public static ScopeIndex Build(IReadOnlyList<PolicyGroup> groups) => new ByScope(RequestPart.Action, groups);

    private static ScopeIndex? Next(RequestPart after, List<PolicyGroup> groups)
    {
        if (groups.Count == 0) return null;
        for (RequestPart part = after + 1; part <= RequestPart.Resource && groups.Count > Few; part++)
            if (groups.Exists(g => Scope(g, part).Kind != ScopeKind.Any)) return new ByScope(part, groups);
        return new Leaf([.. groups]);
    }

    private static EntityScope Scope(PolicyGroup group, RequestPart part) => part == RequestPart.Principal ? group.Principal : group.Resource;

    private sealed class Leaf(PolicyGroup[] groups) : ScopeIndex
    {
        [MethodImpl(MethodImplOptions.NoInlining)]
        public override void Decide(ref Frame frame, AuthorizationResponse response)
        {
            foreach (PolicyGroup group in groups) group.Decide(ref frame, response);
        }
    }

    /// <summary>Groups by what their scope says of one of the three.</summary>
    private sealed class ByScope : ScopeIndex
    {
        private readonly RequestPart part;
        private readonly UidMap<Place> places;
        private readonly bool anyUnder;
        private readonly Dictionary<string, ScopeIndex>? ofType;
        private readonly ScopeIndex? others;

        public ByScope(RequestPart part, IReadOnlyList<PolicyGroup> groups)
        {
            this.part = part;
            var named = new Dictionary<EntityUid, (List<PolicyGroup> Equal, List<PolicyGroup> Under)>();
            var typed = new Dictionary<string, List<PolicyGroup>>(StringComparer.Ordinal);
            var rest = new List<PolicyGroup>();
            foreach (PolicyGroup group in groups)
            {
                if (part == RequestPart.Action)
                {
                    if (group.Action.Kind == ScopeKind.Any) rest.Add(group);
                    foreach (EntityUid action in group.Action.Actions) Name(action, group.Action.Kind == ScopeKind.Equal, group);
                    continue; // `in []` matches nothing, and stands nowhere
                }
                EntityScope scope = Scope(group, part);
                switch (scope.Kind)
                {
                    case ScopeKind.Any: rest.Add(group); break;
                    case ScopeKind.Is: Add(Of(typed, scope.Type!, static () => []), group); break;
                    default: Name(scope.Entity!, scope.Kind == ScopeKind.Equal, group); break;
                }
            }
            anyUnder = named.Values.Any(n => n.Under.Count > 0);
            places = new(named.ToDictionary(n => n.Key, n => new Place(Next(part, n.Value.Equal), Next(part, n.Value.Under))));
            if (typed.Count > 0) ofType = typed.ToDictionary(t => t.Key, t => Next(part, t.Value)!, StringComparer.Ordinal);
            others = Next(part, rest);

            void Name(EntityUid uid, bool equal, PolicyGroup group)
            {
                (List<PolicyGroup> Equal, List<PolicyGroup> Under) lists = Of(named, uid, static () => ([], []));
                Add(equal ? lists.Equal : lists.Under, group);
            }
        }

        public override void Decide(ref Frame frame, AuthorizationResponse response)
        {
            EntityUid uid = frame[part];
            if (places.Find(uid) is { } place)
            {
                place.Equal?.Decide(ref frame, response);
                place.Under?.Decide(ref frame, response);
            }
            if (anyUnder && frame.Find(part) is { } entity)
                foreach (EntityUid ancestor in entity.Ancestors) places.Find(ancestor)?.Under?.Decide(ref frame, response);
            if (ofType is not null && ofType.TryGetValue(uid.Type, out ScopeIndex? found)) found.Decide(ref frame, response);
            others?.Decide(ref frame, response);
        }

        private static TValue Of<TKey, TValue>(Dictionary<TKey, TValue> all, TKey key, Func<TValue> make)
            where TKey : notnull
        {
            if (!all.TryGetValue(key, out TValue? value)) all.Add(key, value = make());
            return value;
        }

        private static void Add(List<PolicyGroup> to, PolicyGroup group)
        {
            if (to.Count == 0 || !ReferenceEquals(to[^1], group)) to.Add(group); // an action named twice in one list
        }
    }

    /// <summary>What names one entity: <c>== E</c>, and <c>in E</c>.</summary>
    private sealed record Place(ScopeIndex? Equal, ScopeIndex? Under);
}
