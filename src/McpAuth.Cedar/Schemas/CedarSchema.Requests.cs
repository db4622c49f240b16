using McpAuth.Cedar.Text;
using McpAuth.Cedar.Validation;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Schemas;

public sealed partial class CedarSchema
{
    /// <summary>
    /// Whether the request is one the schema allows: the action is declared, it applies to such a principal and such a resource, and the context is exactly
    /// what the action declares. Allocates nothing.
    /// </summary>
    public bool Conforms(Request request)
    {
        ArgumentNullException.ThrowIfNull(request);
        return Actions.TryGetValue(request.Action, out ActionDeclaration? action) &&
            action.Principals.Contains(request.Principal.Type) && this.HasId(request.Principal) &&
            action.Resources.Contains(request.Resource.Type) && this.HasId(request.Resource) &&
            this.Conforms(request.Context, action.Context);
    }

    /// <summary>Why the request is none that the schema allows, in one sentence; null when it is.</summary>
    public string? FaultOf(Request request) => Conforms(request) ? null : Fault(request);

    private string? Fault(Request request)
    {
        if (!Actions.TryGetValue(request.Action, out ActionDeclaration? action))
        {
            string? meant = NearMiss.Of(request.Action.Id, Actions.Keys.Where(a => a.Type == request.Action.Type).Select(a => a.Id));
            return $"The action {request.Action} is not declared{(meant is null ? "" : $"; did you mean {new EntityUid(request.Action.Type, meant)}?")}.";
        }
        return Fault("principal", request.Principal, action.Principals, action) ?? Fault("resource", request.Resource, action.Resources, action) ??
            (this.Fault(request.Context, action.Context, "context") is { } fault ? $"The context does not fit the action {action.Uid}: {fault}." : null);
    }

    private string? Fault(string what, EntityUid entity, IReadOnlySet<string> allowed, ActionDeclaration action)
    {
        if (!EntityTypes.ContainsKey(entity.Type)) return $"The type of the {what} {entity} is not declared{Meant(entity.Type, EntityTypes.Keys)}.";
        if (!this.HasId(entity)) return $"The {what} {entity} is not one of the entities that its type enumerates{Meant(entity.Id, Enumeration(entity.Type)!)}.";
        if (allowed.Contains(entity.Type)) return null;
        return allowed.Count == 0 ? $"The action {action.Uid} is only a group: it applies to nothing."
            : $"The {what} {entity} is of a type that the action {action.Uid} does not apply to; these are {string.Join(", ", allowed.Order(StringComparer.Ordinal).Take(10))}.";
    }

    private static string Meant(string name, IEnumerable<string> known) => NearMiss.Of(name, known) is { } meant ? $"; did you mean '{meant}'?" : "";
}
