using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Client;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Testing;
using McpGuard.Sdk;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;
using Samples;

namespace McpAuth.EndToEnd;

/// <summary>A tool that reads a file at another tool server, for the person whose agent called it; docs/downstream.md is the tool.</summary>
public sealed class DownstreamStoryTests : IAsyncLifetime
{
    private const string Email = "ann@example.com", Password = "correct horse battery staple",
        Reports = """{"read_file":{"args":{"path":{"constraint_type":"path_under","value":"reports"}}}}""";

    private readonly TempDirectory directory = new();
    private readonly ConcurrentQueue<byte[]> wire = new();
    private Deployment deployment = null!;
    private WebApplication tool = null!;

    public async Task InitializeAsync()
    {
        deployment = await Deployment.StartAsync(postgres: null, nodes: 1, ["archive"], Register);
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls(new Uri(deployment.HostedResource).GetLeftPart(UriPartial.Authority));
        DownstreamGuide.Configure(builder, deployment.Servers[0].Resource);
        // Everything that leaves for the other tool server, as it leaves.
        builder.Services.AddHttpClient("archive").ConfigurePrimaryHttpMessageHandler(() => new SocketsHttpHandler
        {
            PlaintextStreamFilter = (context, _) => ValueTask.FromResult<Stream>(new Tap(context.PlaintextStream, wire)),
        });
        builder.Services.AddMcpGuard(options =>
        {
            (options.AuthorizationServer, options.Resource, options.EnrolmentSecret) = (deployment.Issuer, deployment.HostedResource, deployment.HostedSecret);
            options.StateDirectory = directory["guard"];
            DownstreamGuide.Limit(options);
        });
        tool = builder.Build();
        tool.MapGuardedMcp("/mcp");
        tool.MapMcpGuardHealth();
        await tool.StartAsync();
        using var http = new HttpClient();
        var ready = new Uri(new Uri(deployment.HostedResource), Names.Paths.HealthReady);
        await Eventually.TrueAsync(async () => (await http.GetAsync(ready)).IsSuccessStatusCode, "the hosted guard is ready", Deployment.Patience);
    }

    public async Task DisposeAsync()
    {
        await tool.DisposeAsync();
        await deployment.DisposeAsync();
        directory.Dispose();
    }

    [Fact]
    [Trait("Spec", "RFC8693-4.1")]
    [Trait("Spec", "Invariant-9")]
    [Trait("Attack", "149")]
    public async Task Tool_ReadsElsewhereForThePerson_WithATokenOfItsOwn_InOneStory_UntilTheTaskEnds()
    {
        GuardedServer archive = deployment.Servers[0];
        await using AgentSession session = await deployment.AttestAsync(deployment.First);
        using var browser = new LoopbackBrowser([ChildProcess.Dotnet, Built.Dll("samples/Person"), "--email", Email, "--password-file", directory.Write("password", Password), "--open"]);
        JsonArray authority = [.. JsonArray.Create(deployment.HostedAuthority())!.Concat(JsonArray.Create(deployment.Authority(Reports))!).Select(a => a!.DeepClone())];
        DelegationRequest ask = await session.AskPerson(browser.RedirectUri, "mark the reports", JsonSerializer.SerializeToElement(authority));
        await using AgentTask task = await ask.BeginTask(await browser.Ask(ask.Address, default));
        AccessToken inbound = await task.GetToken(deployment.HostedResource);

        CallToolResult read = await MarkAsync(task, "reports/q1.md"), again = await MarkAsync(task, "reports/q2.md"), beyond = await MarkAsync(task, "private/salaries.txt");
        Assert.Equal(("seen: first quarter", "seen: second quarter"), (Text(read), Text(again)));
        Assert.DoesNotContain("secret", Text(beyond), StringComparison.Ordinal);

        // 1. The wire: no token but the exchanged one, which is for the same person, agent and task, at the other tool server.
        string sent = Encoding.Latin1.GetString([.. wire.SelectMany(w => w)]);
        Assert.Contains("POST /mcp", sent, StringComparison.Ordinal);
        foreach (string part in inbound.Value.Split('.').Skip(1)) Assert.DoesNotContain(part, sent, StringComparison.Ordinal);
        string token = Assert.Single(sent.Split("\r\n").Where(l => l.StartsWith("Authorization: DPoP ", StringComparison.Ordinal)).Distinct())["Authorization: DPoP ".Length..];
        (JsonNode before, JsonNode after) = (inbound.Claims(), Claims(token));
        foreach (string same in new[] { "iss", "sub", "act", "task" }) Assert.Equal(before[same]!.ToJsonString(), after[same]!.ToJsonString());
        Assert.Equal(("usr_ann", archive.Resource), ((string?)after["sub"], (string?)after["aud"]));
        Assert.NotEqual(before["cnf"]!.ToJsonString(), after["cnf"]!.ToJsonString());

        // 2. The story: the call, the exchange, the call elsewhere; each leads to the next.
        IReadOnlyList<AuditEvent> story = await Deployment.StoryAsync(task, e =>
            e.Count(f => f is { Type: AuditTypes.CallDecided, Tool: "mark" }) == 3 && e.Count(f => f is { Type: AuditTypes.CallDecided, Tool: "read_file" }) == 3
            && e.Count(f => f.Type == AuditTypes.DownstreamUsed) == 3);
        string jti = (string)after["jti"]!;
        AuditEvent exchanged = Assert.Single(story, e => e.Type == AuditTypes.DownstreamExchanged);
        Assert.Equal((inbound.Jti(), "mark", deployment.HostedResource, archive.Resource, jti), (exchanged.Cause, exchanged.Tool, exchanged.Resource, (string?)exchanged.Data!["to"], (string?)exchanged.Data["jti"]));
        AuditEvent[] calls = [.. story.Where(e => e is { Type: AuditTypes.CallDecided, Tool: "mark" })], used = [.. story.Where(e => e.Type == AuditTypes.DownstreamUsed)];
        Assert.Equal(calls.Select(c => c.Id).Order(), used.Select(u => u.Cause).Order());
        Assert.All(used, u => Assert.Equal((inbound.Jti(), jti, "usr_ann", "agt_first"), (u.Jti, (string?)u.Data!["jti"], u.User, u.Agent)));
        AuditEvent[] there = [.. story.Where(e => e is { Type: AuditTypes.CallDecided, Tool: "read_file" })];
        Assert.All(there, e => Assert.Equal((archive.Resource, jti, "usr_ann", "agt_first"), (e.Resource, e.Jti, e.User, e.Agent)));
        Assert.Equal(["allow", "allow", "deny"], there.Select(e => e.Decision).Order());
        Assert.Empty(await deployment.EventsAsync(AuditTypes.GuardGap, AuditTypes.GuardRefused));

        // 3. The task's end is the token's.
        using var key = SigningKey.Create();
        string probe = (await GuardChannel.EnrollAsync(deployment.Issuer, archive.Resource, archive.ProbeSecret, key)).GuardId;
        using var guard = new GuardChannel(deployment.Issuer, probe, key);
        Assert.True((await guard.Introspect(token)).Active);
        await task.Complete();
        Assert.False((await guard.Introspect(token)).Active);
    }

