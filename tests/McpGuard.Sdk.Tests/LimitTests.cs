using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using ModelContextProtocol.Server;

namespace McpGuard.Sdk.Tests;

[McpServerToolType]
internal sealed class LargeTools
{
    [McpServerTool(Name = "large")]
    public static string Large(int size) => new('x', size);
}

/// <summary>How often, and with how much, tools may be called.</summary>
public sealed class LimitTests : IAsyncLifetime
{
    private FakeAuthorizationServer server = null!;

    public async Task InitializeAsync()
    {
        server = await FakeAuthorizationServer.StartAsync();
        foreach (string tool in new[] { "echo", "refund", "region", "large", "any" }) server.Approve(tool, "read");
    }

    public async Task DisposeAsync() => await server.DisposeAsync();

    [Fact]
    public async Task Agent_ThatCallsTooOften_IsDeniedWithWhenToComeAgain_AndOnlyItself()
    {
        await using ToolHost host = await ToolHost.StartAsync(server, o => o.Limits.PerAgent = new CallRate(1, 3));
        string first = Token("agt_1"), second = Token("agt_2");
        // Its tokens are many, its rate is one.
        for (int i = 0; i < 3; i++) Assert.Equal("x", (await Echo(host, Token("agt_1"))).Text);
        Answer denied = await Echo(host, first);
        Assert.Equal((200, Names.Denials.RateLimited, true), (denied.Status, denied.Denial, denied.IsError));
        JsonElement meta = denied.Result.GetProperty("_meta").GetProperty(Names.Mcp.DenialMeta);
        Assert.Equal("retry", meta.GetProperty("remedy").GetString());
        Assert.InRange(meta.GetProperty("retry_after").GetInt32(), 1, 60);
        Assert.Equal("x", (await Echo(host, second)).Text);
        // Who is no agent is not limited as one.
        for (int i = 0; i < 5; i++) Assert.Equal("x", (await Echo(host, server.Token())).Text);
        AuditEvent e = await server.Event(e => e is { Type: AuditTypes.CallDecided, Decision: "deny" });
        Assert.Equal(("rate_limited: agent_rate", "echo"), (e.Reason, e.Tool));
        Assert.Equal(9, host.Runs.All.Count);
    }

    [Fact]
    public async Task User_ForWhomManyCall_IsOne()
    {
        await using ToolHost host = await ToolHost.StartAsync(server, o => o.Limits.PerUser = new CallRate(1, 2));
        Assert.Equal("x", (await Echo(host, Token("agt_1"))).Text);
        Assert.Equal("x", (await Echo(host, server.Token())).Text);
        Assert.Equal(Names.Denials.RateLimited, (await Echo(host, Token("agt_2"))).Denial);
        Assert.Equal("x", (await Echo(host, server.Token(new() { Sub = "usr_8" }))).Text);
        // Reading is calling, too; its denial is an error.
        Answer read = await host.Do("resources/read", "\"uri\":\"file:///public/readme\"", server.Token(new() { Scope = "resources:read" }), "file:///public/readme");
        Assert.Equal("rate_limited", read.Json!.Value.GetProperty("error").GetProperty("data").GetProperty(Names.Mcp.DenialMeta).GetProperty("code").GetString());
    }

    [Fact]
    public async Task Tool_ThatAllCall_HasItsRate_AndWhatItRefusesCountsForNobody()
    {
        await using ToolHost host = await ToolHost.StartAsync(server, o =>
        {
            (o.Limits.PerTool, o.Limits.PerAgent) = (new CallRate(1, 1), new CallRate(1, 3));
            o.Limits.Tools["region"] = new ToolLimits { PerTool = new CallRate(600, 100), PerAgent = new CallRate(1, 1) };
        });
        Assert.Equal("x", (await Echo(host, Token("agt_2"))).Text);
        for (int i = 0; i < 5; i++) Assert.Equal(Names.Denials.RateLimited, (await Echo(host, Token("agt_1"))).Denial);
        // Its three calls are all still there.
        Assert.NotEqual(Names.Denials.RateLimited, (await host.CallTool("refund", """{"order_id":"o"}""", Token("agt_1", "tools:read"))).Denial);
        // This tool is counted apart.
        Assert.Equal("eu", (await Region(host, Token("agt_1"))).Text);
        Assert.Equal(Names.Denials.RateLimited, (await Region(host, Token("agt_1"))).Denial);
        Assert.Equal("eu", (await Region(host, Token("agt_3"))).Text);
    }

    [Fact]
    public async Task Call_WithoutAuthority_UsesUpNothing()
    {
        await using ToolHost host = await ToolHost.StartAsync(server, o => o.Limits.PerTool = o.Limits.PerUser = new CallRate(1, 1));
        for (int i = 0; i < 5; i++) Assert.Equal("not_in_task", (await Echo(host, server.Token(new() { Scope = "prompts:read" }))).Denial);
        for (int i = 0; i < 5; i++) Assert.Equal("argument_denied", (await host.CallTool("echo", """{"text":7}""", server.Token())).Denial);
        Assert.Equal("x", (await Echo(host, server.Token())).Text);
    }

