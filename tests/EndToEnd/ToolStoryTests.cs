using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Client;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;
using McpAuth.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Xunit.Abstractions;

namespace McpAuth.EndToEnd;

/// <summary>A tool that changes, and what becomes of its calls; the tool servers are those of docs/guard.md.</summary>
public sealed class ToolStoryTests(ITestOutputHelper output) : IDisposable
{
    private const string Password = "ann's password for development";

    private readonly TempDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    [Trait("Spec", "Invariant-5")]
    public async Task Tool_ThatChanged_IsDenied_UntilSomebodyApprovesWhatTheyWereShown()
    {
        await using Deployment deployment = await Deployment.StartAsync(postgres: null, nodes: 1, []);
        var ops = new Administrator(deployment);
        await ops.RegisterAsync();
        await using AgentSession session = await deployment.AttestAsync(deployment.First);
        await using AgentTask task = await session.BeginTask("mark", deployment.HostedAuthority());
        using var caller = new RawCaller(deployment.HostedResource, session.Key, await task.GetToken(deployment.HostedResource));
        await using (WebApplication first = await StartAsync(deployment, GuardGuide.Hosted))
            Assert.Equal("marked", (await caller.CallAsync("mark", "{}")).Text);

        await using WebApplication second = await StartAsync(deployment, builder => GuardGuide.InFront(builder, ServeAsync));
        Answer denied = await caller.CallAsync("mark", "{}");
        Assert.Equal(Names.Denials.ToolDrifted, denied.Denial);

        JsonObject shown = await ops.SendAsync(HttpMethod.Get, "/tool-servers/srv_hosted/tools/mark", null, node: 0);
        Assert.Equal("drifted", (string?)shown["state"]);
        JsonNode description = Assert.Single(shown["difference"]!.AsArray(), d => (string?)d!["path"] == "/description")!;
        Assert.Equal(("Marks.", "Marks, and tells everybody."), ((string?)description["approved"], (string?)description["reported"]));
        await ops.SendAsync(HttpMethod.Post, "/tool-servers/srv_hosted/tools/mark/approve", new JsonObject { ["digest"] = shown["reported_digest"]!.DeepClone() }, node: 0);

        // The guard hears of it by its poll, which hangs until there is something.
        TimeSpan heard = await Eventually.TrueAsync(async () => (await caller.CallAsync("mark", "{}")).Text == "marked elsewhere", "the tool runs again", Deployment.Patience);
        output.WriteLine($"ran again after {heard.TotalMilliseconds:0} ms");
    }