    [Fact]
    [Trait("Spec", "Invariant-2")]
    public async Task Tool_WithoutAnEdge_GetsNoToken()
    {
        await deployment.ApplyAsync(registry => registry["edges"]![0]!["to"]!["tools"] = new JsonArray());
        await using AgentSession session = await deployment.AttestAsync(deployment.First);
        JsonArray authority = [.. JsonArray.Create(deployment.HostedAuthority())!.Concat(JsonArray.Create(deployment.Authority(Reports))!).Select(a => a!.DeepClone())];
        await using AgentTask task = await session.BeginTask("mark the reports", JsonSerializer.SerializeToElement(authority));
        Assert.True((await MarkAsync(task, "reports/q1.md")).IsError);
        IReadOnlyList<AuditEvent> story = await Deployment.StoryAsync(task, e => e.Any(f => f is { Type: AuditTypes.CallFinished, Tool: "mark" }) && e.Any(f => f.Type == AuditTypes.DownstreamUsed));
        Assert.Equal(("refused", Names.Reasons.NoEdge), (story.Single(e => e.Type == AuditTypes.DownstreamUsed).Outcome, story.Single(e => e.Type == AuditTypes.DownstreamUsed).Reason));
        Assert.DoesNotContain(story, e => e.Type == AuditTypes.DownstreamExchanged);
        Assert.Empty(wire);
    }

    [Theory]
    [InlineData("docs/downstream.md")]
    [InlineData("docs/limits.md")]
    public async Task Code_OfTheGuides_IsTheCodeThatRunsHere(string guide)
    {
        string[] code = [.. (await File.ReadAllLinesAsync(Path.Combine(Built.Root, "tests/EndToEnd/DownstreamGuide.cs"))).Select(l => l.Trim())], text = await File.ReadAllLinesAsync(Path.Combine(Built.Root, guide));
        bool inside = false;
        var shown = new List<string>();
        foreach (string line in text)
        {
            if (line.StartsWith("```", StringComparison.Ordinal)) inside = line == "```csharp";
            else if (inside) shown.Add(line.Trim());
        }
        Assert.NotEmpty(shown);
        Assert.All(shown, line => Assert.Contains(line, code));
    }

    private async Task<CallToolResult> MarkAsync(AgentTask task, string path)
    {
        await using McpClient mcp = await McpClient.CreateAsync(new HttpClientTransport(
            new HttpClientTransportOptions { Endpoint = new Uri(deployment.HostedResource), TransportMode = HttpTransportMode.StreamableHttp },
            new HttpClient(task.CreateHandler(deployment.HostedResource)), ownsHttpClient: true));
        return await mcp.CallToolAsync("mark", new Dictionary<string, object?> { ["path"] = path });
    }

    private static string Text(CallToolResult result) => result.Content.OfType<TextContentBlock>().Single().Text;

    private static JsonNode Claims(string token) => JsonNode.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(token.Split('.')[1]))!;

    private static void Register(JsonObject registry)
    {
        registry["users"]![0]!["password"] = Password;
        JsonNode client = registry["clients"]![0]!;
        client["grant_types"] = new JsonArray(Names.Exchange.GrantType, Names.OAuth.AuthorizationCode, Names.OAuth.RefreshToken);
        client["redirect_uris"] = new JsonArray("http://127.0.0.1/callback");
        registry["edges"] = new JsonArray(new JsonObject
        {
            ["from"] = new JsonObject { ["server"] = "srv_hosted", ["tool"] = "mark" }, ["to"] = new JsonObject { ["server"] = "srv_archive", ["tools"] = new JsonArray("read_file") },
        });
    }

    /// <summary>Keeps what is written.</summary>
    private sealed class Tap(Stream inner, ConcurrentQueue<byte[]> wire) : Stream
    {
        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
        public override void Flush() => inner.Flush();
        public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);
        public override int Read(byte[] buffer, int offset, int count) => inner.Read(buffer, offset, count);
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => inner.ReadAsync(buffer, cancellationToken);
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count)
        {
            wire.Enqueue(buffer.AsSpan(offset, count).ToArray());
            inner.Write(buffer, offset, count);
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            wire.Enqueue(buffer.ToArray());
            return inner.WriteAsync(buffer, cancellationToken);
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing) inner.Dispose();
            base.Dispose(disposing);
        }
    }
}
