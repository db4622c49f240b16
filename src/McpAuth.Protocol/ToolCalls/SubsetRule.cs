namespace McpAuth.Protocol.ToolCalls;

/// <summary>
/// The subset rule, child ⊑ parent, decided by the grammar and never by trying values: one line per pair of constraint types, and every
/// pair that has no line fails. A constraint that is neither <c>all</c> nor <c>any</c> stands for its own single clause. Sound, not complete:
/// it may refuse what a proof could allow.
/// </summary>
internal sealed class SubsetRule
{
    // Between an `all` and an `any` either side may be taken apart first, so one pair can be reached in many ways: without this, hostile
    // nesting would cost exponential time. With it, work is bounded by the product of the two sizes.
    private Dictionary<(Constraint Child, Constraint Parent), bool>? decided;

    public bool Holds(Constraint child, Constraint parent)
    {
        if (child is not (AllConstraint or AnyConstraint) || parent is not (AllConstraint or AnyConstraint))
            return Decide(child, parent);
        decided ??= [];
        if (!decided.TryGetValue((child, parent), out var holds))
            decided[(child, parent)] = holds = Decide(child, parent);
        return holds;
    }

    private bool Decide(Constraint child, Constraint parent) => (child, parent) switch
    {
        (_, WildcardConstraint) => true,

        (_, AllConstraint p) => p.Clauses.All(clause => Holds(child, clause)),
        (AnyConstraint c, _) => c.Clauses.All(clause => Holds(clause, parent)),
        (AllConstraint c, AnyConstraint p) => p.Clauses.Any(clause => Holds(child, clause)) || c.Clauses.Any(clause => Holds(clause, parent)),
        (_, AnyConstraint p) => p.Clauses.Any(clause => Holds(child, clause)),
        (AllConstraint c, _) => c.Clauses.Any(clause => Holds(clause, parent)),

        (ExactConstraint c, ExactConstraint p) => c.Value.Equals(p.Value),
        (ExactConstraint c, OneOfConstraint p) => p.Values.Contains(c.Value),
        (ExactConstraint c, RangeConstraint p) => p.Admits(c.Value.Element),
        (ExactConstraint c, PrefixConstraint p) => p.Admits(c.Value.Element),
        (ExactConstraint c, PathUnderConstraint p) => p.Admits(c.Value.Element),

        (OneOfConstraint c, OneOfConstraint p) => c.Values.IsSubsetOf(p.Values),
        (OneOfConstraint c, RangeConstraint p) => c.Values.Items.All(value => p.Admits(value.Element)),
        (OneOfConstraint c, PrefixConstraint p) => c.Values.Items.All(value => p.Admits(value.Element)),

        (NotOneOfConstraint c, NotOneOfConstraint p) => p.Values.IsSubsetOf(c.Values),
        (ContainsConstraint c, ContainsConstraint p) => p.Values.IsSubsetOf(c.Values),
        (SubsetConstraint c, SubsetConstraint p) => c.Values.IsSubsetOf(p.Values),

        (RangeConstraint c, RangeConstraint p) => NotBelow(c.Min, p.Min) && NotAbove(c.Max, p.Max),
        (PrefixConstraint c, PrefixConstraint p) => c.Value.StartsWith(p.Value, StringComparison.Ordinal),
        (PathUnderConstraint c, PathUnderConstraint p) => c.Value.IsUnder(p.Value),

        _ => false,
    };

    // A bound may be missing only where the parent's is.
    private static bool NotBelow(Bound? child, Bound? parent) =>
        parent is null || child is not null && AsTight(child.Value.CompareTo(parent.Value), child, parent);

    private static bool NotAbove(Bound? child, Bound? parent) =>
        parent is null || child is not null && AsTight(parent.Value.CompareTo(child.Value), child, parent);

    // Where both bounds are one number, the child may include it only if the parent does.
    private static bool AsTight(int inward, Bound child, Bound parent) => inward > 0 || inward == 0 && (parent.Inclusive || !child.Inclusive);
}
