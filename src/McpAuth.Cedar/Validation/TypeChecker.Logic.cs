using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Validation.Types;
using Known = System.Collections.Immutable.ImmutableHashSet<McpAuth.Cedar.Validation.Capability>;

namespace McpAuth.Cedar.Validation;

/// <summary>Short circuits: what is known to be false or true decides whether the rest is looked at, and with what knowledge.</summary>
internal sealed partial class TypeChecker
{
    private Answer And(Known prior, ChainExpr chain)
    {
        Answer left = Expect(prior, chain.Operands[0], IsBool, "Bool");
        Known known = prior.Union(left.Capabilities);
        for (int i = 1; i < chain.Operands.Count; i++)
        {
            if (left.Type is StaticBool { Value: false })
            {
                parts?.Keep(chain, i);
                return Answer.Good(TypeTable.False).If(left.Ok);
            }
            Answer right = Expect(known, chain.Operands[i], IsBool, "Bool");
            bool ok = left.Ok && right.Ok;
            if (left.Type is not StaticBool l || right.Type is not StaticBool r) left = Answer.Bad(TypeTable.Bool);
            else if (r.Value is false) left = Answer.Good(TypeTable.False).If(ok);
            else if (r.Value is null && l.Value is true)
            {
                // Cedar forgets here what the left one found: it can have found only what was known before.
                left = Answer.Good(r, right.Capabilities).If(ok);
                known = prior.Union(left.Capabilities);
                continue;
            }
            else left = Answer.Good(r.Value is true ? l : TypeTable.Bool, left.Capabilities.Union(right.Capabilities)).If(ok);
            known = ok ? known.Union(right.Capabilities) : prior;
        }
        return left;
    }

    private Answer Or(Known prior, ChainExpr chain)
    {
        Answer left = Expect(prior, chain.Operands[0], IsBool, "Bool");
        for (int i = 1; i < chain.Operands.Count; i++)
        {
            if (left.Type is StaticBool { Value: true })
            {
                parts?.Keep(chain, i);
                return left;
            }
            Answer right = Expect(prior, chain.Operands[i], IsBool, "Bool");
            bool ok = left.Ok && right.Ok;
            Answer both = (left.Type, right.Type) switch
            {
                (StaticBool, StaticBool { Value: true }) => Answer.Good(TypeTable.True, right.Capabilities),
                // The one that is always false leaves what the other one found.
                (StaticBool l, StaticBool { Value: false }) => Answer.Good(l, left.Capabilities),
                (StaticBool { Value: false }, StaticBool r) => Answer.Good(r, right.Capabilities),
                (StaticBool, StaticBool) => Answer.Good(TypeTable.Bool, right.Capabilities.Intersect(left.Capabilities)),
                _ => Answer.Bad(TypeTable.Bool),
            };
            left = both.If(ok);
        }
        return left;
    }

    private Answer If(Known prior, IfExpr e)
    {
        Answer condition = Expect(prior, e.Condition, IsBool, "Bool");
        switch (condition.Type)
        {
            case StaticBool { Value: true }:
                parts?.Take(e, e.Then);
                Answer only = Check(prior.Union(condition.Capabilities), e.Then);
                return (only.Ok ? only with { Capabilities = only.Capabilities.Union(condition.Capabilities) } : only).If(condition.Ok);
            case StaticBool { Value: false }:
                parts?.Take(e, e.Otherwise);
                return Check(prior, e.Otherwise).If(condition.Ok);
        }
        Answer then = Check(prior.Union(condition.Capabilities), e.Then);
        Answer otherwise = Check(prior, e.Otherwise);
        StaticType? type = Common(e, [then.Type, otherwise.Type], "the branches of an 'if'");
        if (type is null) return Answer.Bad();
        Known found = then.Ok && otherwise.Ok ? otherwise.Capabilities.Intersect(then.Capabilities.Union(condition.Capabilities)) : [];
        return Answer.Good(type, found).If(condition.Ok && then.Ok && otherwise.Ok);
    }

    /// <summary>The least type of all of them; null when one has none, or when there is none, which is reported.</summary>
    private StaticType? Common(Expr at, IReadOnlyList<StaticType?> all, string what)
    {
        if (all.Any(t => t is null)) return null;
        if (relations.Bound(all.OfType<StaticType>()) is { } bound) return bound;
        Incompatible(at, all.OfType<StaticType>(), what);
        return null;
    }

    private void Incompatible(Expr at, IEnumerable<StaticType> all, string what)
    {
        List<StaticType> distinct = [.. all.Distinct().Take(3)];
        string? help = distinct switch
        {
            [StaticEntity, StaticEntity, ..] => "In strict mode entities of two types are never mixed.",
            [StaticRecord a, StaticRecord b, ..] when !a.HasSameNames(b) => "In strict mode records must have the same attributes.",
            [StaticRecord, StaticRecord, ..] => "In strict mode attributes must have the same type, and be optional in both or in neither.",
            _ => null,
        };
        findings.Error("incompatible_types", $"The types of {what} do not fit together: {string.Join(" and ", distinct.Select(t => $"'{t}'"))}.", at.Span, help);
    }
}
