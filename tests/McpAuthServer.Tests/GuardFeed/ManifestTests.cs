using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.GuardFeed;

public sealed class ManifestTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    public async Task Manifest_EveryState_IsAnswered()
    {
        var s = await server.ScenarioAsync();
        s.File["tool_servers"]![0]!["tools"]![2]!["state"] = "retired";
        await server.ApplyAsync(s.File.ToJsonString());
        var guard = await TestGuard.OfAsync(s);
        var first = await ReportAsync(guard, ("list_files", "lists"), ("read_file", "reads"), ("delete_file", "deletes"), ("new_tool", "is new"));
        Assert.Equal(["approved", "approved", "retired", "new"], first.Tools.Select(t => t.State));
        Assert.Equal(["read", "read", "destructive", "destructive"], first.Tools.Select(t => t.Sensitivity));
        Assert.Equal(CanonicalJson.Digest(JsonElement.Parse(Definition("read_file", "reads").ToJsonString())), first.Tools[1].Digest);
        Assert.Null(first.Tools[3].Digest);

        var drifted = await ReportAsync(guard, ("read_file", "reads and sends"));
        Assert.Equal(("drifted", first.Tools[1].Digest), (drifted.Tools[0].State, drifted.Tools[0].Digest));
        Assert.True(drifted.Manifest > first.Manifest);
        var stream = await guard.OpenStreamAsync();
        Assert.Equal(drifted.Manifest, (await guard.PollAsync(stream.Stream, stream.Cursor)).Manifest);

        // As approved again, approved again; and reporting the same twice changes nothing.
        var back = await ReportAsync(guard, ("read_file", "reads"));
        Assert.Equal("approved", back.Tools[0].State);
        Assert.Equal(back.Manifest, (await ReportAsync(guard, ("read_file", "reads"))).Manifest);
    }

    [Fact]
    public async Task Manifest_DriftedTool_IsIssuedToNobody()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var guard = await TestGuard.OfAsync(s);
        await ReportAsync(guard, ("read_file", "reads"));
        var token = await s.Agent.TaskTokenAsync(await s.Agent.BeginTaskAsync("read_file"), "read_file");
        await ReportAsync(guard, ("read_file", "reads and sends"));
        await server.RefusedAsync(
            () => s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(token.AccessToken, details: s.Details(["read_file"]))), HttpStatusCode.BadRequest,
            Names.Errors.InvalidAuthorizationDetails, null, AuditTypes.TokenRefused, null);
        await server.RefusedAsync(
            () => s.Agent.BeginTaskRawAsync(s.Details(["read_file"])), HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails, null, AuditTypes.TaskRefused, null);
    }

    [Theory]
    [InlineData("""{}""")]
    [InlineData("""{"tools":null}""")]
    [InlineData("""{"tools":{}}""")]
    [InlineData("""{"tools":[null]}""")]
    [InlineData("""{"tools":[{}]}""")]
    [InlineData("""{"tools":[{"name":null,"definition":{}}]}""")]
    [InlineData("""{"tools":[{"name":"a"}]}""")]
    [InlineData("""{"tools":[{"name":"a","definition":{}},{"name":"a","definition":{"x":1}}]}""")]
    public async Task Manifest_WrongBody_Is400AndChangesNothing(string body)
    {
        var guard = await TestGuard.OfAsync(await server.ScenarioAsync());
        var before = await server.ScalarAsync("select sum(manifest) from tool_servers");
        await (await guard.SendAsync(Names.Paths.GuardManifest, new StringContent(body, null, "application/json"))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
        Assert.Equal(before, await server.ScalarAsync("select sum(manifest) from tool_servers"));
    }

    private static JsonObject Definition(string name, string description) => new() { ["name"] = name, ["description"] = description, ["inputSchema"] = new JsonObject { ["type"] = "object" } };

    private static async Task<ManifestResponse> ReportAsync(TestGuard guard, params (string Name, string Description)[] tools) =>
        await (await guard.CallAsync(Names.Paths.GuardManifest, new JsonObject
        {
            ["tools"] = new JsonArray([.. tools.Select(t => new JsonObject { ["name"] = t.Name, ["definition"] = Definition(t.Name, t.Description) })]),
        })).ReadAsync(ProtocolJson.Default.ManifestResponse);
}
