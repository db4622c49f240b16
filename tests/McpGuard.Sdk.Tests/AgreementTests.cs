using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace McpGuard.Sdk.Tests;

/// <summary>What is decided on, what is recorded and what the handler gets are one value, whatever comes and whoever else calls; in both hostings.</summary>
public sealed class AgreementTests : IAsyncLifetime
{
    private const int Cases = 500;

    private const string Record = """{"name":"record","inputSchema":{"type":"object","properties":{"value":{}},"required":["value"]}}""";

    private readonly ConcurrentDictionary<string, JsonElement> decided = new(), handled = new();
    private FakeAuthorizationServer server = null!;

    public async Task InitializeAsync()
    {
        server = await FakeAuthorizationServer.StartAsync();
        server.Approve("record", "read");
    }

    public async Task DisposeAsync() => await server.DisposeAsync();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    [Trait("Invariant", "7")]
    [Trait("Attack", "133")]
    [Trait("Attack", "135")]
    [Trait("Attack", "137")]
    public async Task AnyArguments_AreOneValueForReadersPolicyRecordAndHandler_OrNothingRuns(bool hosted)
    {
        await using ToolHost host = await StartAsync(hosted);
        int seed = Environment.TickCount;
        var corpus = new JsonCorpus(seed);
        var ran = new Dictionary<string, string>();
        int refused = 0;
        for (int i = 0; i < Cases; i++)
        {
            bool plain = i % 3 == 0;
            string text = corpus.Arguments(plain), caller = Caller(i), about = $"seed {seed}, case {i}: {text}", jti = Id.New(Id.AccessToken, DateTimeOffset.UtcNow);
            Answer answer = await CallAsync(host, server.Token(new() { Sub = caller, Jti = jti }), text);
            bool reached = handled.TryGetValue(caller, out JsonElement got);
            if (answer.Status != 200 || answer.Denial is not null)
            {
                Assert.False(reached, about);
                Assert.False(plain, $"{about}: {answer.Status} {answer.Body}");
                refused++;
                continue;
            }
            Assert.True(reached, about);
            // A reader who does not refuse it reads the same, whichever of two equal names counts for it.
            JsonElement sent = JsonDocument.Parse(text, new JsonDocumentOptions { MaxDepth = 128 }).RootElement;
            string value = Reading.Of(got, first: true);
            Assert.Equal(value, Reading.Of(sent, first: true));
            Assert.Equal(value, Reading.Of(sent, first: false));
            Assert.Equal(value, Reading.Of(decided[caller], first: true));
            ran[jti] = new ArgumentDigest(FakeAuthorizationServer.ArgsKey).Of(CanonicalJson.ToBytes(got));
        }
        Assert.True(ran.Count > Cases / 3 && refused > Cases / 10, $"{ran.Count} ran, {refused} were refused");
        await RecordedAsync(ran);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Callers_AllAtOnce_GetTheirOwnAnswersAndLeaveTheirOwnRecords(bool hosted)
    {
        await using ToolHost host = await StartAsync(hosted);
        var digests = new ConcurrentDictionary<string, string>();
        await Parallel.ForEachAsync(Enumerable.Range(0, 400), new ParallelOptions { MaxDegreeOfParallelism = 32 }, async (i, _) =>
        {
            string jti = Id.New(Id.AccessToken, DateTimeOffset.UtcNow), text = $$"""{"value":"{{Caller(i)}}"}""";
            Answer answer = await CallAsync(host, server.Token(new() { Sub = Caller(i), Jti = jti }), text);
            Assert.Equal($"{Caller(i)} {text}", answer.Text);
            digests[jti] = new ArgumentDigest(FakeAuthorizationServer.ArgsKey).Of(Encoding.UTF8.GetBytes(text));
        });
        foreach ((string caller, JsonElement seen) in decided) Assert.Equal(caller, seen.GetProperty("value").GetString());
        await RecordedAsync(digests);
    }

    private static string Caller(int i) => FormattableString.Invariant($"usr_{i}");

    /// <summary>Every call has its decision, and its arguments' digest stands there.</summary>
    private async Task RecordedAsync(IReadOnlyDictionary<string, string> digests)
    {
        string last = digests.Keys.Max(StringComparer.Ordinal)!;
        await server.Event(e => e.Type == AuditTypes.CallDecided && e.Jti == last);
        for (int i = 0; i < 200 && server.Events().Count(e => e is { Type: AuditTypes.CallDecided, Decision: "allow" }) < digests.Count; i++) await Task.Delay(50);
        Assert.Equal(
            digests.OrderBy(d => d.Key, StringComparer.Ordinal).Select(d => (d.Key, d.Value)),
            server.Events().Where(e => e is { Type: AuditTypes.CallDecided, Decision: "allow" }).Select(e => (e.Jti!, e.ArgsDigest!)).OrderBy(e => e.Item1, StringComparer.Ordinal));
    }

    private static async Task<Answer> CallAsync(ToolHost host, string token, string arguments)
    {
        using HttpRequestMessage request = host.Request(ToolHost.Call("record", arguments), token);
        request.Headers.Add(Names.Mcp.MethodHeader, "tools/call");
        request.Headers.Add(Names.Mcp.NameHeader, "record");
        return await host.Send(request);
    }

    private Task<ToolHost> StartAsync(bool hosted)
    {
        var policy = new Watching(decided);
        if (hosted)
            return ToolHost.StartAsync(server, o => o.Policy = policy, s => s.AddMcpServer().WithTools([McpServerTool.Create(Handle, new McpServerToolCreateOptions { Name = "record" })]));
        return ToolHost.StartAsync(
            server, o =>
            {
                o.Policy = policy;
                o.Tools.Add(JsonDocument.Parse(Record).RootElement);
            }, pipeline: app =>
            {
                app.UseMcpGuard("/mcp");
                app.MapPost("/mcp", Endpoint);
            });
    }

    private async Task<string> Handle(JsonElement value, RequestContext<CallToolRequestParams> call)
    {
        await Task.Yield();
        return Keep(call.User!.FindFirst("sub")!.Value, $$"""{"value":{{value.GetRawText()}}}""");
    }

    private async Task Endpoint(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        JsonElement message = JsonDocument.Parse(body.ToArray(), new JsonDocumentOptions { MaxDepth = 128 }).RootElement;
        string text = Keep(context.User.FindFirst("sub")!.Value, message.GetProperty("params").GetProperty("arguments").GetRawText());
        await context.Response.WriteAsJsonAsync(new { jsonrpc = "2.0", id = 1, result = new { content = new[] { new { type = "text", text } } } });
    }

    private string Keep(string caller, string arguments)
    {
        handled[caller] = JsonDocument.Parse(arguments, new JsonDocumentOptions { MaxDepth = 128 }).RootElement;
        return $"{caller} {arguments}";
    }

    private sealed class Watching(ConcurrentDictionary<string, JsonElement> decided) : CallPolicy
    {
        public override ValueTask<PolicyVerdict> Decide(CallContext call, CancellationToken cancellationToken)
        {
            decided[call.Subject] = call.Arguments.Clone();
            return new(PolicyVerdict.Allow());
        }
    }
}
