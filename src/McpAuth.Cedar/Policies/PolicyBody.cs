using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Policies;

/// <summary>What a policy says, apart from its id.</summary>
internal sealed record PolicyBody(
    Effect Effect,
    EntityScope Principal,
    ActionScope Action,
    EntityScope Resource,
    IReadOnlyList<Condition> Conditions,
    IReadOnlyList<KeyValuePair<string, string>> Annotations,
    PolicySource? Source = null)
{
    /// <summary>Whether a slot is still open.</summary>
    public bool IsTemplate => Principal is { IsSlot: true, Entity: null } || Resource is { IsSlot: true, Entity: null };
}

/// <summary><c>when { … }</c>, or <c>unless { … }</c>.</summary>
internal sealed record Condition(bool Unless, Expr Expression);

/// <summary>Where a policy stands: the whole text it was read from, and its range there.</summary>
internal sealed record PolicySource(string Text, SourceSpan Span)
{
    public SourceLocation Locate(SourceSpan span) => new(Text, span);
}
