using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Registry;

/// <summary>The server says loudly what it approves unseen.</summary>
public sealed class DeveloperModeTests
{
    [Fact]
    public async Task DeveloperMode_IsLoggedAtEveryStart_AndEveryApprovalIs()
    {
        await using var nodes = Nodes.OnSqlite();
        var server = await nodes.StartAsync();
        var s = await server.ScenarioAsync();
        var entry = s.File["tool_servers"]![0]!.DeepClone().AsObject();
        (entry["id"], entry["resource"], entry["enrolment_secrets"], entry["tools"], entry["development"]) =
            ("srv_here", "http://127.0.0.1:5090/mcp", new JsonArray(s.EnrolmentSecret + "-2"), new JsonArray(), true);
        await server.ApplyAsync(new JsonObject { ["tool_servers"] = new JsonArray(entry) }.ToJsonString());
        Assert.DoesNotContain(server.Logs.Lines, l => l.Contains("Developer mode", StringComparison.Ordinal));
        var guard = new TestGuard(s);
        await guard.EnrollAsync(new JsonObject
        {
            ["resource"] = "http://127.0.0.1:5090/mcp", ["enrolment_secret"] = s.EnrolmentSecret + "-2", ["jwk"] = JsonNode.Parse(guard.Key.Public.Jwk.GetRawText()),
        });
        await guard.AuthenticateAsync();

        var answer = await ReportAsync(guard, "one", "two");

        Assert.Equal(["one", "two"], answer.Development!);
        foreach (var tool in answer.Development!)
            Assert.Single(server.Logs.Lines, l => l == $"Developer mode: the tool {tool} of srv_here is approved, and nobody has looked at it; by its own claim it is read.");
        await ReportAsync(guard, "one", "two");
        Assert.Equal(2, server.Logs.Lines.Count(l => l.Contains("Developer mode", StringComparison.Ordinal)));
        await nodes.StopAsync(server);

        var again = await nodes.StartAsync(server.Time.GetUtcNow());
        Assert.StartsWith("Developer mode: whatever guards of srv_here at http://127.0.0.1:5090/mcp report is approved",
            Assert.Single(again.Logs.Lines, l => l.Contains("Developer mode", StringComparison.Ordinal)), StringComparison.Ordinal);
        var recorded = Assert.Single(await again.EventsAsync($"type = '{AuditTypes.DevelopmentOpened}'"));
        Assert.Equal(("success", "http://127.0.0.1:5090/mcp", "srv_here"), (recorded.Outcome, recorded.Resource, (string?)recorded.Data!["tool_server"]));
    }

    [Theory]
    [InlineData(true, "approved")]
    [InlineData(false, "drifted")]
    public async Task GuardThatStarts_CountsAsNew_OnlyInDeveloperMode(bool development, string state)
    {
        await using var nodes = Nodes.OnSqlite();
        var server = await nodes.StartAsync();
        var s = await server.ScenarioAsync();
        var entry = s.File["tool_servers"]![0]!.DeepClone().AsObject();
        (entry["id"], entry["resource"], entry["enrolment_secrets"], entry["tools"], entry["development"]) = (
            "srv_here", "http://127.0.0.1:5090/mcp", new JsonArray(s.EnrolmentSecret + "-2", s.EnrolmentSecret + "-3"),
            new JsonArray(new JsonObject { ["name"] = "one", ["sensitivity"] = "read", ["on_change"] = "accept" }), development);
        await server.ApplyAsync(new JsonObject { ["tool_servers"] = new JsonArray(entry) }.ToJsonString());
        var (first, second) = (await StartAsync("-2"), await StartAsync("-3"));
        await ReportAsync(first, true, "one");
        await ReportAsync(second, false, "one");
        // While both run, they rest.
        Assert.Equal("drifted", (await ReportAsync(first, true, "one")).Tools[0].State);
        var rest = await ReportAsync(second, false, "one");
        Assert.Equal("approved", rest.Tools[0].State);

        // It is told to report again, so it does not matter which of the two it does first.
        var stream = await first.OpenStreamAsync();
        Assert.Equal(rest.Manifest + (development ? 1 : 0), (await first.PollAsync(stream.Stream, stream.Cursor)).Manifest);

        Assert.Equal(state, (await ReportAsync(first, true, "one")).Tools[0].State);
        Assert.Equal(development ? "drifted" : "approved", (await ReportAsync(second, false, "one")).Tools[0].State);
        // One that serves what is approved has nobody ask again.
        var now = (await ReportAsync(first, true, "one")).Manifest;
        await (development ? first : second).OpenStreamAsync();
        Assert.Equal(now, (await ReportAsync(second, false, "one")).Manifest);

        async Task<TestGuard> StartAsync(string secret)
        {
            var guard = new TestGuard(s);
            await guard.EnrollAsync(new JsonObject
            {
                ["resource"] = "http://127.0.0.1:5090/mcp", ["enrolment_secret"] = s.EnrolmentSecret + secret, ["jwk"] = JsonNode.Parse(guard.Key.Public.Jwk.GetRawText()),
            });
            await guard.AuthenticateAsync();
            await guard.OpenStreamAsync();
            return guard;
        }
    }

    private static Task<ManifestResponse> ReportAsync(TestGuard guard, params string[] tools) => ReportAsync(guard, true, tools);

    private static async Task<ManifestResponse> ReportAsync(TestGuard guard, bool reads, params string[] tools) =>
        await (await guard.CallAsync(Names.Paths.GuardManifest, new JsonObject
        {
            ["tools"] = new JsonArray([.. tools.Select(t => new JsonObject
            {
                ["name"] = t, ["definition"] = new JsonObject { ["name"] = t, ["inputSchema"] = new JsonObject { ["type"] = "object" }, ["annotations"] = new JsonObject { ["readOnlyHint"] = reads } },
            })]),
        })).ReadAsync(ProtocolJson.Default.ManifestResponse);
}
