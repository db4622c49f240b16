using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpGuard.Sdk.Downstream;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using ModelContextProtocol.Server;

namespace McpGuard.Sdk.Tests;

/// <summary>What the tool of these tests does elsewhere.</summary>
internal sealed class Elsewhere
{
    public Func<IServiceProvider, CancellationToken, Task<string>> Work { get; set; } = (_, _) => Task.FromResult("nothing");
}

[McpServerToolType]
internal sealed class ElsewhereTools(Elsewhere elsewhere, IServiceProvider services)
{
    [McpServerTool(Name = "go")]
    public Task<string> Go(CancellationToken cancellationToken) => elsewhere.Work(services, cancellationToken);
}

/// <summary>A tool that goes on to another tool server: with a token of its own, and never with the one it was called with.</summary>
public sealed class DownstreamTokenTests : IAsyncLifetime
{
    private readonly Elsewhere elsewhere = new();
    private FakeAuthorizationServer server = null!;
    private RecordingApi api = null!;
    private ToolHost host = null!;

    public async Task InitializeAsync()
    {
        server = await FakeAuthorizationServer.StartAsync();
        server.Approve("go", "read");
        api = await RecordingApi.StartAsync();
        host = await ToolHost.StartAsync(server, services: services =>
        {
            services.AddSingleton(elsewhere);
            services.AddHttpContextAccessor();
            services.AddMcpServer().WithTools<ElsewhereTools>();
            services.AddHttpClient("api", http => http.BaseAddress = new Uri(api.Origin)).AddMcpDownstreamTokens(api.Resource, "b", "a");
        });
        elsewhere.Work = (services, cancel) => Get(services, "/mcp/things", cancel);
    }

    public async Task DisposeAsync()
    {
        await host.DisposeAsync();
        await api.DisposeAsync();
        await server.DisposeAsync();
    }

