using System.Text.Json;
using McpAuth.Client;
using McpAuth.Protocol.Jose;
using ModelContextProtocol.Client;
using Samples;

namespace SummariserAgent;

/// <summary>How the agent comes to its task: with a browser it asks a person to let it work for them; without, it works as itself.</summary>
internal sealed class Assignment(string issuer, string client, SigningKey clientKey, string resource, LoopbackBrowser? browser, Report report)
{
    public const string Folder = "reports";
    private const string Purpose = "summarise the reports";

    public string Resource => resource;

    public async Task<AgentSession> Attest(CancellationToken cancellationToken)
    {
        report.Step("The agent attests: one running copy, bound to a key that never leaves this process");
        AgentSession session = await AgentSession.AttestAsync(issuer, ClientAuthentication.PrivateKeyJwt(client, clientKey), cancellationToken: cancellationToken);
        report.Line($"agent {session.Agent}, instance {session.Instance}");
        return session;
    }

    public async Task<AgentTask> Begin(AgentSession session, CancellationToken cancellationToken)
    {
        if (browser is null)
        {
            report.Step($"It begins a task: list and read files, under {Folder}, and nothing else");
            return await session.BeginTask(Purpose, Authority(), cancellationToken: cancellationToken);
        }
        report.Step($"It asks a person for a task: list and read files, under {Folder}, and nothing else");
        DelegationRequest ask = await session.AskPerson(browser.RedirectUri, Purpose, Authority(), cancellationToken: cancellationToken);
        Uri callback = await browser.Ask(ask.Address, cancellationToken);
        return await ask.BeginTask(callback, cancellationToken: cancellationToken);
    }

    public async Task<McpClient> Connect(AgentTask task, CancellationToken cancellationToken)
    {
        var transport = new HttpClientTransport(
            new HttpClientTransportOptions { Endpoint = new Uri(resource), TransportMode = HttpTransportMode.StreamableHttp },
            new HttpClient(task.CreateHandler(resource)), ownsHttpClient: true);
        return await McpClient.CreateAsync(transport, cancellationToken: cancellationToken);
    }

    /// <summary>Whose authority, and who acts: two facts, never one.</summary>
    public void Identity(JsonElement claims, AgentSession session, AgentTask task)
    {
        string? subject = claims.GetProperty("sub").GetString(), actor = claims.TryGetProperty("act", out JsonElement act) ? act.GetProperty("sub").GetString() : null;
        if (browser is null) report.Check(subject == session.Agent && actor is null, "whose authority", $"the agent's own, {subject}");
        else report.Check(subject == task.View.User && actor == session.Agent, "whose authority, and who acts", $"{subject}, and for them {actor}");
    }

    // RFC 9396: the tools, and for each the arguments; a path must lie under the folder.
    private JsonElement Authority() => JsonElement.Parse($$"""
        [{
          "type": "mcp_tool_call",
          "locations": [{{JsonSerializer.Serialize(resource)}}],
          "actions": ["tools/call"],
          "tools": {
            "list_files": { "args": { "path": { "constraint_type": "path_under", "value": "{{Folder}}" } } },
            "read_file": { "args": { "path": { "constraint_type": "path_under", "value": "{{Folder}}" } } }
          }
        }]
        """);
}
