using System.Text.Json;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.ToolCalls;
using static McpAuth.Client.Tests.AgentFixture;

namespace McpAuth.Client.Tests;

/// <summary>A part of a task on its way from one agent to another.</summary>
public sealed class HandOffTests : IClassFixture<FakeServer>, IAsyncLifetime
{
    private const string Part = """[{"type":"mcp_tool_call","locations":["https://files.example/mcp"],"actions":["tools/call"],"tools":{"read_file":{"args":{"path":{"constraint_type":"exact","value":"reports/q1.md"}}}}}]""";

    private readonly FakeServer server;
    private readonly SigningKey clientKey = SigningKey.Create();
    private AgentSession session = null!;
    private AgentTask task = null!;

    public HandOffTests(FakeServer server) => this.server = server;

    public async Task InitializeAsync()
    {
        Prepare(server, clientKey);
        session = await Attest(server, clientKey);
        task = await session.BeginTask("p", Json(Details));
    }

    /// <summary>Whoever takes it takes no more than the part, and the giver's own token stays with the giver.</summary>
    [Fact]
    [Trait("Spec", "RFC8693-2.1")]
    public async Task HandOff_CarriesATokenOfThePartAlone()
    {
        HandOff given = await task.HandOff("read one report", Json(Part), server.Clock.GetUtcNow().AddMinutes(10));
        Received[] exchanges = [.. server.To("/token")];
        Assert.Equal(2, exchanges.Length);
        Assert.Equal(("token-1", null), (exchanges[1].Field("subject_token"), exchanges[1].Field("actor_token")));
        JsonElement asked = Json(exchanges[1].Field("authorization_details")!)[0];
        Assert.Equal("tsk_1", asked.GetProperty("task").GetProperty("id").GetString());
        Assert.True(JsonElement.DeepEquals(Json(Part)[0].GetProperty("tools"), asked.GetProperty("tools")));
        Assert.Equal("token-2", Json(given.ToJson()).GetProperty("subject_token").GetString());
        Assert.Equal(
            (server.Issuer, Resource, "read one report", server.Clock.GetUtcNow().AddSeconds(300), server.Clock.GetUtcNow().AddMinutes(10)),
            (given.Issuer, given.Resource, given.Purpose, given.TakeUpBefore, given.ExpiresAt));
        // The task goes on with the token it has.
        Assert.Equal("token-1", (await task.GetToken(Resource)).Value);
    }

    [Fact]
    public async Task HandOff_AsTextAndBack_IsTakenUpWithItsPurposeAndEnd()
    {
        HandOff sent = await task.HandOff("read one report", Authority.ForTools(Resource, ["read_file"]), server.Clock.GetUtcNow().AddMinutes(10));
        string text = sent.ToJson();
        Assert.DoesNotContain('\n', text);
        HandOff received = HandOff.Parse(text);
        Assert.DoesNotContain("token-", received.ToString(), StringComparison.Ordinal);
        Assert.Contains("read one report", received.ToString(), StringComparison.Ordinal);

        await using AgentTask child = await session.AcceptHandOff(received);
        Received exchange = server.To("/token").Last();
        Assert.Equal(("token-2", "instance-1", Resource), (exchange.Field("subject_token"), exchange.Field("actor_token"), exchange.Field("resource")));
        JsonElement asked = Json(exchange.Field("authorization_details")!)[0];
        Assert.True(asked.GetProperty("tools").TryGetProperty("read_file", out _));
        Assert.Equal("read one report", asked.GetProperty("task").GetProperty("purpose").GetString());
        Assert.Equal(server.Clock.GetUtcNow().AddMinutes(10), asked.GetProperty("task").GetProperty("expires_at").GetDateTimeOffset());
    }

    [Fact]
    public async Task AcceptHandOff_OfLess_AsksForThat()
    {
        HandOff handOff = await task.HandOff("read", Authority.ForTools(Resource, ["read_file"]));
        await using AgentTask child = await session.AcceptHandOff(handOff, Json(Part));
        JsonElement asked = Json(server.To("/token").Last().Field("authorization_details")!)[0];
        Assert.Equal("reports/q1.md", asked.GetProperty("tools").GetProperty("read_file").GetProperty("args").GetProperty("path").GetProperty("value").GetString());
        Assert.Equal("""{"purpose":"read"}""", asked.GetProperty("task").GetRawText());
    }

