using System.Text;
using System.Text.Json.Nodes;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Mcp;
using McpAuth.Protocol;
using McpAuthServer.Clients;
using McpAuthServer.Delegation;
using McpAuthServer.People;
using McpAuthServer.Policies;
using McpAuthServer.Registry;

namespace McpAuthServer.AuthZen;

/// <summary>What is answered to one question.</summary>
/// <param name="Reason">Why it is no; for administrators.</param>
/// <param name="Hash">The release that decided, if one did.</param>
/// <param name="Policies">Those that decided.</param>
internal readonly record struct Verdict(bool Allowed, string? Reason = null, string? Hash = null, IReadOnlyList<string>? Policies = null)
{
    /// <summary>AuthZEN 1.0 §5.5.</summary>
    /// <param name="explain">Why somebody may not is as confidential as the policies are.</param>
    public JsonObject ToJson(bool explain)
    {
        var answer = new JsonObject { ["decision"] = Allowed };
        if (!explain)
            return answer;
        var context = new JsonObject();
        if (Reason is not null)
            context["reason"] = Reason;
        if (Hash is not null)
            (context["policy_hash"], context["reasons"]) = (Hash, new JsonArray([.. (Policies ?? []).Select(id => (JsonNode)id)]));
        answer["context"] = context;
        return answer;
    }
}

/// <summary>
/// Answers questions by the policies of the tool server, as its guard would decide a call by somebody whose token says what the registry says. Nothing that the
/// question claims of anybody is believed.
/// </summary>
internal sealed class Evaluator(PolicyDirectory directory, PersonStore people, ClientDirectory clients, TaskStore tasks, TimeProvider time)
{
    private const string Active = "active";

    public async Task<Verdict> DecideAsync(Question question, EvaluationCaller by, CancellationToken cancel)
    {
        // 1. A tool server that the caller may ask about. One that is another's is answered as one that is not there.
        if (question.ResourceType != Names.AuthZen.ToolServer || by.Server(question.ResourceId) is not { } server)
            return new(false, "unknown_resource");

        // 2. Its policies. Without any, authority alone decides, and there is no token here that could show some.
        var release = directory.Of(server);
        if (release.Policies is not { } policies)
            return new(false, "no_policies");

        // 3. Who it is, as the server knows them.
        if (!(await CallerAsync(question, by.Registry, cancel)).TryGet(out var caller, out var fault))
            return new(false, fault.Code, release.Hash);

        // 4. The decision, for a call at this moment.
        var response = new AuthorizationResponse();
        var allowed = policies.Authorize(
            new ToolCall
            {
                Principal = caller.Principal, Tool = question.Action, Resource = McpCaller.Server(server.Resource), Session = caller.Session(time.GetUtcNow()),
                Arguments = question.Input is { } input ? Encoding.UTF8.GetBytes(input.GetRawText()) : "{}"u8,
            },
            caller.Entities(), response) == Decision.Allow;
        return new(allowed, allowed ? null : Why(response.Cause), release.Hash, [.. response.Reasons]);
    }

    private async Task<Result<McpCaller>> CallerAsync(Question question, RegistrySnapshot registry, CancellationToken cancel)
    {
        // 1. Somebody who could act now.
        var (type, id) = (question.SubjectType, question.SubjectId);
        IReadOnlyList<string> groups = [];
        switch (type)
        {
            case Names.AuthZen.User when await people.Find(id, cancel) is { Enabled: true } person: groups = person.Groups; break;
            case Names.AuthZen.Agent when registry.Agents.GetValueOrDefault(id) is { Active: true }: break;
            case Names.AuthZen.Client when await clients.KnownAsync(id, registry, cancel) is { Active: true, AgentId: null }: break;
            default: return new Fault("unknown_subject", "There is no such subject, or it may not act.");
        }

        // 2. The task, when one is named: of this very subject, and alive up to its root. What is claimed and not so is not passed over: a policy may be about it.
        var acting = type == Names.AuthZen.Agent ? id : null;
        TaskRecord? task = null;
        List<string> chain = [];
        if (question.Task is { } named)
        {
            task = await LivingAsync(named, chain, cancel);
            if (task is null || !BelongsTo(task, type, id))
                return new Fault("unverified_task", "There is no such task of the subject, or it does not live.");
            acting = task.AgentId;
        }

        // 3. The agent that acts: the task's. Nobody else can say which agent acts for a person.
        if (question.Agent is { } claimed && claimed != acting)
            return new Fault("unverified_agent", "No task shows that the agent acts for the subject.");
        if (acting is not null && registry.Agents.GetValueOrDefault(acting) is not { Active: true })
            return new Fault("unknown_subject", "The agent may not act.");
        return new McpCaller
        {
            Kind = type switch { Names.AuthZen.User => McpSubject.User, Names.AuthZen.Agent => McpSubject.Agent, _ => McpSubject.Client }, Subject = id, Groups = groups,
            Agent = acting is null ? null : Of(registry.Agents[acting]), Chain = [.. chain.Where(a => a != acting).Distinct(StringComparer.Ordinal)],
            Client = task?.ClientId ?? (type == Names.AuthZen.Client ? id : null), Task = task is null ? null : new(task.Id, task.Expires, task.ParentId),
        };
    }

    /// <param name="chain">Gets the agents of the tasks above it.</param>
    private async Task<TaskRecord?> LivingAsync(string id, List<string> chain, CancellationToken cancel)
    {
        var now = time.GetUtcNow();
        TaskRecord? task = null;
        for (string? up = id; up is not null;)
        {
            if (await tasks.Find(up, cancel) is not { State: Active } found || found.Expires <= now)
                return null;
            if (task is not null && found.AgentId is { } above)
                chain.Add(above);
            task ??= found;
            up = found.ParentId;
        }
        return task;
    }

    private static bool BelongsTo(TaskRecord task, string type, string id) => type switch
    {
        Names.AuthZen.User => task.UserId == id,
        Names.AuthZen.Agent => task.UserId is null && task.AgentId == id,
        _ => task is { UserId: null, AgentId: null } && task.ClientId == id,
    };

    private static McpAgent Of(AgentRecord agent) => new(agent.Id, agent.Owner, agent.ToolClass, agent.Review);

    private static string Why(DenialCause cause) => cause switch
    {
        DenialCause.Forbidden => "forbidden",
        DenialCause.ForbidFailed or DenialCause.PolicyFailed => "policy_error",
        DenialCause.RequestInvalid => "request_invalid",
        _ => "not_permitted",
    };
}
