using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using McpAuth.Client;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Testing;
using ModelContextProtocol;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;

namespace McpAuth.EndToEnd;

/// <summary>The gateway in front of servers that others wrote, unchanged, with a real authorization server; the files are those of docs/gateway.md.</summary>
public sealed class GatewayTests : IAsyncLifetime
{
    private readonly TempDirectory directory = new();
    private readonly TestAgent reader = new("agt_reader", "reader-client");
    private readonly string listen = string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{FreePort.Next()}");
    private readonly string everything = Package("server-everything");
    private Deployment deployment = null!;
    private JsonNode[] files = null!;

    private string Reports => listen + "/reports";
    private string Everything => listen + "/everything";
    private string Served => directory["srv/reports"];

    public async Task InitializeAsync()
    {
        if (!InteropClients.Requirement.Met) return;
        directory.Write("srv/reports/public/q1.md", "first quarter");
        directory.Write("srv/reports/private/salaries.txt", "secret");
        deployment = await Deployment.StartAsync(postgres: null, nodes: 1, []);
        string guide = await File.ReadAllTextAsync(Path.Combine(RepositoryRoot.Path, "docs", "gateway.md"));
        files =
        [
            .. Regex.Matches(guide, "```json\n(.*?)```", RegexOptions.Singleline).Select(m => JsonNode.Parse(m.Groups[1].Value
                .Replace("http://127.0.0.1:5090", listen, StringComparison.Ordinal).Replace("http://127.0.0.1:5080", deployment.Issuer, StringComparison.Ordinal)
                .Replace("\"/srv/reports", $"\"{Served}", StringComparison.Ordinal)
                // What npx finds is installed here already.
                .Replace("\"npx\"", $"\"{InteropClients.Node}\"", StringComparison.Ordinal)
                .Replace("\"-y\", \"@modelcontextprotocol/server-filesystem\"", $"\"{Package("server-filesystem")}\"", StringComparison.Ordinal))!),
        ];
    }

    public async Task DisposeAsync()
    {
        if (deployment is not null) await deployment.DisposeAsync();
        reader.Key.Dispose();
        directory.Dispose();
    }