    [Fact]
    public async Task DeveloperMode_OfTheSample_RunsEveryTool_AndSaysSoLoudly()
    {
        int port = FreePort.Next();
        string issuer = Address(port), tools = Address(FreePort.Next()), resource = tools + "/mcp";
        string registry = directory.Write("development.json", (await File.ReadAllTextAsync(Path.Combine(Built.Root, "samples", "development.json")))
            .Replace("http://127.0.0.1:5090/mcp", resource, StringComparison.Ordinal));
        directory.Write("files/reports/q1.md", "first quarter");
        directory.Write("files/reports/old.md", "old");
        await using ChildProcess server = ChildProcess.StartDll(Built.Dll("src/McpAuthServer"), ["--apply", registry], new Dictionary<string, string?>(GuardedServer.Runtime)
        {
            ["McpAuth__Issuer"] = issuer, ["McpAuth__DataDirectory"] = directory["data"], ["ASPNETCORE_URLS"] = issuer,
        });
        await server.WaitForHealthAsync(new Uri(issuer + Names.Paths.HealthReady), Deployment.Patience);
        await using ChildProcess guarded = ChildProcess.StartDll(Built.Dll("samples/McpToolServer"), environment: new Dictionary<string, string?>(GuardedServer.Runtime)
        {
            ["Files__Root"] = directory["files"], ["Guard__AuthorizationServer"] = issuer, ["Guard__Resource"] = resource, ["Guard__EnrolmentSecret"] = "enrolment-secret-for-development-only",
            ["Guard__StateDirectory"] = directory["guard"], ["ASPNETCORE_URLS"] = tools,
        });
        await guarded.WaitForHealthAsync(new Uri(tools + Names.Paths.HealthReady), Deployment.Patience);

        // Nobody has named a tool: a person's client reads, and is asked for more where the annotations claim more.
        await using ChildProcess client = ChildProcess.StartDll(Built.Dll("samples/StockClient"),
        [
            "--resource", resource, "--client", "desktop", "--read", "reports/q1.md", "--delete", "reports/old.md",
            "--browser", ChildProcess.Dotnet, Built.Dll("samples/Person"), "--email", "ann@example.com", "--password-file", directory.Write("password", Password), "--open",
        ]);
        Assert.True(await client.WaitForExitAsync(Deployment.Patience) == 0, client.Text);
        Assert.Contains("read_file reports/q1.md: allowed", client.Text, StringComparison.Ordinal);
        Assert.Matches("client  is answered 403: .*tool:delete_file", client.Text);
        Assert.False(File.Exists(directory["files/reports/old.md"]));

        foreach ((string tool, string sensitivity) in new[] { ("read_file", "read"), ("write_file", "write"), ("delete_file", "destructive") })
            Assert.Contains($"Developer mode: the tool {tool} of srv_development is approved, and nobody has looked at it; by its own claim it is {sensitivity}.", server.Text, StringComparison.Ordinal);
        Assert.Contains($"Developer mode: whatever guards of srv_development at {resource} report is approved", server.Text, StringComparison.Ordinal);
        Assert.Contains("Developer mode: every tool of this tool server, new or changed, is approved", guarded.Text, StringComparison.Ordinal);
        Assert.Contains("Developer mode: approved, and nobody has looked at them: ", guarded.Text, StringComparison.Ordinal);
        using var http = new HttpClient();
        Assert.True((bool?)JsonNode.Parse(await http.GetStringAsync(new Uri(tools + Names.Paths.HealthReady)))!["development"]);
    }

    [Fact]
    public async Task Code_OfTheGuide_IsTheCodeThatRunsHere()
    {
        string[] code = [.. (await File.ReadAllLinesAsync(Path.Combine(Built.Root, "tests/EndToEnd/GuardGuide.cs"))).Select(l => l.Trim())];
        bool inside = false;
        var shown = new List<string>();
        foreach (string line in await File.ReadAllLinesAsync(Path.Combine(Built.Root, "docs/guard.md")))
        {
            if (line.StartsWith("```", StringComparison.Ordinal)) inside = line == "```csharp";
            else if (inside) shown.Add(line.Trim());
        }
        Assert.NotEmpty(shown);
        Assert.All(shown, line => Assert.Contains(line, code));
    }

    private async Task<WebApplication> StartAsync(Deployment deployment, Func<WebApplicationBuilder, WebApplication> build)
    {
        WebApplicationBuilder builder = WebApplication.CreateBuilder(new WebApplicationOptions { ContentRootPath = Directory.CreateDirectory(directory["marks"]).FullName });
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls(new Uri(deployment.HostedResource).GetLeftPart(UriPartial.Authority));
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Guard:AuthorizationServer"] = deployment.Issuer, ["Guard:Resource"] = deployment.HostedResource, ["Guard:EnrolmentSecret"] = deployment.HostedSecret,
        });
        WebApplication app = build(builder);
        await app.StartAsync();
        using var http = new HttpClient();
        var ready = new Uri(new Uri(deployment.HostedResource), Names.Paths.HealthReady);
        await Eventually.TrueAsync(async () => (await http.GetAsync(ready)).IsSuccessStatusCode, "the guard is ready", Deployment.Patience);
        return app;
    }

    /// <summary>Somebody's own JSON-RPC.</summary>
    private static async Task ServeAsync(HttpContext context)
    {
        JsonNode message = (await JsonNode.ParseAsync(context.Request.Body))!;
        await context.Response.WriteAsJsonAsync(new JsonObject
        {
            ["jsonrpc"] = "2.0", ["id"] = message["id"]!.DeepClone(), ["result"] = new JsonObject { ["content"] = new JsonArray(new JsonObject { ["type"] = "text", ["text"] = "marked elsewhere" }) },
        }, JsonSerializerOptions.Default);
    }

    private static string Address(int port) => FormattableString.Invariant($"http://127.0.0.1:{port}");
}
