using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Evaluation;

/// <summary>What a scope speaks of, in the order in which the index asks.</summary>
internal enum RequestPart
{
    Action,
    Principal,
    Resource,
}

/// <summary>Makes nodes of scopes: the conditions that stand first, and cannot fail. Where a scope says nothing, nothing is tested.</summary>
internal static class ScopeNodes
{
    public static IEnumerable<Node> Of(RequestPart part, EntityScope scope)
    {
        if (scope.Type is { } type) yield return new ScopeIsNode(part, type);
        if (scope.Entity is { } entity) yield return scope.Kind == ScopeKind.Equal ? new ScopeEqualNode(part, entity) : new ScopeInNode(part, entity);
    }

    public static IEnumerable<Node> Of(ActionScope scope) => scope.Kind switch
    {
        ScopeKind.Any => [],
        ScopeKind.Equal => [new ScopeEqualNode(RequestPart.Action, scope.Actions[0])],
        _ => [new OrNode([.. scope.Actions.Select(a => new ScopeInNode(RequestPart.Action, a))])],
    };
}

/// <summary><c>principal == E</c></summary>
internal sealed class ScopeEqualNode(RequestPart part, EntityUid entity) : TestNode
{
    public override Truth Test(ref Frame frame) => Of(frame[part].Equals(entity));
}

/// <summary><c>principal in E</c></summary>
internal sealed class ScopeInNode(RequestPart part, EntityUid entity) : TestNode
{
    public override Truth Test(ref Frame frame) => Of(frame.IsIn(part, entity));
}

/// <summary><c>principal is T</c></summary>
internal sealed class ScopeIsNode(RequestPart part, string type) : TestNode
{
    public override Truth Test(ref Frame frame) => Of(frame[part].Type == type);
}
