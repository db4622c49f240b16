using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Schemas;

namespace McpAuth.Cedar.Validation;

/// <summary>That some action the scope allows applies to a principal and a resource that the scope allows: else the policy can be about no request.</summary>
internal static class ScopeChecks
{
    public static void Check(PolicyBody policy, CedarSchema schema, PolicyFindings findings)
    {
        bool any = false, principal = false, resource = false;
        foreach (ActionDeclaration action in ActionsOf(policy.Action, schema))
        {
            bool ofPrincipal = action.Principals.Any(type => Allows(policy.Principal, type, schema)), ofResource = action.Resources.Any(type => Allows(policy.Resource, type, schema));
            (any, principal, resource) = (any || (ofPrincipal && ofResource), principal || ofPrincipal, resource || ofResource);
            if (any) return;
        }
        string message = !principal ? "No action that the scope allows has such a principal." : !resource ? "No action that the scope allows has such a resource." :
            "No action that the scope allows has such a principal and such a resource.";
        string? help = !findings.WantsHelp ? null :
            Help("principal", policy.Principal, policy.Action, schema, a => a.Principals) ?? Help("resource", policy.Resource, policy.Action, schema, a => a.Resources);
        findings.Error("inapplicable_scope", message, default, help);
    }

    /// <summary>The actions the scope allows; none when one it names does not exist, which is reported elsewhere.</summary>
    public static IEnumerable<ActionDeclaration> ActionsOf(ActionScope scope, CedarSchema schema)
    {
        if (scope.Kind == ScopeKind.Any) return schema.Actions.Values;
        if (!scope.Actions.All(schema.Actions.ContainsKey)) return [];
        if (scope.Kind == ScopeKind.Equal) return scope.Actions.Select(a => schema.Actions[a]);
        return schema.Actions.Values.Where(a => scope.Actions.Any(group => schema.IsActionIn(a.Uid, group)));
    }

    /// <summary>Whether an entity of this type may be what the scope asks for.</summary>
    public static bool Allows(EntityScope scope, string type, CedarSchema schema)
    {
        if (scope.Type is not null && scope.Type != type) return false;
        return scope.Entity is not { } entity || entity.Type == type || (scope.Kind != ScopeKind.Equal && schema.IsBelow(type, entity.Type));
    }

    /// <summary>Where a group was written as if it were the principal or resource itself.</summary>
    private static string? Help(string variable, EntityScope scope, ActionScope action, CedarSchema schema, Func<ActionDeclaration, IReadOnlySet<string>> types)
    {
        if (scope is not { Kind: ScopeKind.Equal, Entity: { } entity }) return null;
        bool below = ActionsOf(action, schema).Any(a => types(a).Any(t => schema.IsBelow(t, entity.Type)));
        return below ? $"Did you mean '{variable} in {entity}'?" : null;
    }
}
