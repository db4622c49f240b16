using McpAuth.Cedar.Mcp;
using McpAuth.Protocol;
using McpAuthServer.Policies;
using McpAuthServer.Registry;

namespace McpAuthServer.Delegation;

/// <summary>
/// Step 6 of the pipeline: the policies that decide a tool server's calls say here whether this caller could be allowed any call at all. Where they never
/// could, there is no token to try with.
/// </summary>
internal sealed class IssuancePolicy(PolicyDirectory directory)
{
    /// <summary>Null, or why the token cannot be. The plan then names what decided.</summary>
    public Fault? Refuses(ref Issuance plan, RegistrySnapshot registry)
    {
        plan = plan with { Acting = plan.Who.Agent is { } acting ? registry.Agents[acting] : null };
        var release = directory.Of(plan.Target);
        if (release.Policies is not { } policies)
            return null;
        plan = plan with { PolicyHash = release.Hash };
        if (plan.Authority.At(plan.Target.Resource) is not { } held)
            return null;

        var caller = CallerOf(plan);
        var (principal, entities, resource, session) = (caller.Principal, caller.Entities(), McpCaller.Server(plan.Target.Resource), caller.Session(plan.IssuedAt));
        bool Allows(string what) => policies.MayAllow(new ToolCall { Principal = principal, Tool = what, Resource = resource, Session = session }, entities);

        // What was named one by one must be possible one by one; of "every tool that reads", one is enough.
        var named = plan.ByScope
            ? plan.Scope.Split(' ').Where(word => word.StartsWith(Names.Scopes.ToolPrefix, StringComparison.Ordinal)).Select(word => word[Names.Scopes.ToolPrefix.Length..]).ToHashSet(StringComparer.Ordinal)
            : held.Tools.Keys.ToHashSet(StringComparer.Ordinal);
        foreach (var tool in named.Order(StringComparer.Ordinal))
            if (!Allows(tool))
                return Refusal(plan, $"Policy allows no call of '{tool}' here.");
        var others = held.Tools.Keys.Where(t => !named.Contains(t)).ToList();
        if (named.Count == 0 && others.Count > 0 && !others.Exists(Allows) && held.Resources.Count == 0 && held.Prompts.Count == 0)
            return Refusal(plan, "Policy allows none of the tools here.");
        if (held.Resources.Count > 0 && !plan.ByScope && !Allows(ToolServerModel.ReadResource))
            return Refusal(plan, "Policy allows no resource to be read here.");
        if (held.Prompts.Count > 0 && !plan.ByScope && !Allows(ToolServerModel.GetPrompt))
            return Refusal(plan, "Policy allows no prompt here.");
        return null;
    }

    private static McpCaller CallerOf(Issuance plan)
    {
        var who = plan.Who;
        return new()
        {
            Kind = who.SubjectProfile switch { Names.Claims.ProfileUser => McpSubject.User, Names.Claims.ProfileAgent => McpSubject.Agent, _ => McpSubject.Client },
            Subject = who.Subject, Groups = plan.Presence?.Groups ?? [], Acr = plan.Presence?.Acr, Authenticated = plan.Presence?.AuthTime,
            Agent = plan.Acting is { } agent ? new(agent.Id, agent.Owner, agent.ToolClass, agent.Review) : null, Chain = [.. who.Chain.Skip(1)], Instance = who.Instance, Client = who.Client,
            Task = new(plan.TaskId, plan.TaskExpires, plan.Lineage.FirstOrDefault(a => a.StartsWith(Id.Task, StringComparison.Ordinal))),
            Attestation = plan.Instance is { } instance ? new(instance.Assurance, instance.Workload) : null, Scopes = plan.Scope.Split(' ', StringSplitOptions.RemoveEmptyEntries),
        };
    }

    private static Fault Refusal(Issuance plan, string message) =>
        new(plan.ByScope ? Names.Errors.InvalidScope : Names.Errors.InvalidAuthorizationDetails, message);
}
