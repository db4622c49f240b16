using McpAuth.Cedar.Validation.Types;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Validation;

/// <summary>The requests that have one action, and a principal and a resource of these types.</summary>
internal sealed record RequestKind(StaticEntity Principal, EntityUid Action, StaticEntity ActionType, StaticEntity Resource, StaticRecord Context);
