using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Mcp;

namespace McpAuthServer.Policies;

/// <summary>One call that policies must decide as expected, as whoever writes them states it.</summary>
/// <param name="Tool">A tool; null where <paramref name="Resource"/> or <paramref name="Prompt"/> is read.</param>
/// <param name="User">Whose authority it is; null: the agent's own, or the client's.</param>
/// <param name="ApprovedBy">The user who said yes to this call.</param>
/// <param name="Expect"><c>allow</c> or <c>deny</c>.</param>
/// <param name="By">The policies that must have decided, in their order; null: whichever.</param>
internal sealed record PolicyTest(
    [property: JsonPropertyName("name")] string Name, [property: JsonPropertyName("expect")] string Expect,
    [property: JsonPropertyName("tool")] string? Tool = null, [property: JsonPropertyName("resource")] string? Resource = null, [property: JsonPropertyName("prompt")] string? Prompt = null,
    [property: JsonPropertyName("arguments")] JsonElement? Arguments = null, [property: JsonPropertyName("user")] string? User = null,
    [property: JsonPropertyName("groups")] IReadOnlyList<string>? Groups = null, [property: JsonPropertyName("agent")] string? Agent = null,
    [property: JsonPropertyName("agent_class")] string? AgentClass = null, [property: JsonPropertyName("agent_owner")] string? AgentOwner = null,
    [property: JsonPropertyName("chain")] IReadOnlyList<string>? Chain = null, [property: JsonPropertyName("client")] string? Client = null,
    [property: JsonPropertyName("task")] string? Task = null, [property: JsonPropertyName("parent_task")] string? ParentTask = null,
    [property: JsonPropertyName("scopes")] IReadOnlyList<string>? Scopes = null, [property: JsonPropertyName("assurance")] string? Assurance = null,
    [property: JsonPropertyName("acr")] string? Acr = null, [property: JsonPropertyName("time")] DateTimeOffset? Time = null,
    [property: JsonPropertyName("address")] string? Address = null, [property: JsonPropertyName("approved_by")] string? ApprovedBy = null,
    [property: JsonPropertyName("by")] IReadOnlyList<string>? By = null)
{
    /// <summary>What is wrong with it as a test; null when it can be run.</summary>
    public string? Fault()
    {
        if (Name.Length is 0 or > 200)
            return "name has 1 to 200 characters.";
        if (Expect is not ("allow" or "deny"))
            return "expect is allow or deny.";
        if (new[] { Tool, Resource, Prompt }.Count(what => what is not null) != 1)
            return "exactly one of tool, resource and prompt says what is called.";
        if (Arguments is { ValueKind: not JsonValueKind.Object })
            return "arguments is an object.";
        if (Tool is null && Arguments is not null)
            return "arguments belong to a tool.";
        if (User is null && Agent is null && Client is null)
            return "one of user, agent and client says who calls.";
        if (Address is not null && !System.Net.IPAddress.TryParse(Address, out _))
            return "address is an IP address.";
        return null;
    }

    public PolicyTestOutcome Run(ToolCallAuthorizer policies, string resource, DateTimeOffset now)
    {
        var caller = new McpCaller
        {
            Kind = User is not null ? McpSubject.User : Agent is not null ? McpSubject.Agent : McpSubject.Client, Subject = User ?? Agent ?? Client!, Groups = Groups ?? [],
            Agent = Agent is null ? null : new(Agent, AgentOwner, AgentClass), Chain = Chain ?? [], Client = Client, Task = Task is null ? null : new(Task, null, ParentTask),
            Attestation = Assurance is null ? null : new(Assurance), Scopes = Scopes ?? [], Acr = Acr,
        };
        var approval = ApprovedBy is null ? null : new McpApproval("apr_test", ApprovedBy);
        var response = new AuthorizationResponse();
        policies.Authorize(
            new ToolCall
            {
                Principal = caller.Principal, Tool = Tool ?? (Resource is null ? ToolServerModel.GetPrompt : ToolServerModel.ReadResource), Resource = McpCaller.Server(resource),
                Session = caller.Session(Time ?? now, approval, Address is null ? null : System.Net.IPAddress.Parse(Address)),
                Arguments = Encoding.UTF8.GetBytes(Arguments?.GetRawText() ?? Item()),
            },
            caller.Entities(), response);
        var decision = response.Decision == Decision.Allow ? "allow" : "deny";
        var passed = decision == Expect && (By is null || By.SequenceEqual(response.Reasons, StringComparer.Ordinal));
        return new(Name, passed, decision, [.. response.Reasons], response.RequestFault ?? (response.Errors.Count > 0 ? string.Join("; ", response.Errors) : null));
    }

    private string Item() => Tool is not null ? "{}"
        : Resource is not null ? $$"""{"uri":{{JsonSerializer.Serialize(Resource, PolicyJson.Default.String)}}}""" : $$"""{"name":{{JsonSerializer.Serialize(Prompt, PolicyJson.Default.String)}}}""";
}

/// <param name="By">The policies that decided.</param>
/// <param name="Fault">Why it could not be decided, where that is so.</param>
internal sealed record PolicyTestOutcome(
    [property: JsonPropertyName("name")] string Name, [property: JsonPropertyName("passed")] bool Passed, [property: JsonPropertyName("decision")] string Decision,
    [property: JsonPropertyName("by")] IReadOnlyList<string> By, [property: JsonPropertyName("fault")] string? Fault);

[JsonSourceGenerationOptions(
    RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true, PropertyNameCaseInsensitive = false,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(IReadOnlyList<PolicyTest>)), JsonSerializable(typeof(PolicyTestOutcome)), JsonSerializable(typeof(string))]
internal sealed partial class PolicyJson : JsonSerializerContext;
