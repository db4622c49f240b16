using McpAuth.Protocol;
using McpAuthServer.Registry;

namespace McpAuthServer.Delegation;

/// <summary>
/// Keeps exclusive classes of tools apart (separation of duties): one token never holds tools of two, and an agent of one never gets tools of another,
/// whatever its ceiling, a person or a hand-off would let it have.
/// </summary>
internal static class ToolClasses
{
    /// <summary>Null, or why the token cannot be.</summary>
    public static Fault? Refuses(Issuance plan, RegistrySnapshot registry)
    {
        if (registry.ExclusiveClasses.Count == 0 || plan.Authority.At(plan.Target.Resource) is not { } held)
            return null;
        var own = plan.Who.Agent is { } agent && registry.Agents[agent].ToolClass is { } of && registry.ExclusiveClasses.Contains(of) ? of : null;
        string? first = null;
        foreach (var name in held.Tools.Keys)
        {
            if (plan.Target.Tools.GetValueOrDefault(name)?.Class is not { } here || !registry.ExclusiveClasses.Contains(here))
                continue;
            if (own is not null && here != own)
                return Fault(plan, $"The agent is of the class {own}, and '{name}' of {here}.");
            if (first is not null && here != first)
                return Fault(plan, $"One token cannot hold tools of both {first} and {here}: ask for one of them.");
            first = here;
        }
        return null;
    }

    private static Fault Fault(Issuance plan, string message) => new(plan.ByScope ? Names.Errors.InvalidScope : Names.Errors.InvalidAuthorizationDetails, message);
}
