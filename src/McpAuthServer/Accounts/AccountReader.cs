using McpAuth.Protocol;
using McpAuthServer.Authorizations;
using McpAuthServer.CallApprovals;
using McpAuthServer.Clients;
using McpAuthServer.Delegation;
using McpAuthServer.Pages;
using McpAuthServer.Pages.Wording;
using McpAuthServer.People;
using McpAuthServer.Registry;

namespace McpAuthServer.Accounts;

/// <summary>Gathers what acts for a person at this moment.</summary>
internal sealed class AccountReader(BackchannelRequests asked, Interactions interactions, TaskStore tasks, ConsentStore consents, RegistryCache registry, ClientDirectory clients, ApprovalStore approvals, Approvers approvers)
{
    public async Task<AccountView> ReadAsync(Person person, DateTimeOffset now, CancellationToken cancel)
    {
        var user = person.Id;
        var snapshot = await registry.Current(cancel);
        var running = await tasks.RunningFor(user, now, cancel);
        var standing = await consents.Of(user, cancel);
        var used = await consents.LivedBy(user, now, cancel);
        var programs = new List<AccountView.Program>();
        // What was handed to an agent is for one task: afterwards it matters only as long as it is remembered.
        foreach (var consent in standing.Where(c => c.AgentId is null || c.RememberedUntil > now.ToUnixTimeMilliseconds() || used.Contains(c.Id)))
            programs.Add(ProgramOf(consent, (await clients.KnownAsync(consent.ClientId, snapshot, cancel))?.Name, snapshot, now));
        var stopped = new List<AccountView.Program>();
        foreach (var consent in await consents.StoppedBy(user, cancel))
            stopped.Add(ProgramOf(consent, (await clients.KnownAsync(consent.ClientId, snapshot, cancel))?.Name, snapshot, now));
        var waiting = await asked.WaitingForAsync(user, snapshot, now, cancel);
        var (calls, more) = await CallsAsync(person, snapshot, now, cancel);
        return new([.. waiting.Select(request => QuestionOf(request, now))], [.. running.Select(task => WorkOf(task, snapshot))], programs, stopped)
        {
            Calls = calls, MoreCalls = more,
        };
    }

    /// <summary>Those that the person may answer, their own and others'.</summary>
    private async Task<(IReadOnlyList<AccountView.Call> Calls, bool More)> CallsAsync(Person person, RegistrySnapshot registry, DateTimeOffset now, CancellationToken cancel)
    {
        var calls = new List<AccountView.Call>();
        var (waiting, more) = await approvals.WaitingAsync(person.Id, now, cancel);
        foreach (var approval in waiting)
            if (await approvers.RefusesAsync(approval, person, registry, now, cancel) is null && approvers.Changed(approval, registry) is null)
                calls.Add(new(
                    $"{Names.Paths.Approvals}/{approval.Id}",
                    approval.Call.Agent is { } agent ? AgentName(agent, registry) : ShownText.Name((await clients.KnownAsync(approval.Client, registry, cancel))?.Name ?? approval.Client),
                    approval.Call.Tool, ServerName(registry.ToolServers.GetValueOrDefault(approval.Call.ToolServer), approval.Call.ToolServer), approval.Asked, approval.Expires));
        return (calls, more);
    }

    private AccountView.Question QuestionOf(AuthorizationRequest request, DateTimeOffset now)
    {
        var (from, about) = ((BackchannelRecipient)request.Recipient, (Asked.Delegation)request.Asked);
        return new(
            interactions.Seal(new Interaction("", now, Backchannel: from.Hash)), ShownText.Name(about.Agent.Name), Worded.Text(about.Purpose, 200), from.Message, from.Asked, from.Expires);
    }

    private static AccountView.Work WorkOf(TaskRecord task, RegistrySnapshot registry) => new(
        task.Id, AgentName(task.AgentId!, registry), Worded.Text(task.Purpose, 200),
        Worded.Of((most, _) => Worded.List([.. task.Authority.Locations.Select(at => ServerName(registry.ByResource(at.Location), at.Location))], most)),
        DateTimeOffset.FromUnixTimeMilliseconds(task.CreatedAt), task.Expires, task.State == TaskState.Suspended);

    private static AccountView.Program ProgramOf(Consent consent, string? name, RegistrySnapshot registry, DateTimeOffset now)
    {
        var client = ShownText.Name(name ?? consent.ClientId);
        var server = consent.ToolServer is { } id ? registry.ToolServers.GetValueOrDefault(id) : null;
        return new(
            consent.Id, consent.AgentId is { } agent ? AgentName(agent, registry) : client, consent.AgentId is null ? null : client,
            consent.Purpose is { } purpose ? Worded.Text(purpose, 200) : null, consent.ToolServer is null ? null : ServerName(server, consent.ToolServer),
            consent.AgentId is null ? [.. consent.Words.Select(word => new Worded(WordText(word, server)))] : [.. consent.Authority.Locations.Select(at => LocationText(at, registry))],
            DateTimeOffset.FromUnixTimeMilliseconds(consent.GrantedAt),
            consent.RememberedUntil > now.ToUnixTimeMilliseconds() ? DateTimeOffset.FromUnixTimeMilliseconds(consent.RememberedUntil) : null,
            consent.Provider is { } provider ? ShownText.Name(registry.IdentityProviders.Values.FirstOrDefault(p => p.Id == provider)?.Name ?? provider) : null);
    }

    private static string WordText(string word, ToolServerRecord? server)
    {
        var title = ScopeWording.Of(word, server).Title;
        return ScopeWords.ToolOf(word) is { } tool && ToolWording.Can(ToolWording.SensitivityOf(server?.Tools.GetValueOrDefault(tool))) is { } can ? $"{title} – {can}" : title;
    }

    private static Worded LocationText(McpAuth.Protocol.ToolCalls.LocationAuthority at, RegistrySnapshot registry)
    {
        List<string> things = [.. at.Tools.Keys, .. at.Resources.Count > 0 ? new[] { "resources" } : [], .. at.Prompts.Select(prompt => $"the prompt {ShownText.Quoted(prompt, ShownText.NameLength)}")];
        var name = ServerName(registry.ByResource(at.Location), at.Location);
        return Worded.Of((most, _) => $"{name}: {Worded.List(things, most)}");
    }

    private static string AgentName(string id, RegistrySnapshot registry) => ShownText.Name(registry.Agents.GetValueOrDefault(id)?.Name ?? id);

    private static string ServerName(ToolServerRecord? server, string otherwise) => ShownText.Name(server?.Name ?? otherwise);
}