    [Fact]
    [Trait("Attack", "149")]
    [Trait("Invariant", "9")]
    public async Task Call_GoesOnWithATokenOfItsOwn_AndTheInboundTokenIsNowhereOnTheWire()
    {
        string inbound = server.Token();
        elsewhere.Work = async (services, cancel) =>
        {
            using HttpClient http = Client(services);
            // Whatever the handler can get hold of goes along: the headers of its own request, and all it knows of the call.
            HttpContext context = services.GetRequiredService<IHttpContextAccessor>().HttpContext!;
            using var request = new HttpRequestMessage(HttpMethod.Post, "/mcp/things") { Content = new StringContent(string.Join('\n', context.Request.Headers.Select(h => $"{h.Key}: {h.Value}")) + context.User.Claims.Count()) };
            foreach (var header in context.Request.Headers.Where(h => h.Key is "Authorization" or "DPoP")) request.Headers.TryAddWithoutValidation(header.Key, header.Value.ToArray());
            using HttpResponseMessage response = await http.SendAsync(request, cancel);
            return await response.Content.ReadAsStringAsync(cancel);
        };
        Assert.Equal("fine", (await Call(inbound)).Text);

        Reached reached = Assert.Single(api.All);
        foreach (string part in inbound.Split('.').Skip(1).Prepend(inbound)) Assert.DoesNotContain(part, reached.Wire, StringComparison.Ordinal);
        string sent = reached.Authorization["DPoP ".Length..];
        Assert.Equal(api.Resource, Claims(sent).GetProperty("aud").GetString());
        // RFC 9449 §7.1: the proof is of the key that the token is bound to, and for this very request.
        DpopProof proof = DpopProof.Read([reached.Proof], "POST", new Uri(api.Origin + "/mcp/things"), sent, DateTimeOffset.UtcNow).Value;
        Assert.Equal(Claims(sent).GetProperty("cnf").GetProperty("jkt").GetString(), proof.Thumbprint);

        IReadOnlyDictionary<string, string> form = Assert.Single(server.Exchanges);
        Assert.Equal((inbound, "go", api.Resource, "tool:a tool:b"), (form[Names.Exchange.SubjectToken], form[Names.Exchange.Tool], form["resource"], form["scope"]));
        AuditEvent decided = await server.Event(e => e is { Type: AuditTypes.CallDecided, Tool: "go" }), used = await server.Event(e => e.Type == AuditTypes.DownstreamUsed);
        Assert.Equal((decided.Id, decided.Jti, "go", "success", api.Resource, Claims(sent).GetProperty("jti").GetString()),
            (used.Cause, used.Jti, used.Tool, used.Outcome, (string?)used.Data!["to"], (string?)used.Data["jti"]));
        server.VerifyChain();
        // Nor in a log, at any level.
        Assert.DoesNotContain(host.Logged, l => l.Contains(sent, StringComparison.Ordinal) || l.Contains(inbound, StringComparison.Ordinal) || l.Contains(reached.Proof, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Calls_AtTheSameTime_ShareOneExchange_AndAnotherTokenHasItsOwn()
    {
        var held = new TaskCompletionSource();
        server.ExchangeHeld = held.Task;
        string inbound = server.Token();
        Task<Answer>[] calls = [.. Enumerable.Range(0, 8).Select(_ => Call(inbound))];
        await Until(() => !server.Exchanges.IsEmpty);
        held.SetResult();
        Assert.All(await Task.WhenAll(calls), a => Assert.Equal("fine", a.Text));
        Assert.Equal("fine", (await Call(inbound)).Text);
        Assert.Single(server.Exchanges);
        Assert.Equal("fine", (await Call(server.Token())).Text);
        Assert.Equal(2, server.Exchanges.Count);
        // Each call's record says where it went on to, whoever exchanged.
        await Until(() => server.Events().Count(e => e.Type == AuditTypes.DownstreamUsed) == 10);
        Assert.Equal(10, server.Events().Where(e => e.Type == AuditTypes.DownstreamUsed).Select(e => e.Cause).Distinct().Count());
    }

    [Fact]
    public async Task Caller_ThatGivesUp_DoesNotEndTheExchangeOfTheOthers()
    {
        var held = new TaskCompletionSource();
        server.ExchangeHeld = held.Task;
        string inbound = server.Token();
        using var gone = new CancellationTokenSource();
        elsewhere.Work = async (services, _) =>
        {
            try
            {
                await services.GetRequiredService<IDownstreamTokens>().GetAsync(api.Resource, cancellationToken: gone.Token);
                return "got one";
            }
            catch (OperationCanceledException)
            {
                return "gave up";
            }
        };
        Task<Answer> first = Call(inbound);
        await Until(() => !server.Exchanges.IsEmpty);
        await gone.CancelAsync();
        Assert.Equal("gave up", (await first).Text);
        elsewhere.Work = async (services, cancel) => (await services.GetRequiredService<IDownstreamTokens>().GetAsync(api.Resource, cancellationToken: cancel)).Resource;
        Task<Answer> second = Call(inbound);
        held.SetResult();
        Assert.Equal(api.Resource, (await second).Text);
        Assert.Single(server.Exchanges);
    }

    [Fact]
    public async Task Token_ThatSoonEnds_IsExchangedAnew()
    {
        server.ExchangedSeconds = 2;
        string inbound = server.Token();
        Assert.Equal("fine", (await Call(inbound)).Text);
        await Until(async () => (await Call(inbound)).Text == "fine" && server.Exchanges.Count > 1);
    }

    [Fact]
    [Trait("Invariant", "3")]
    public async Task Token_WhoseInboundTokenIsRevoked_IsForgottenAtOnce()
    {
        var tokens = (DownstreamTokens)host.Services.GetRequiredService<IDownstreamTokens>();
        string jti = Id.New(Id.AccessToken, DateTimeOffset.UtcNow);
        Assert.Equal("fine", (await Call(server.Token(new() { Jti = jti }))).Text);
        Assert.Equal("fine", (await Call(server.Token())).Text);
        Assert.Equal(2, tokens.Count);
        server.Revoke(jti, "jti");
        await Until(() => tokens.Count == 1);
    }

    [Fact]
    [Trait("Invariant", "3")]
    public async Task Exchange_DuringWhichTheCallIsRevoked_GivesNothing()
    {
        var held = new TaskCompletionSource();
        server.ExchangeHeld = held.Task;
        var told = new TaskCompletionSource<string>();
        elsewhere.Work = async (services, _) =>
        {
            try
            {
                await services.GetRequiredService<IDownstreamTokens>().GetAsync(api.Resource, cancellationToken: CancellationToken.None);
                told.SetResult("got one");
            }
            catch (DownstreamRefusedException e)
            {
                told.SetResult(e.Reason);
            }
            return "";
        };
        string jti = Id.New(Id.AccessToken, DateTimeOffset.UtcNow);
        Task<Answer> call = Call(server.Token(new() { Jti = jti }));
        await Until(() => !server.Exchanges.IsEmpty);
        server.Revoke(jti, "jti");
        var tokens = (DownstreamTokens)host.Services.GetRequiredService<IDownstreamTokens>();
        await Until(() => tokens.Count == 0);
        held.SetResult();
        Assert.Equal(Names.Reasons.Revoked, await told.Task.WaitAsync(TimeSpan.FromSeconds(20)));
        try
        {
            await call;
        }
        catch (HttpRequestException)
        {
            // The call itself was ended, too.
        }
    }

    [Fact]
    public async Task Refusal_OfTheToken_IsAnsweredWithOneNewExchange()
    {
        api.Answering = (number, context) =>
        {
            context.Response.StatusCode = number == 1 ? 401 : 200;
            return Task.CompletedTask;
        };
        Assert.Equal("200", (await Call(server.Token())).Text[..3]);
        Assert.Equal((2, 2), (api.All.Count, server.Exchanges.Count));
        Assert.Equal(2, api.All.Select(a => a.Authorization).Distinct().Count());

        api.Answering = (_, context) =>
        {
            context.Response.StatusCode = 401;
            return Task.CompletedTask;
        };
        Assert.Equal("401", (await Call(server.Token())).Text[..3]);
        Assert.Equal((4, 4), (api.All.Count, server.Exchanges.Count));
    }

    [Fact]
    [Trait("Spec", "RFC9449-9")]
    public async Task Nonce_ThatIsAskedFor_GoesIntoANewProofWithTheSameToken()
    {
        api.Answering = (_, context) =>
        {
            DpopProof proof = DpopProof.Read(context.Request.Headers["DPoP"], "GET", new Uri(api.Origin + "/mcp/things"), context.Request.Headers.Authorization.ToString()["DPoP ".Length..], DateTimeOffset.UtcNow).Value;
            (context.Response.StatusCode, context.Response.Headers["DPoP-Nonce"]) = (proof.Nonce == "n-1" ? 200 : 401, "n-1");
            return Task.CompletedTask;
        };
        Assert.Equal("200", (await Call(server.Token())).Text[..3]);
        Assert.Equal("200", (await Call(server.Token())).Text[..3]);
        Assert.Equal((3, 2), (api.All.Count, server.Exchanges.Count));
        Assert.Equal(3, api.All.Select(a => a.Proof).Distinct().Count());
    }

    [Fact]
    [Trait("Attack", "149")]
    public async Task Token_GoesNowhereButToItsResource()
    {
        await using RecordingApi other = await RecordingApi.StartAsync();
        foreach (string path in new[] { "/", "/mcpx", "/MCP", "/other/mcp", "/mcp/../admin", "/mcp/..%2fadmin", other.Resource })
        {
            elsewhere.Work = (services, cancel) => Get(services, path, cancel);
            Assert.Equal("fine", (await Call(server.Token())).Text);
        }
        Assert.All(api.All.Concat(other.All), a => Assert.Equal(("", ""), (a.Authorization, a.Proof)));
        Assert.Equal((6, 1), (api.All.Count, other.All.Count));
        Assert.Empty(server.Exchanges);

        // Where the other one leads is not followed, whoever made the sending handler.
        api.Answering = (_, context) =>
        {
            context.Response.Redirect(other.Resource);
            return Task.CompletedTask;
        };
        elsewhere.Work = (services, cancel) => Get(services, "/mcp/things", cancel);
        Assert.Equal("302", (await Call(server.Token())).Text[..3]);
        Assert.Single(other.All);
    }

    [Fact]
    public void RequestElsewhere_CannotBeProvenByHandEither()
    {
        var address = new DownstreamAddress("https://crm.example/mcp");
        foreach (string good in new[] { "https://crm.example/mcp", "https://crm.example/mcp/", "https://crm.example/mcp/a?b=c", "https://CRM.example:443/mcp" })
            Assert.True(address.Covers(new Uri(good)), good);
        foreach (string bad in new[]
        {
            "http://crm.example/mcp", "https://crm.example:8443/mcp", "https://crm.example.evil/mcp", "https://crm.example/", "https://crm.example/mcpx", "https://crm.example/mcp/../a",
            "https://crm.example/mcp/%2e%2e/a", "https://crm.example/mcp/..%2Fa", "https://crm.example/mcp/..%5ca",
        })
            Assert.False(address.Covers(new Uri(bad)), bad);
        foreach (string none in new[] { "", "crm.example/mcp", "http://crm.example/mcp", "https://crm.example/mcp?a", "https://crm.example/mcp#a", "https://u@crm.example/mcp" })
            Assert.Throws<ArgumentException>(() => new ServiceCollection().AddHttpClient("x").AddMcpDownstreamTokens(none));
    }

    [Theory]
    [InlineData(400, Names.Errors.InvalidTarget, Names.Reasons.NoEdge, "no_edge")]
    [InlineData(400, Names.Errors.InvalidScope, null, "invalid_scope")]
    [InlineData(400, Names.Errors.InvalidRequest, Names.Reasons.TaskEnded, "task_ended")]
    [InlineData(503, Names.Errors.TemporarilyUnavailable, null, "cannot be asked")]
    [Trait("Invariant", "9")]
    public async Task Exchange_ThatIsRefused_IsAReasonForTheTool_AndNothingIsSent(int status, string error, string? reason, string told)
    {
        server.ExchangeRefused = (status, error, reason);
        elsewhere.Work = async (services, cancel) =>
        {
            try
            {
                return await Get(services, "/mcp/things", cancel);
            }
            catch (DownstreamRefusedException e)
            {
                return e.Reason;
            }
            catch (HttpRequestException)
            {
                return "cannot be asked";
            }
        };
        string inbound = server.Token();
        Assert.Equal(told, (await Call(inbound)).Text);
        Assert.Empty(api.All);
        if (status == 400) Assert.Equal((told, api.Resource), (await server.Event(e => e is { Type: AuditTypes.DownstreamUsed, Outcome: "refused" })) is var e ? (e.Reason, (string?)e.Data!["to"]) : default);

        // A refusal is not kept.
        server.ExchangeRefused = null;
        Assert.Equal("fine", (await Call(inbound)).Text);
    }

    [Fact]
    [Trait("Invariant", "9")]
    public async Task Token_IsOnlyForCodeOfARunningCall()
    {
        IDownstreamTokens tokens = host.Services.GetRequiredService<IDownstreamTokens>();
        await Assert.ThrowsAsync<InvalidOperationException>(() => tokens.GetAsync(api.Resource).AsTask());
        var over = new TaskCompletionSource();
        Task<DownstreamToken>? left = null;
        elsewhere.Work = async (_, cancel) =>
        {
            // What a handler leaves running still knows its call, and that it is over.
            left = Task.Run(async () =>
            {
                await over.Task;
                return await tokens.GetAsync(api.Resource);
            }, CancellationToken.None);
            return (await tokens.GetAsync(api.Resource, cancellationToken: cancel)).ToString();
        };
        string text = (await Call(server.Token())).Text;
        Assert.StartsWith("token for " + api.Resource, text, StringComparison.Ordinal);
        Assert.DoesNotContain("eyJ", text, StringComparison.Ordinal);
        over.SetResult();
        InvalidOperationException e = await Assert.ThrowsAsync<InvalidOperationException>(() => left!);
        Assert.Contains("over", e.Message, StringComparison.Ordinal);
        Assert.Single(server.Exchanges);
    }

    [Fact]
    public async Task Details_OfWhatIsWanted_GoAlongAndAreKeptApart()
    {
        JsonElement details = JsonDocument.Parse(
            """[{"type":"mcp_tool_call", "locations":["HERE"],"actions":["tools/call"],"tools":{"a":{"args":{"id":{"constraint_type":"exact","value":"7"}}}}}]""".Replace("HERE", api.Resource, StringComparison.Ordinal)).RootElement;
        elsewhere.Work = async (services, cancel) =>
        {
            IDownstreamTokens tokens = services.GetRequiredService<IDownstreamTokens>();
            DownstreamToken narrow = await tokens.GetAsync(api.Resource, details, cancel), wide = await tokens.GetAsync(api.Resource, cancellationToken: cancel);
            return $"{narrow == wide} {narrow == await tokens.GetAsync(api.Resource, details, cancel)}";
        };
        Assert.Equal("False True", (await Call(server.Token())).Text);
        Assert.Equal(2, server.Exchanges.Count);
        Assert.Contains(server.Exchanges, f => f.TryGetValue("authorization_details", out string? sent) && JsonElement.DeepEquals(JsonDocument.Parse(sent).RootElement, details));
    }

    [Fact]
    [Trait("Invariant", "9")]
    public async Task Endpoint_BehindTheMiddleware_GoesOnTheSameWay()
    {
        await using FakeAuthorizationServer own = await FakeAuthorizationServer.StartAsync();
        own.Approve("go", "read");
        await using ToolHost hand = await ToolHost.StartAsync(own, o => o.Tools.Add(JsonDocument.Parse("""{"name":"go","inputSchema":{"type":"object"}}""").RootElement),
            services => services.AddHttpClient("api", http => http.BaseAddress = new Uri(api.Origin)).AddMcpDownstreamTokens(api.Resource), pipeline: app =>
            {
                app.UseMcpGuard("/mcp");
                app.MapPost("/mcp", async (HttpContext context, CancellationToken _) => Results.Text(
                    """{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"HERE"}]}}""".Replace("HERE", await Get(context.RequestServices, "/mcp/things", context.RequestAborted), StringComparison.Ordinal),
                    "application/json"));
            });
        Assert.Equal("fine", (await hand.CallTool("go", "{}", own.Token(), Names.Mcp.V20251125)).Text);
        Assert.StartsWith("DPoP ", Assert.Single(api.All).Authorization, StringComparison.Ordinal);
        await own.Event(e => e is { Type: AuditTypes.DownstreamUsed, Tool: "go" });
    }

    private Task<Answer> Call(string token) => host.CallTool("go", "{}", token);

    private static HttpClient Client(IServiceProvider services) => services.GetRequiredService<IHttpClientFactory>().CreateClient("api");

    private static async Task<string> Get(IServiceProvider services, string path, CancellationToken cancellationToken)
    {
        using HttpClient http = Client(services);
        using HttpResponseMessage response = await http.GetAsync(path, cancellationToken);
        string body = await response.Content.ReadAsStringAsync(cancellationToken);
        return body.Length > 0 ? body : ((int)response.StatusCode).ToString(System.Globalization.CultureInfo.InvariantCulture);
    }

    private static JsonElement Claims(string token) => JsonDocument.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(token.Split('.')[1])).RootElement;

    private static Task Until(Func<bool> condition) => Until(() => Task.FromResult(condition()));

    private static async Task Until(Func<Task<bool>> condition)
    {
        for (int i = 0; i < 600; i++)
        {
            if (await condition()) return;
            await Task.Delay(50);
        }
        Assert.Fail("It did not come to that.");
    }
}