    [Fact]
    public async Task Calls_OfManyAtOnce_RunAsOftenAsTheRateHasIt()
    {
        await using ToolHost host = await ToolHost.StartAsync(server, o => o.Limits.PerTool = new CallRate(1, 10));
        string token = server.Token();
        Answer[] answers = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => Echo(host, token)));
        // A minute may pass meanwhile on a machine that is busy.
        Assert.InRange(answers.Count(a => a.Denial is null), 10, 12);
        Assert.Equal(answers.Count(a => a.Denial is null), host.Runs.All.Count);
    }

    [Fact]
    public async Task Arguments_LargerThanTheyMayBe_AreDeniedInTheirCanonicalForm()
    {
        await using ToolHost host = await ToolHost.StartAsync(server, o => (o.Limits.ArgumentBytes, o.Limits.Tools["region"]) = (100, new ToolLimits { ArgumentBytes = 20 }));
        // {"text":"…"} is eleven bytes beside the text; what only stood between the members does not count.
        Assert.Equal(89, (await host.CallTool("echo", "{ \"text\" :   \"" + new string('y', 89) + "\" }" + new string(' ', 200), server.Token())).Text.Length);
        Answer denied = await host.CallTool("echo", "{\"text\":\"" + new string('y', 90) + "\"}", server.Token());
        Assert.Equal(Names.Denials.ArgumentDenied, denied.Denial);
        Assert.Contains("100", denied.Text, StringComparison.Ordinal);
        Assert.Equal("argument_denied: too_large", (await server.Event(e => e is { Type: AuditTypes.CallDecided, Decision: "deny" })).Reason);
        Assert.Equal(Names.Denials.ArgumentDenied, (await Region(host, server.Token(), "a-long-region")).Denial);
        Assert.Equal("eu", (await Region(host, server.Token())).Text);
    }

    [Fact]
    public async Task Arguments_AreOneMebibyteAtMost_UnlessToldOtherwise()
    {
        await using ToolHost host = await ToolHost.StartAsync(server);
        string most = new('y', (1 << 20) - "{\"text\":\"\"}".Length);
        Assert.Equal(most.Length, (await host.CallTool("echo", $$"""{"text":"{{most}}"}""", server.Token())).Text.Length);
        Assert.Equal(Names.Denials.ArgumentDenied, (await host.CallTool("echo", $$"""{"text":"{{most}}y"}""", server.Token())).Denial);
    }

    [Theory]
    [InlineData(Names.Mcp.V20260728)]
    [InlineData(Names.Mcp.V20251125)]
    public async Task Result_LargerThanItMayBe_IsCutOffAndAnsweredAsAnError(string version)
    {
        await using ToolHost host = await ToolHost.StartAsync(
            server, o => (o.Limits.ResultBytes, o.Limits.Tools["echo"]) = (20_000, new ToolLimits { ResultBytes = 1024 }), s => s.AddMcpServer().WithTools<LargeTools>());
        Assert.Equal(19_000, (await host.CallTool("large", """{"size":19000}""", server.Token(), version)).Text.Length);
        Answer cut = await host.CallTool("large", """{"size":20000}""", server.Token(), version);
        Assert.Equal((200, true, 1), (cut.Status, cut.IsError, cut.Json!.Value.GetProperty("id").GetInt32()));
        Assert.Contains("20000 bytes", cut.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("xxx", cut.Body, StringComparison.Ordinal);
        AuditEvent finished = await server.Event(e => e is { Type: AuditTypes.CallFinished, Outcome: "error" });
        Assert.Equal(("result_too_large", "large"), (finished.Reason, finished.Tool));
        Assert.True((await host.CallTool("echo", $$"""{"text":"{{new string('z', 1024)}}"}""", server.Token(), version)).IsError);
        // One call, one outcome.
        await server.Event(e => e is { Type: AuditTypes.CallFinished, Tool: "echo" });
        Assert.Equal(3, server.Events().Count(e => e.Type == AuditTypes.CallFinished));
    }

    [Fact]
    public async Task Result_IsEightMebibytesAtMost_UnlessToldOtherwise()
    {
        await using ToolHost host = await ToolHost.StartAsync(server, services: s => s.AddMcpServer().WithTools<LargeTools>());
        Assert.False((await host.CallTool("large", $$"""{"size":{{(8 << 20) - 1000}}}""", server.Token())).IsError);
        Assert.True((await host.CallTool("large", $$"""{"size":{{8 << 20}}}""", server.Token())).IsError);
    }

    [Theory]
    [InlineData("length", "error")]
    [InlineData("at once", "error")]
    [InlineData("writer", "error")]
    [InlineData("json", "cut")]
    [InlineData("events", "error")]
    [InlineData("half an event", "cut")]
    [InlineData("file", "error")]
    [InlineData("small", "whole")]
    [InlineData("small writer", "whole")]
    public async Task Result_OfAnEndpointBehindTheMiddleware_IsCountedHoweverItIsWritten(string how, string outcome)
    {
        string file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, new string('f', 5000));
        bool stopped = false;
        await using ToolHost host = await Hand(2000, async context =>
        {
            HttpResponse response = context.Response;
            response.ContentType = how.Contains("event", StringComparison.Ordinal) ? "text/event-stream" : "application/json";
            byte[] part = System.Text.Encoding.UTF8.GetBytes(how switch
            {
                "events" => "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n", "half an event" => "data: {\"half\":\n", _ => "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[]}}",
            });
            switch (how)
            {
                case "length":
                    response.ContentLength = 5000;
                    await response.Body.WriteAsync(part);
                    break;
                case "at once": await response.Body.WriteAsync(new byte[5000]); break;
                case "writer":
                    response.BodyWriter.GetSpan(5000);
                    response.BodyWriter.Advance(5000);
                    await response.BodyWriter.FlushAsync();
                    break;
                case "file": await response.SendFileAsync(file); break;
                case "small": await response.Body.WriteAsync(part); break;
                case "small writer":
                    part.CopyTo(response.BodyWriter.GetSpan(part.Length));
                    response.BodyWriter.Advance(part.Length);
                    break;
                default:
                    try
                    {
                        for (int i = 0; i < 1000; i++)
                        {
                            await response.Body.WriteAsync(part);
                            await response.Body.FlushAsync();
                        }
                    }
                    finally
                    {
                        stopped = context.RequestAborted.IsCancellationRequested;
                    }
                    break;
            }
        });
        string token = server.Token();
        try
        {
            Answer answer = await host.CallTool("any", "{}", token, Names.Mcp.V20251125);
            Assert.NotEqual("cut", outcome);
            Assert.Equal(200, answer.Status);
            Assert.InRange(answer.Body.Length, 1, 2300);
            Assert.Equal(outcome == "error", answer.IsError);
        }
        catch (HttpRequestException) when (outcome == "cut")
        {
            // The connection ended: half an answer is none.
        }
        catch (HttpIOException) when (outcome == "cut")
        {
        }
        AuditEvent finished = await server.Event(e => e.Type == AuditTypes.CallFinished);
        Assert.Equal(outcome == "whole" ? ("success", null) : ("error", "result_too_large"), (finished.Outcome, finished.Reason));
        if (how is "json" or "events") Assert.True(stopped, "the handler was not told to stop");
        File.Delete(file);
    }

    [Fact]
    public async Task List_LargerThanItMayBe_IsNotKeptInMemory()
    {
        long written = 0;
        await using ToolHost host = await Hand(2000, async context =>
        {
            context.Response.ContentType = "application/json";
            for (int i = 0; i < 1000; i++)
            {
                await context.Response.Body.WriteAsync(new byte[1000]);
                written += 1000;
            }
        });
        Answer cut = await host.Do("tools/list", "", server.Token(), version: Names.Mcp.V20251125);
        Assert.Equal((200, -32603), (cut.Status, cut.Error));
        Assert.InRange(written, 0, 2000);
        await server.Event(e => e is { Type: AuditTypes.CallRefused, Reason: "result_too_large" });
    }

    [Fact]
    public async Task Limits_ThatCannotBe_StopTheHost()
    {
        foreach (Action<CallLimits> wrong in new Action<CallLimits>[]
        {
            l => l.PerAgent = new CallRate(0), l => l.PerUser = new CallRate(-1, 1), l => l.PerTool = new CallRate(10, 0), l => l.PerTool = new CallRate(int.MaxValue), l => l.ArgumentBytes = 0,
            l => l.ArgumentBytes = (4 << 20) + 1, l => l.ResultBytes = 0, l => l.Tools["echo"] = new ToolLimits { ResultBytes = 1 }, l => l.Tools["echo"] = null!,
            l => l.Tools["echo"] = new ToolLimits { PerAgent = new CallRate(0) },
            // A name that is written wrong would limit nothing.
            l => l.Tools["ecco"] = new ToolLimits { ArgumentBytes = 10 },
        })
        {
            OptionsValidationException e = await Assert.ThrowsAsync<OptionsValidationException>(() => ToolHost.StartAsync(server, o => wrong(o.Limits)));
            Assert.Contains("Limits", e.Message, StringComparison.Ordinal);
        }
    }

    private Task<ToolHost> Hand(int resultBytes, RequestDelegate endpoint) => ToolHost.StartAsync(server, o =>
    {
        o.Limits.ResultBytes = resultBytes;
        o.Tools.Add(JsonDocument.Parse("""{"name":"any","inputSchema":{"type":"object"}}""").RootElement);
    }, pipeline: app =>
    {
        app.UseMcpGuard("/mcp");
        app.MapPost("/mcp", endpoint);
    });

    private string Token(string agent, string scope = "tools:read") => server.Token(new() { Actors = [agent], Scope = scope });

    private static Task<Answer> Echo(ToolHost host, string token) => host.CallTool("echo", """{"text":"x"}""", token);

    private static async Task<Answer> Region(ToolHost host, string token, string region = "eu")
    {
        using HttpRequestMessage request = host.Request(ToolHost.Call("region", $$"""{"region":"{{region}}"}""", Names.Mcp.V20251125), token, Names.Mcp.V20251125);
        return await host.Send(request);
    }
}
