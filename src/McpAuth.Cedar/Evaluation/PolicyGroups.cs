using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Evaluation;

/// <summary>Puts together the policies that say the same, and compiles each group once.</summary>
internal static class PolicyGroups
{
    public static IReadOnlyList<PolicyGroup> Of(IReadOnlyList<Policy> policies, Compiler compiler)
    {
        var groups = new Dictionary<PolicyBody, PolicyGroup>(SameMeaning.Instance);
        var inOrder = new List<PolicyGroup>();
        for (int i = 0; i < policies.Count; i++)
        {
            PolicyBody body = policies[i].Body;
            if (!groups.TryGetValue(body, out PolicyGroup? group))
            {
                groups[body] = group = Compile(body, compiler);
                inOrder.Add(group);
            }
            group.Add(i);
        }
        return inOrder;
    }

    private static PolicyGroup Compile(PolicyBody body, Compiler compiler)
    {
        compiler.Reads = new();
        EntityScope principal = Intern(body.Principal, compiler), resource = Intern(body.Resource, compiler);
        ActionScope action = body.Action with { Actions = [.. body.Action.Actions.Select(compiler.Intern)] };
        Node[] conditions =
        [
            .. ScopeNodes.Of(RequestPart.Principal, principal),
            .. ScopeNodes.Of(RequestPart.Resource, resource),
            .. body.Conditions.SelectMany(c => Conditions(c, compiler)),
        ];
        return new(body.Effect, principal, action, resource, conditions) { Reads = compiler.Reads };
    }

    /// <summary><c>when { a &amp;&amp; b }</c> is <c>when { a } when { b }</c>: from the left until one is not true, and each must be a truth value.</summary>
    private static IEnumerable<Node> Conditions(Condition condition, Compiler compiler)
    {
        if (condition.Unless) return [new NotNode(compiler.Compile(condition.Expression))];
        return condition.Expression is ChainExpr { And: true } chain ? chain.Operands.Select(compiler.Compile) : [compiler.Compile(condition.Expression)];
    }

    private static EntityScope Intern(EntityScope scope, Compiler compiler) =>
        scope with { Entity = scope.Entity is { } uid ? compiler.Intern(uid) : null, Type = scope.Type is { } type ? compiler.Intern(type) : null };

    /// <summary>Effect, scope and conditions; neither id, annotations nor place.</summary>
    private sealed class SameMeaning : IEqualityComparer<PolicyBody>
    {
        public static SameMeaning Instance { get; } = new();

        public bool Equals(PolicyBody? x, PolicyBody? y)
        {
            if (x is null || y is null) return ReferenceEquals(x, y);
            if (x.Effect != y.Effect || !Same(x.Principal, y.Principal) || !Same(x.Resource, y.Resource) || x.Conditions.Count != y.Conditions.Count) return false;
            if (x.Action.Kind != y.Action.Kind || !x.Action.Actions.SequenceEqual(y.Action.Actions)) return false;
            for (int i = 0; i < x.Conditions.Count; i++)
            {
                if (x.Conditions[i].Unless != y.Conditions[i].Unless) return false;
                if (!ExprEquality.Instance.Equals(x.Conditions[i].Expression, y.Conditions[i].Expression)) return false;
            }
            return true;
        }

        public int GetHashCode(PolicyBody body)
        {
            var hash = new HashCode();
            hash.Add(body.Effect);
            Add(ref hash, body.Principal);
            Add(ref hash, body.Resource);
            foreach (EntityUid action in body.Action.Actions) hash.Add(action);
            foreach (Condition condition in body.Conditions) hash.Add(ExprEquality.Instance.GetHashCode(condition.Expression));
            return hash.ToHashCode();
        }

        private static bool Same(EntityScope x, EntityScope y) => x.Kind == y.Kind && x.Type == y.Type && Equals(x.Entity, y.Entity);

        private static void Add(ref HashCode hash, EntityScope scope)
        {
            hash.Add(scope.Kind);
            hash.Add(scope.Entity);
            hash.Add(scope.Type, StringComparer.Ordinal);
        }
    }
}
