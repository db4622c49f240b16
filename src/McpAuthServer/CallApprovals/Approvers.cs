using McpAuth.Cedar.Mcp;
using McpAuth.Protocol;
using McpAuthServer.Delegation;
using McpAuthServer.People;
using McpAuthServer.Policies;
using McpAuthServer.Registry;

namespace McpAuthServer.CallApprovals;

/// <summary>
/// Who may approve a call is policy: of the tool server's active policies those that name <c>approval:give</c>; while none of them permits, the user on whose authority the call
/// is. Only people can: an agent's credential is nobody's session.
/// </summary>
internal sealed class Approvers(PolicyDirectory directory, TaskStore tasks, PersonStore people)
{
    /// <summary>Null when the person may answer; else the reason why not, also where the call is no longer what it was.</summary>
    public async Task<string?> RefusesAsync(CallApproval approval, Person person, RegistrySnapshot registry, DateTimeOffset now, CancellationToken cancel)
    {
        if (!person.Enabled)
            return Names.Reasons.UserDisabled;
        var call = approval.Call;
        return registry.ToolServers.GetValueOrDefault(call.ToolServer) is not { } server || !await MayAsync(call, server, approval.Client, approval.Chain, person, registry, now, cancel)
            ? Names.Reasons.ActorUnauthorized : null;
    }

    /// <summary>The same of who the person is at this moment, whoever they were when the request began.</summary>
    public async Task<string?> RefusesNowAsync(CallApproval approval, string person, RegistrySnapshot registry, DateTimeOffset now, CancellationToken cancel) =>
        await people.Find(person, cancel) is { } found ? await RefusesAsync(approval, found, registry, now, cancel) : Names.Reasons.UserDisabled;

    /// <summary>Whether the user on whose authority the call is may approve it.</summary>
    public async Task<bool> OwnMayAsync(CallApproval approval, RegistrySnapshot registry, DateTimeOffset now, CancellationToken cancel) =>
        approval.Call.User is { } user && await people.Find(user, cancel) is { } person && await RefusesAsync(approval, person, registry, now, cancel) is null;

    /// <summary>Why what was asked about is no longer what would be called; null when it is.</summary>
    public string? Changed(CallApproval approval, RegistrySnapshot registry)
    {
        var call = approval.Call;
        if (registry.ToolServers.GetValueOrDefault(call.ToolServer) is not { Active: true } server)
            return "tool_server_inactive";
        if (server.Tools.GetValueOrDefault(call.Tool) is not { Approved: true } tool || tool.Digest != call.DefDigest)
            return "tool_changed";
        return directory.Of(server).Hash != call.PolicyHash ? "policy_changed" : null;
    }

    private async Task<bool> MayAsync(
        BoundCall call, ToolServerRecord server, string client, IReadOnlyList<string> chain, Person person, RegistrySnapshot registry, DateTimeOffset now, CancellationToken cancel)
    {
        var tool = server.Tools.GetValueOrDefault(call.Tool);
        var agent = call.Agent is { } id ? registry.Agents.GetValueOrDefault(id) : null;
        var task = await tasks.FindTerms(call.Task, cancel);
        var asking = new McpCaller
        {
            Kind = call.User is not null ? McpSubject.User : call.Agent is not null ? McpSubject.Agent : McpSubject.Client, Subject = call.User ?? call.Agent ?? client,
            Agent = call.Agent is null ? null : new(call.Agent, agent?.Owner, agent?.ToolClass, agent?.Review), Chain = [.. chain.Skip(1)], Instance = call.Instance, Client = client,
            Task = new(call.Task, task?.Expires, task?.ParentId),
        };
        return directory.Of(server).Approvers.May(asking, person.Id, person.Groups, server.Resource, call.Tool, CompiledRelease.Sensitivity(tool?.Sensitivity), now);
    }
}