    [NodeFact]
    [Trait("Suite", "interop")]
    [Trait("Spec", "Invariant-5")]
    public async Task FilesystemServer_ByTheFilesOfTheGuide_ReadsWhatTheTaskAllows_AndTheStoryIsComplete()
    {
        Assert.Equal(3, files.Length);
        await deployment.ApplyAsync(registry =>
        {
            foreach (string kind in new[] { "tool_servers", "agents" }) registry[kind]!.AsArray().Add(files[1][kind]![0]!.DeepClone());
            registry["clients"]!.AsArray().Add(GatewayProcess.Client(reader));
        });
        await using GatewayProcess gateway = await GatewayProcess.StartAsync(directory.Write("gateway.json", files[0].ToJsonString()), listen, Secret(files[1]["tool_servers"]![0]!["enrolment_secrets"]![0]!.GetValue<string>()));
        await using AgentSession session = await deployment.AttestAsync(reader);
        await using AgentTask task = await session.BeginTask("read the first quarter", Authority($$"""
            {"actions":["tools/call"],"tools":{"read_text_file":{"args":{"path":{"constraint_type":"path_under","value":"{{Served}}/public"} } } } }
            """, Reports));
        await using McpClient mcp = await GatewayProcess.ConnectAsync(task, Reports);

        // Of fourteen tools it is shown one.
        Assert.Equal("read_text_file", Assert.Single(await mcp.ListToolsAsync()).Name);
        CallToolResult read = await Call(mcp, "read_text_file", Served + "/public/q1.md");
        Assert.NotEqual(true, read.IsError);
        Assert.Equal("first quarter", Assert.IsType<TextContentBlock>(Assert.Single(read.Content)).Text);
        Assert.Equal("first quarter", read.StructuredContent?.GetProperty("content").GetString());

        foreach (string outside in new[] { Served + "/private/salaries.txt", Served + "/public/../private/salaries.txt", "public/q1.md" })
            Assert.Equal(Names.Denials.ArgumentDenied, Denial(await Call(mcp, "read_text_file", outside)));
        CallToolResult written = await mcp.CallToolAsync("write_file", new Dictionary<string, object?> { ["path"] = Served + "/public/q1.md", ["content"] = "changed" });
        Assert.Equal(Names.Denials.NotInTask, Denial(written));
        Assert.Equal("first quarter", await File.ReadAllTextAsync(Served + "/public/q1.md"));

        // What the server itself refuses is its own error, and on record as one.
        CallToolResult missing = await Call(mcp, "read_text_file", Served + "/public/q9.md");
        Assert.Equal((true, null), (missing.IsError, Denial(missing)));

        IReadOnlyList<AuditEvent> story = await Deployment.StoryAsync(task, e => e.Count(f => f.Type == AuditTypes.CallDecided) == 6 && e.Count(f => f.Type == AuditTypes.CallFinished) == 2);
        Assert.Equal(
            [("read_text_file", "allow"), ("read_text_file", "deny"), ("read_text_file", "deny"), ("read_text_file", "deny"), ("write_file", "deny"), ("read_text_file", "allow")],
            story.Where(e => e.Type == AuditTypes.CallDecided).Select(e => (e.Tool!, e.Decision!)));
        Assert.Equal(["success", "error"], story.Where(e => e.Type == AuditTypes.CallFinished).Select(e => e.Outcome));
        Assert.All(story.Where(e => e.Type == AuditTypes.CallDecided), e => Assert.Equal(("agt_reader", Reports), (e.Agent, e.Resource)));

        // The end of the task ends it here as everywhere.
        await task.Complete();
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                await Call(mcp, "read_text_file", Served + "/public/q1.md");
                return false;
            }
            catch (Exception e) when (e is HttpRequestException or McpException or OAuthErrorException)
            {
                return true;
            }
        }, "calls of the ended task are refused", 5 * Limits.RevocationBound);
        Assert.DoesNotContain("first quarter", gateway.Output, StringComparison.Ordinal);
    }

    [NodeTheory]
    [Trait("Suite", "interop")]
    [Trait("Spec", "Invariant-5")]
    [InlineData(false)]
    [InlineData(true)]
    public async Task EverythingServer_ToolsResourcesAndPrompts_AreGoverned(bool overHttp)
    {
        await using ChildProcess? http = overHttp ? StartHttp(out string url) : Unstarted(out url);
        string[] tools = ["echo", "get-structured-content", "get-tiny-image", "trigger-long-running-operation", "get-env"];
        await deployment.ApplyAsync(registry =>
        {
            registry["tool_servers"]!.AsArray().Add(new JsonObject
            {
                ["id"] = "srv_everything", ["resource"] = Everything, ["name"] = "Everything", ["owner"] = "usr_ann", ["enrolment_secrets"] = new JsonArray("everything-enrolment-secret-that-works-once"),
                ["tools"] = new JsonArray([.. tools.Select(t => new JsonObject { ["name"] = t, ["sensitivity"] = "read" })]),
            });
            registry["agents"]!.AsArray().Add(new JsonObject
            {
                ["id"] = reader.Id, ["name"] = "Reader", ["owner"] = "usr_ann", ["purpose"] = "Tries everything", ["max_task_seconds"] = 3600,
                ["ceiling"] = new JsonArray(JsonNode.Parse(Granted(Everything).GetRawText())![0]!.DeepClone()),
            });
            registry["clients"]!.AsArray().Add(GatewayProcess.Client(reader));
        });
        if (http is not null) await http.WaitForLineAsync(l => l.Contains("listening on port", StringComparison.OrdinalIgnoreCase), Deployment.Patience);
        var configuration = new JsonObject
        {
            ["listen"] = listen, ["authorization_server"] = deployment.Issuer,
            ["upstreams"] = new JsonObject
            {
                ["everything"] = new JsonObject
                {
                    ["resource"] = Everything, ["enrolment_secret"] = new JsonObject { ["env"] = "REPORTS_ENROLMENT_SECRET" },
                    [overHttp ? "http" : "stdio"] = overHttp ? new JsonObject { ["url"] = url } : new JsonObject { ["command"] = InteropClients.Node, ["args"] = new JsonArray(everything) },
                },
            },
        };
        await using GatewayProcess gateway = await GatewayProcess.StartAsync(directory.Write("everything.json", configuration.ToJsonString()), listen, Secret("everything-enrolment-secret-that-works-once"));
        await using AgentSession session = await deployment.AttestAsync(reader);
        await using AgentTask task = await session.BeginTask("try everything", Granted(Everything));
        await using McpClient mcp = await GatewayProcess.ConnectAsync(task, Everything);

        Assert.Equal(["echo", "get-structured-content", "get-tiny-image", "trigger-long-running-operation"], (await mcp.ListToolsAsync()).Select(t => t.Name).Order());
        Assert.Equal("Echo: hello", Text(await mcp.CallToolAsync("echo", new Dictionary<string, object?> { ["message"] = "hello" })));
        Assert.Equal(Names.Denials.NotInTask, Denial(await mcp.CallToolAsync("get-env")));
        Assert.Equal(Names.Denials.ArgumentDenied, Denial(await mcp.CallToolAsync("echo", new Dictionary<string, object?> { ["message"] = 1 })));
        Assert.True((await mcp.CallToolAsync("get-structured-content", new Dictionary<string, object?> { ["location"] = "Chicago" })).StructuredContent?.TryGetProperty("temperature", out _));
        Assert.Contains((await mcp.CallToolAsync("get-tiny-image")).Content, c => c is ImageContentBlock { MimeType: "image/png" });

        var steps = new Steps();
        await mcp.CallToolAsync("trigger-long-running-operation", new Dictionary<string, object?> { ["duration"] = 1, ["steps"] = 4 }, steps);
        await Eventually.TrueAsync(() => Task.FromResult(!steps.Seen.IsEmpty), "its progress arrives", Deployment.Patience);

        IList<McpClientResource> resources = await mcp.ListResourcesAsync();
        Assert.NotEmpty(resources);
        Assert.All(resources, r => Assert.StartsWith("demo://resource/static/", r.Uri, StringComparison.Ordinal));
        Assert.NotEmpty((await mcp.ReadResourceAsync(resources[0].Uri)).Contents);
        await Assert.ThrowsAsync<McpProtocolException>(async () => await mcp.ReadResourceAsync("demo://resource/dynamic/text/1"));

        Assert.Equal("simple-prompt", Assert.Single(await mcp.ListPromptsAsync()).Name);
        Assert.NotEmpty((await mcp.GetPromptAsync("simple-prompt")).Messages);
        await Assert.ThrowsAsync<McpProtocolException>(async () => await mcp.GetPromptAsync("args-prompt", new Dictionary<string, object?> { ["city"] = "Bern" }));

        IReadOnlyList<AuditEvent> story = await Deployment.StoryAsync(task, e => e.Count(f => f.Type == AuditTypes.CallDecided) == 10);
        // A resource and a prompt each, allowed and denied.
        Assert.Equal(["allow", "deny", "allow", "deny"], story.Where(e => e.Type == AuditTypes.CallDecided && e.Tool is null).Select(e => e.Decision));
    }

    [NodeFact]
    [Trait("Suite", "interop")]
    public async Task LastFileOfTheGuide_IsFreeOfFaults()
    {
        directory.Write("tickets.secret", "once");
        directory.Write("tickets.token", "token");
        await using ChildProcess check = ChildProcess.StartDll(Built.Dll("src/McpGuard.Gateway"), ["--config", directory.Write("several.json", files[2].ToJsonString()), "--check"]);
        Assert.True(await check.WaitForExitAsync(Deployment.Patience) == 0, check.Text);
        Assert.Contains("reports at /reports, tickets at /tickets", check.Text, StringComparison.Ordinal);
    }

    private static System.Text.Json.JsonElement Granted(string resource) => Authority("""
        {"actions":["tools/call","resources/read","prompts/get"],
         "tools":{"echo":{},"get-structured-content":{},"get-tiny-image":{},"trigger-long-running-operation":{}},
         "resources":[{"constraint_type":"prefix","value":"demo://resource/static/"}],"prompts":["simple-prompt"]}
        """, resource);

    private static System.Text.Json.JsonElement Authority(string entry, string resource)
    {
        JsonNode one = JsonNode.Parse(entry)!;
        one["type"] = Names.Resources.McpToolCall;
        one["locations"] = new JsonArray(resource);
        return System.Text.Json.JsonSerializer.SerializeToElement(new JsonArray(one));
    }

    private static Dictionary<string, string?> Secret(string secret) => new(GuardedServer.Runtime) { ["REPORTS_ENROLMENT_SECRET"] = secret };

    private ChildProcess StartHttp(out string url)
    {
        int port = FreePort.Next();
        url = string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}/mcp");
        return ChildProcess.Start(InteropClients.Node!, [everything, "streamableHttp"], new Dictionary<string, string?> { ["PORT"] = port.ToString(CultureInfo.InvariantCulture) });
    }

    private static ChildProcess? Unstarted(out string url)
    {
        url = "";
        return null;
    }

    private static string Package(string name) => InteropClients.Package($"@modelcontextprotocol/{name}/dist/index.js");

    private static async Task<CallToolResult> Call(McpClient mcp, string tool, string path) => await mcp.CallToolAsync(tool, new Dictionary<string, object?> { ["path"] = path });

    private static string Text(CallToolResult result) => Assert.IsType<TextContentBlock>(Assert.Single(result.Content)).Text;

    private static string? Denial(CallToolResult result) => result.Meta?[Names.Mcp.DenialMeta]?["code"]?.GetValue<string>();

    private sealed class Steps : IProgress<ProgressNotificationValue>
    {
        public System.Collections.Concurrent.ConcurrentBag<double> Seen { get; } = [];

        public void Report(ProgressNotificationValue value) => Seen.Add(value.Progress);
    }
}
