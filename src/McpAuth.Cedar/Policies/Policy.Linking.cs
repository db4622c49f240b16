using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Policies;

public sealed partial class Policy
{
    /// <summary>This template with entities in its slots; null, and errors, when they do not fit.</summary>
    internal Policy? Link(string newId, EntityUid? principal, EntityUid? resource, List<Diagnostic> errors)
    {
        int before = errors.Count;
        EntityScope filledPrincipal = Fill(Body.Principal, principal, "?principal", newId, errors);
        EntityScope filledResource = Fill(Body.Resource, resource, "?resource", newId, errors);
        return errors.Count > before ? null : new Policy(newId, Body with { Principal = filledPrincipal, Resource = filledResource }, template: this);
    }

    private static EntityScope Fill(EntityScope scope, EntityUid? entity, string slot, string id, List<Diagnostic> errors)
    {
        if (scope.IsSlot && entity is null) errors.Add(new Diagnostic("missing_slot", $"The template has the slot '{slot}', and there is no entity for it.", Path: id));
        if (!scope.IsSlot && entity is not null) errors.Add(new Diagnostic("surplus_slot", $"The template has no slot '{slot}'.", Path: id));
        return scope.IsSlot ? scope with { Entity = entity } : scope;
    }
}
