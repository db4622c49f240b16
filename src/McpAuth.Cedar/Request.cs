using McpAuth.Cedar.Values;

namespace McpAuth.Cedar;

/// <summary>Who wants to do what to what, and under which circumstances.</summary>
public sealed record Request(EntityUid Principal, EntityUid Action, EntityUid Resource, CedarRecord Context);
