using System.Text.Json;
using McpAuthServer.CallApprovals;
using McpAuthServer.Delegation;
using McpAuthServer.Pages.Wording;
using McpAuthServer.People;
using McpAuthServer.Registry;

namespace McpAuthServer.Approvals;

/// <summary>What a person has to judge by, in words.</summary>
/// <param name="Agent">Null for a program that is no agent.</param>
/// <param name="For">On whose authority it is, when that is another than who is asked.</param>
/// <param name="Description">The tool's own words.</param>
public sealed record ApprovalView(
    string Id, string? Agent, string? AgentId, string? Instance, string Program, string? For, string Server, string Resource, string Tool, string Sensitivity, Worded? Description,
    Worded? Purpose, IReadOnlyList<ApprovalView.Argument> Arguments, DateTimeOffset Asked, DateTimeOffset Until)
{
    /// <summary>One argument, exactly.</summary>
    public sealed record Argument(string Name, Worded Value);

    /// <param name="arguments">The JSON object that the tool would get.</param>
    internal static ApprovalView Of(CallApproval approval, JsonElement arguments, RegistrySnapshot registry, string program, TaskRecord? task, Person asked, Person? user)
    {
        var call = approval.Call;
        var server = registry.ToolServers[call.ToolServer];
        var tool = server.Tools.GetValueOrDefault(call.Tool);
        return new(
            approval.Id, call.Agent is null ? null : ShownText.Name(registry.Agents.GetValueOrDefault(call.Agent)?.Name ?? call.Agent), call.Agent, call.Instance, ShownText.Name(program),
            call.User is null || call.User == asked.Id ? null : ShownText.Name(user?.Name ?? call.User), ShownText.Name(server.Name), server.Resource, call.Tool, ToolWording.SensitivityOf(tool),
            DescriptionOf(tool), task is { Purpose.Length: > 0 } ? Worded.Text(task.Purpose, 300) : null,
            [.. arguments.EnumerateObject().Select(a => new Argument(JsonWording.Text(a.Name), JsonWording.Of(a.Value)))], approval.Asked, approval.Expires);
    }

    private static Worded? DescriptionOf(ToolRecord? tool) =>
        tool?.Definition is { } text && StoredText.Json(text) is { ValueKind: JsonValueKind.Object } definition && definition.TryGetProperty("description", out var words)
        && words.ValueKind == JsonValueKind.String && words.GetString() is { Length: > 0 } description ? Worded.Text(description, 300) : null;
}
