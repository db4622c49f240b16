using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Policies;

/// <summary>What a policy's scope says of the principal or of the resource.</summary>
internal enum ScopeKind
{
    Any,
    Equal,
    In,
    Is,
    IsIn,
}

/// <summary>
/// <c>principal == E</c>, <c>principal in E</c>, <c>principal is T</c>, <c>principal is T in E</c>, or nothing; the same for the resource. Of a template, E may
/// be a slot (<c>?principal</c>, <c>?resource</c>) until it is linked.
/// </summary>
/// <param name="Entity">Null for <see cref="ScopeKind.Any"/> and <see cref="ScopeKind.Is"/>, and where a slot is open.</param>
/// <param name="Type">Null but for <see cref="ScopeKind.Is"/> and <see cref="ScopeKind.IsIn"/>.</param>
/// <param name="IsSlot">Whether the entity comes, or came, from the slot.</param>
internal sealed record EntityScope(ScopeKind Kind, EntityUid? Entity = null, string? Type = null, bool IsSlot = false)
{
    public static EntityScope Any { get; } = new(ScopeKind.Any);
}

/// <summary><c>action == A</c>, <c>action in A</c>, <c>action in [A, B]</c>, or nothing. Actions are entities of a type named <c>Action</c>.</summary>
/// <param name="Kind"><see cref="ScopeKind.Any"/>, <see cref="ScopeKind.Equal"/> (one action) or <see cref="ScopeKind.In"/>.</param>
/// <param name="IsList">Whether <c>in</c> was written with brackets; an empty list matches nothing.</param>
internal sealed record ActionScope(ScopeKind Kind, IReadOnlyList<EntityUid> Actions, bool IsList = false)
{
    public static ActionScope Any { get; } = new(ScopeKind.Any, []);
}
