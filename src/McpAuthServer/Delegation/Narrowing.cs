using McpAuth.Protocol;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Registry;

namespace McpAuthServer.Delegation;

/// <summary>Step 5 of the pipeline: what was asked for must lie within what it comes from (invariant 2). Faults carry OAuth error codes.</summary>
internal static class Narrowing
{
    /// <summary>Explicit authority at one tool server: the requested details, or a scope's selection, or all the parent has there.</summary>
    /// <param name="parent">The task's or the parent grant's authority.</param>
    /// <param name="ceilings">Further bounds, each with the words that name it in a refusal.</param>
    public static Result<Authority> Explicit(
        Authority? requested, string? scope, Authority parent, ToolServerRecord target, params ReadOnlySpan<(Authority Bound, string Name)> ceilings)
    {
        var held = parent.OnlyAt(target.Resource);
        if (held.IsEmpty)
            return new Fault(Names.Errors.InvalidTarget, "The task has no authority at this resource.");

        Authority authority;
        if (requested is not null)
        {
            if (requested.Locations.Count != 1 || requested.At(target.Resource) is null)
                return new Fault(Names.Errors.InvalidAuthorizationDetails, "authorization_details must name the one requested resource as their location.");
            if (requested.Exceeds(parent) is { } beyond)
                return new Fault(Names.Errors.InvalidAuthorizationDetails, $"More than the parent holds: {beyond.Message}", beyond.Path);
            if (Unapproved(requested, target) is { } tool)
                return new Fault(Names.Errors.InvalidAuthorizationDetails, $"The tool '{tool}' is not approved at this resource.");
            authority = requested;
        }
        else
            authority = held.WithoutTools(name => target.Tools.GetValueOrDefault(name) is not { Approved: true });

        if (scope is not null)
        {
            var tools = new HashSet<string>(StringComparer.Ordinal);
            foreach (var word in scope.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            {
                if (!word.StartsWith(Names.Scopes.ToolPrefix, StringComparison.Ordinal) || authority.At(target.Resource)?.Tools.ContainsKey(word[Names.Scopes.ToolPrefix.Length..]) != true)
                    return new Fault(Names.Errors.InvalidScope, "The scope names something that this authority does not hold.");
                tools.Add(word[Names.Scopes.ToolPrefix.Length..]);
            }
            authority = authority.OnlyTools(tools.Contains);
        }
        if (authority.IsEmpty)
            return new Fault(Names.Errors.InvalidScope, "Nothing is left of the authority at this resource: its tools are not approved.");
        foreach (var (bound, name) in ceilings)
            if (authority.Exceeds(bound) is { } beyond)
                return new Fault(requested is null && scope is not null ? Names.Errors.InvalidScope : Names.Errors.InvalidAuthorizationDetails, $"More than {name} allows: {beyond.Message}", beyond.Path);
        return authority;
    }

    /// <summary>Authority by scope for a client that acts for itself: the granted scope and the same set, spelled out.</summary>
    public static Result<(string Scope, Authority Authority)> ByScope(string? scope, Authority bound, ToolServerRecord target)
    {
        var readable = target.Tools.Values.Where(t => t is { Approved: true, Sensitivity: "read" }).Select(t => t.Name).ToList();
        bool Within(IEnumerable<string> tools) => Authority.ForTools(target.Resource, tools).Exceeds(bound) is null;

        if (scope is null)
        {
            // The resource's minimal set, or as much of it as the client may have.
            if (readable.Count > 0 && Within(readable))
                return (Names.Scopes.ToolsRead, Authority.ForTools(target.Resource, readable));
            var held = readable.Where(tool => Within([tool])).Order(StringComparer.Ordinal).ToList();
            return held.Count == 0
                ? new Fault(Names.Errors.InvalidScope, "The client has no default scope at this resource; name one.")
                : (string.Join(' ', held.Select(tool => Names.Scopes.ToolPrefix + tool)), Authority.ForTools(target.Resource, held));
        }

        var words = scope.Split(' ', StringSplitOptions.RemoveEmptyEntries).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToList();
        var tools = new HashSet<string>(StringComparer.Ordinal);
        foreach (var word in words)
        {
            if (word == Names.Scopes.ToolsRead)
                tools.UnionWith(readable);
            else if (word.StartsWith(Names.Scopes.ToolPrefix, StringComparison.Ordinal)
                && target.Tools.GetValueOrDefault(word[Names.Scopes.ToolPrefix.Length..]) is { Approved: true } tool)
                tools.Add(tool.Name);
            else
                return new Fault(Names.Errors.InvalidScope, "The scope names no approved tool of this resource.");
        }
        return tools.Count == 0 || !Within(tools)
            ? new Fault(Names.Errors.InvalidScope, "The scope is more than the client may have at this resource.")
            : (string.Join(' ', words), Authority.ForTools(target.Resource, tools));
    }

    /// <summary>The first tool that is not approved where the authority names it; null when all are.</summary>
    public static string? Unapproved(Authority authority, ToolServerRecord target) =>
        authority.At(target.Resource)?.Tools.Keys.FirstOrDefault(name => target.Tools.GetValueOrDefault(name) is not { Approved: true });

    /// <summary>A task's authority may span tool servers: every one known, every tool approved, all within the agent's ceiling.</summary>
    public static Fault? ForTask(Authority authority, AgentRecord agent, RegistrySnapshot registry)
    {
        foreach (var location in authority.Locations)
        {
            if (registry.ByResource(location.Location) is not { Active: true } server)
                return new Fault(Names.Errors.InvalidTarget, "The authorization_details name a location that is no registered tool server.");
            if (Unapproved(authority, server) is { } tool)
                return new Fault(Names.Errors.InvalidAuthorizationDetails, $"The tool '{tool}' is not approved at its location.");
        }
        if (authority.IsEmpty)
            return new Fault(Names.Errors.InvalidAuthorizationDetails, "A task needs some authority.");
        return authority.Exceeds(agent.Ceiling) is { } beyond
            ? new Fault(Names.Errors.InvalidAuthorizationDetails, $"More than the agent's ceiling allows: {beyond.Message}", beyond.Path)
            : null;
    }
}
