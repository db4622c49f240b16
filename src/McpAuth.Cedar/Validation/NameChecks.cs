using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Validation;

/// <summary>That every type, action and id of an enumerated type a policy names is declared, be it in a part that is never evaluated.</summary>
internal static class NameChecks
{
    public static void Check(PolicyBody policy, CedarSchema schema, PolicyFindings findings)
    {
        CheckScope(policy.Principal, schema, findings);
        foreach (EntityUid action in policy.Action.Actions) Check(action, default, schema, findings);
        CheckScope(policy.Resource, schema, findings);
        foreach (Expr part in policy.Conditions.SelectMany(c => ExprParts.Of(c.Expression)))
        {
            if (part is LiteralExpr { Value.AsEntity: { } entity }) Check(entity, part.Span, schema, findings);
            else if (part is IsExpr { Type: var type }) Check(type, part.Span, schema, findings);
        }
    }

    /// <summary>Of a linked policy: the entities that stand in its slots. Cedar asks for their types only.</summary>
    public static void CheckSlots(Policy policy, CedarSchema schema, PolicyFindings findings)
    {
        foreach (EntityUid? entity in new[] { policy.PrincipalSlot, policy.ResourceSlot })
            if (entity is not null) Check(entity.Type, default, schema, findings);
    }

    private static void CheckScope(EntityScope scope, CedarSchema schema, PolicyFindings findings)
    {
        if (scope.Type is not null) Check(scope.Type, default, schema, findings);
        if (scope.Entity is not null) Check(scope.Entity, default, schema, findings);
    }

    private static void Check(EntityUid entity, SourceSpan span, CedarSchema schema, PolicyFindings findings)
    {
        if (SchemaWords.IsActionType(entity.Type))
        {
            if (!schema.Declares(entity))
                findings.Error("unknown_action", $"There is no action {entity}.", span, findings.WantsHelp ? ActionHelp(entity, schema) : null);
            return;
        }
        Check(entity.Type, span, schema, findings);
        if (schema.Enumeration(entity.Type) is { } ids && !ids.Contains(entity.Id))
            findings.Error("unknown_id", $"The entity type '{entity.Type}' is enumerated, and {entity} is not one of its entities.", span, findings.WantsHelp ? NearMiss.Help(entity.Id, ids) : null);
    }

    private static void Check(string type, SourceSpan span, CedarSchema schema, PolicyFindings findings)
    {
        if (!SchemaWords.IsActionType(type) && !schema.EntityTypes.ContainsKey(type))
            findings.Error("unknown_entity_type", $"There is no entity type '{type}'.", span, findings.WantsHelp ? TypeHelp(type, schema) : null);
    }

    /// <summary>What has the same name in another namespace is meant rather than what is written nearly alike.</summary>
    private static string? ActionHelp(EntityUid action, CedarSchema schema) =>
        schema.Actions.Keys.FirstOrDefault(a => a.Id == action.Id) is { } elsewhere
            ? $"Did you mean {elsewhere}?"
            : NearMiss.Of(action.Id, schema.Actions.Keys.Select(a => a.Id)) is { } near ? $"Did you mean {schema.Actions.Keys.First(a => a.Id == near)}?" : null;

    private static string? TypeHelp(string type, CedarSchema schema) =>
        schema.EntityTypes.Keys.FirstOrDefault(t => SchemaWords.BaseName(t) == SchemaWords.BaseName(type)) is { } elsewhere
            ? $"Did you mean '{elsewhere}'?" : NearMiss.Help(type, schema.EntityTypes.Keys);
}