    [Fact]
    public async Task AcceptHandOff_OfAnotherIssuer_SendsNothing()
    {
        string text = (await task.HandOff("read", Json(Part))).ToJson();
        HandOff foreign = HandOff.Parse(text.Replace(server.Issuer, "https://other.example", StringComparison.Ordinal));
        int before = server.Requests.Count;
        await Assert.ThrowsAsync<ArgumentException>(() => session.AcceptHandOff(foreign));
        Assert.Equal(before, server.Requests.Count);
    }

    [Fact]
    public async Task HandOff_ForTwoToolServersOrNone_IsRefusedBeforeAnythingIsSent()
    {
        int before = server.Requests.Count;
        await Assert.ThrowsAsync<ArgumentException>(() => task.HandOff("read", Json(Details)));
        await Assert.ThrowsAsync<ArgumentException>(() => task.HandOff("read", Json("[]")));
        await Assert.ThrowsAsync<ArgumentException>(() => task.HandOff("read", Json("{}")));
        Assert.Equal(before, server.Requests.Count);
    }

    [Fact]
    public async Task HandOff_OfMoreThanTheTaskHolds_IsWhatTheServerSays()
    {
        await task.GetToken(Resource);
        server.Answers["/token"] = _ => Answer.Error(400, "invalid_authorization_details", "More than the parent holds.");
        Assert.Equal("invalid_authorization_details", (await Assert.ThrowsAsync<OAuthErrorException>(() => task.HandOff("read", Json(Part)))).Error);
    }

    [Fact]
    public async Task TakeBack_RevokesTheOthersTask()
    {
        server.Answers["/tasks/tsk_2/revoke"] = _ => server.Answers["/tasks/tsk_1/fail"](null!);
        await task.TakeBack("tsk_2", "no longer needed");
        Received sent = server.To("/tasks/tsk_2/revoke").Single();
        Assert.Equal(("POST", "DPoP instance-1", "no longer needed"), (sent.Method, sent.Authorization, sent.Json.GetProperty("reason").GetString()));
    }

    public static TheoryData<string> NoHandOffs => new()
    {
        "", "null", "[]", "{}", "secret-token", "{\"issuer\":\"secret-token\"}",
        """{"issuer":"https://a.example","resource":"https://files.example/mcp","purpose":"p","authorization_details":[],"subject_token":"secret-token","take_up_before":"2026-11-22T12:00:00Z"}""",
        """{"issuer":"https://a.example","resource":"https://files.example/mcp","purpose":"p","authorization_details":{},"subject_token":"secret-token","take_up_before":"2026-11-22T12:00:00Z"}""",
        """{"issuer":"https://a.example","resource":"https://files.example/mcp","purpose":"p","authorization_details":[{"type":"mcp_tool_call","locations":["https://mail.example/mcp"],"actions":["tools/call"],"tools":{"read_file":{}}}],"subject_token":"secret-token","take_up_before":"2026-11-22T12:00:00Z"}""",
        """{"issuer":"https://a.example","resource":"https://files.example/mcp","purpose":"p","authorization_details":[{"type":"mcp_tool_call","locations":["https://files.example/mcp"],"actions":["tools/call"],"tools":{"read_file":{}}}],"subject_token":"secret-token","take_up_before":"soon"}""",
        """{"issuer":"https://a.example","resource":"https://files.example/mcp","subject_token":"secret-token","subject_token":"secret-token"}""",
    };

    [Theory]
    [MemberData(nameof(NoHandOffs))]
    public void Parse_OfSomethingElse_SaysSoAndShowsNothingOfIt(string text)
    {
        FormatException e = Assert.Throws<FormatException>(() => HandOff.Parse(text));
        Assert.DoesNotContain("secret-token", e.ToString(), StringComparison.Ordinal);
    }

    public async Task DisposeAsync()
    {
        await task.DisposeAsync();
        await session.DisposeAsync();
        clientKey.Dispose();
    }
}
