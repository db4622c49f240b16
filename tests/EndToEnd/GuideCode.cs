using System.Net.Http.Json;
using System.Text.Json;
using McpAuth.Client;
using McpAuth.Protocol.ToolCalls;

namespace McpAuth.EndToEnd;

/// <summary>The code of docs/agents.md: it stands there as it stands here, and is run from here.</summary>
internal static class GuideCode
{
    public static async Task<string> InAPodAsync(string issuer, string tokenFile)
    {
        await using AgentSession session = await AgentSession.AttestAsync(issuer, WorkloadEvidence.TokenFile(tokenFile));
        return session.Agent;
    }

    public static WorkloadEvidence InAJobOfGitHub(string issuer)
    {
        WorkloadEvidence evidence = WorkloadEvidence.Token(async cancel =>
        {
            using var http = new HttpClient();
            http.DefaultRequestHeaders.Authorization = new("Bearer", Environment.GetEnvironmentVariable("ACTIONS_ID_TOKEN_REQUEST_TOKEN"));
            string url = $"{Environment.GetEnvironmentVariable("ACTIONS_ID_TOKEN_REQUEST_URL")}&audience={Uri.EscapeDataString(issuer)}";
            return (await http.GetFromJsonAsync<JsonElement>(url, cancel)).GetProperty("value").GetString()!;
        });
        return evidence;
    }

    public static async Task<AgentTask> AskAsync(AgentSession session, Authority authority)
    {
        BackchannelRequest question = await session.AskPerson("ann@example.com", "summarise the reports", authority, bindingMessage: "Ticket 4711");
        AgentTask task = await question.BeginTask(); // waits until Ann has answered, or the question is over
        return task;
    }

    public static async Task BeginAsync(AgentSession session, Authority authority, string place)
    {
        AgentTask task = await session.BeginTask("summarise the reports", authority, resumable: true);
        await File.WriteAllTextAsync(place, task.Id);
    }

    public static async Task<AgentTask> GoOnAsync(AgentSession session, string place)
    {
        AgentTask task = await session.ResumeTask(await File.ReadAllTextAsync(place));
        return task;
    }

    public static async Task<string> GiveAsync(AgentTask task, string resource)
    {
        HandOff handOff = await task.HandOff("read the reports", Authority.ForTools(resource, ["read_file"]));
        string message = handOff.ToJson(); // for the other agent, by whatever way the two talk
        return message;
    }

    public static async Task<AgentTask> TakeAsync(AgentSession session, string message)
    {
        AgentTask task = await session.AcceptHandOff(HandOff.Parse(message));
        return task;
    }
}
