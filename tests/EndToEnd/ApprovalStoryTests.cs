using System.Collections.Specialized;
using McpAuth.Client;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol.Audit;
using McpAuth.Testing;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;

namespace McpAuth.EndToEnd;

/// <summary>An agent works for a person, and one of its calls needs her yes: the official client leads her to the page, and the call runs when it comes back.</summary>
[Collection(People.Name)]
public sealed class ApprovalStoryTests(People people)
{
    [InteropFact]
    [Trait("Spec", "MCP-2026-07-28-mrtr")]
    public async Task Call_ThatNeedsAYes_IsShownToThePersonInHerBrowser_AndRunsOnce()
    {
        await using AgentSession agent = await people.Deployment.AttestAsync(people.Deployment.First);
        await using Visitor ann = await people.NewVisitorAsync();
        await using AgentTask task = await HandOverAsync(agent, ann);
        File.WriteAllText(people.Files.File("reports/old.md"), "of last year");

        var asked = 0;
        var options = new McpClientOptions
        {
            Capabilities = new ClientCapabilities { Elicitation = new() { Url = new() } },
            Handlers = new()
            {
                ElicitationHandler = async (request, _) =>
                {
                    asked++;
                    Assert.Equal("url", request!.Mode);
                    Assert.True(File.Exists(people.Files.File("reports/old.md")));
                    Assert.Equal(200, await ann.GoAsync(request.Url!));
                    string text = await ann.Page.InnerTextAsync("main");
                    Assert.All(["agt_first", "delete_file", "\"reports/old.md\"", "Tidy the reports of last year"], said => Assert.Contains(said, text, StringComparison.Ordinal));
                    await ann.AssertPageIsCleanAsync("approval");
                    // Longer than a token lives here: the retry comes with another.
                    await Task.Delay(People.AccessTokenLifetime, CancellationToken.None);
                    await ann.PressAsync("Approve");
                    await ann.Page.GetByRole(Microsoft.Playwright.AriaRole.Status).WaitForAsync();
                    return new ElicitResult { Action = "accept" };
                },
            },
        };
        await using McpClient client = await McpClient.CreateAsync(new HttpClientTransport(
            new HttpClientTransportOptions { Endpoint = new Uri(people.Files.Resource), TransportMode = HttpTransportMode.StreamableHttp },
            new HttpClient(task.CreateHandler(people.Files.Resource)), ownsHttpClient: true), options);
        CallToolResult done = await client.CallToolAsync("delete_file", new Dictionary<string, object?> { ["path"] = "reports/old.md" });

        Assert.NotEqual(true, done.IsError);
        Assert.Equal(1, asked);
        Assert.False(File.Exists(people.Files.File("reports/old.md")));
        IReadOnlyList<AuditEvent> story = await Deployment.StoryAsync(task, e => e.Any(f => f.Type == AuditTypes.CallFinished));
        string used = story.Single(e => e.Type == AuditTypes.ApprovalUsed).Approval!;
        Assert.Equal(
            [AuditTypes.ApprovalAsked, AuditTypes.ApprovalApproved, AuditTypes.ApprovalUsed], story.Where(e => e.Type.StartsWith("approval.", StringComparison.Ordinal)).Select(e => e.Type));
        Assert.Equal([null, used], story.Where(e => e.Type == AuditTypes.CallDecided).OrderBy(e => e.Time).Select(e => e.Approval));
    }

    /// <summary>Ann gives the agent a task in which deleting needs her.</summary>
    private async Task<AgentTask> HandOverAsync(AgentSession agent, Visitor ann)
    {
        using var callback = new LoopbackCallback();
        DelegationRequest ask = await agent.AskPerson(
            callback.RedirectUri, "Tidy the reports of last year", people.Deployment.Authority("""{"read_file":{},"delete_file":{"approval":"required"}}""", [people.Files]));
        Task<NameValueCollection> coming = callback.NextAsync(default);
        await People.AllowAsync(ann, ask.Address.AbsoluteUri);
        NameValueCollection answer = await coming;
        return await ask.BeginTask(new Uri($"{callback.RedirectUri.OriginalString}?{string.Join('&', answer.AllKeys.Select(k => $"{k}={Uri.EscapeDataString(answer[k]!)}"))}"));
    }
}
