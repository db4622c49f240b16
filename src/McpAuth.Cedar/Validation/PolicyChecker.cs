using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Validation.Types;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Validation;

/// <summary>Types one policy for every kind of request that its scope may allow. For all others it is false without a look at its conditions.</summary>
internal sealed class PolicyChecker(
    PolicyBody policy, CedarSchema schema, TypeTable types, TypeRelations relations, ValidationMode mode, PolicyFindings findings, int? maxLevel)
{
    private readonly ExprNumbers numbers = new();

    public void Check()
    {
        Expr[] all = [.. Scope(), .. policy.Conditions.Select(c => c.Unless ? new UnaryExpr(c.Expression.Span, UnaryOperator.Not, c.Expression) : c.Expression)];
        if (all.Any(e => e.Depth > Limits.Depth + 1))
        {
            findings.Error("too_deep", $"The condition nests more than {Limits.Depth} deep.", default);
            return;
        }
        bool everFalse = true;
        Expr? whole = all.Length switch { 0 => null, 1 => all[0], _ => new ChainExpr(default, true, all) };
        foreach (RequestKind request in Requests())
            everFalse &= whole is not null && IsFalse(whole, request);
        if (everFalse) findings.Warning("impossible_policy", "The policy can never match: its condition is false for every request the schema allows.", default);
    }

    private bool IsFalse(Expr whole, RequestKind request)
    {
        TypedParts? parts = maxLevel is null ? null : new();
        var checker = new TypeChecker(schema, types, relations, mode, numbers, request, findings, parts);
        Answer answer = checker.CheckCondition([], whole);
        if (parts is not null && answer.Ok) new LevelChecker(parts, request, maxLevel!.Value, findings).Check(whole);
        return answer.Type is StaticBool { Value: false };
    }

    /// <summary>
    /// One request of each kind that can make a difference. Where the conditions do not look at the principal, one type that the scope allows stands for all:
    /// what the scope says of it is the same for each.
    /// </summary>
    private IEnumerable<RequestKind> Requests()
    {
        bool principalMatters = Mentions(Variable.Principal), resourceMatters = Mentions(Variable.Resource);
        foreach (ActionDeclaration action in Actions())
        {
            StaticEntity actionType = types.Entity(action.Uid.Type);
            var context = (StaticRecord)types.Of(action.Context);
            foreach (string principal in Matching(action.Principals, policy.Principal, principalMatters))
                foreach (string resource in Matching(action.Resources, policy.Resource, resourceMatters))
                    yield return new(types.Entity(principal), action.Uid, actionType, types.Entity(resource), context);
        }
    }

    private bool Mentions(Variable variable) => policy.Conditions.Any(c => ExprParts.Of(c.Expression).Any(e => e is VariableExpr v && v.Variable == variable));

    /// <summary>What the scope names and the schema does not have is an error already; then everything is looked at, since more may be wrong.</summary>
    private IEnumerable<ActionDeclaration> Actions()
    {
        bool known = policy.Action.Actions.All(schema.Declares);
        // An empty list in strict mode is an error that the type checker reports.
        bool reported = policy.Action is { Kind: ScopeKind.In, Actions.Count: 0 } && mode == ValidationMode.Strict;
        return known && !reported ? ScopeChecks.ActionsOf(policy.Action, schema) : schema.Actions.Values;
    }

    private IEnumerable<string> Matching(IReadOnlySet<string> all, EntityScope scope, bool matters)
    {
        bool known = scope.Entity is null || schema.Declares(scope.Entity);
        IEnumerable<string> matching = known ? all.Where(type => ScopeChecks.Allows(scope, type, schema)) : all;
        return matters ? matching : matching.Take(1);
    }

    private IEnumerable<Expr> Scope()
    {
        foreach (Expr expression in Scope(policy.Principal, Variable.Principal)) yield return expression;
        if (policy.Action.Kind != ScopeKind.Any)
        {
            Expr[] actions = [.. policy.Action.Actions.Select(a => new LiteralExpr(default, Value.Of(a)))];
            yield return policy.Action.Kind == ScopeKind.Equal
                ? new BinaryExpr(default, BinaryOperator.Equal, new VariableExpr(default, Variable.Action), actions[0])
                : new BinaryExpr(default, BinaryOperator.In, new VariableExpr(default, Variable.Action), new SetExpr(default, actions));
        }
        foreach (Expr expression in Scope(policy.Resource, Variable.Resource)) yield return expression;
    }

    private static IEnumerable<Expr> Scope(EntityScope scope, Variable variable)
    {
        SourceSpan nowhere = default;
        if (scope.Type is not null) yield return new IsExpr(nowhere, new VariableExpr(nowhere, variable), scope.Type);
        if (scope.Kind is ScopeKind.Any or ScopeKind.Is) yield break;
        Expr entity = scope.Entity is null ? new SlotExpr(nowhere, variable == Variable.Principal) : new LiteralExpr(nowhere, Value.Of(scope.Entity));
        yield return new BinaryExpr(nowhere, scope.Kind == ScopeKind.Equal ? BinaryOperator.Equal : BinaryOperator.In, new VariableExpr(nowhere, variable), entity);
    }
}
