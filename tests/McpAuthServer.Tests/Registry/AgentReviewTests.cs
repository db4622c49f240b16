using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol.Audit;
using McpAuthServer.Registry;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Registry;

/// <summary>An agent that should have been reviewed is told of once, and shown for as long as nobody does.</summary>
public sealed class AgentReviewTests : IAsyncLifetime
{
    private readonly TestServer server = new();

    public Task InitializeAsync() => server.InitializeAsync();

    public Task DisposeAsync() => server.DisposeAsync();

    [Fact]
    public async Task Agent_PastItsReviewDate_IsToldOfOnceAndShownUntilTheDateIsMoved()
    {
        var date = server.Time.GetUtcNow().AddMinutes(30);
        var s = await server.ScenarioAsync(o => o.Agent["review_at"] = date.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'"));
        await s.Agent.AttestAsync();
        var ops = await TestAdministrator.OfAsync(server);
        var reviews = server.Services.GetRequiredService<AgentReviews>();
        await reviews.TellAsync(default);
        Assert.Empty(await ToldAsync(s));
        Assert.Null((await ops.GetAsync($"/agents/{s.Agent.Id}"))["review_overdue"]);
        Assert.Null((await ReadyAsync())["overdue_reviews"]);

        server.Time.Advance(TimeSpan.FromMinutes(30));
        ops.Token = await ops.FreshTokenAsync();
        await reviews.TellAsync(default);
        await reviews.TellAsync(default);

        var told = Assert.Single(await ToldAsync(s));
        Assert.Equal((s.User, date.ToUnixTimeMilliseconds()), ((string?)told.Data!["owner"], (long)told.Data!["review_at"]!));
        // The server looks by itself, too; whoever told it writes the line after the event.
        for (var i = 0; i < 1000 && !server.Logs.Lines.Any(l => l.Contains("should have been reviewed", StringComparison.Ordinal) && l.Contains(s.Agent.Id, StringComparison.Ordinal)); i++)
            await Task.Delay(20);
        Assert.Single(server.Logs.Lines, line => line.Contains("should have been reviewed", StringComparison.Ordinal) && line.Contains(s.Agent.Id, StringComparison.Ordinal));
        var entry = await ops.GetAsync($"/agents/{s.Agent.Id}");
        Assert.True((bool)entry["review_overdue"]!);
        Assert.True((bool)(await ops.GetAsync("/agents?limit=200"))["items"]!.AsArray().Single(a => (string?)a!["id"] == s.Agent.Id)!["review_overdue"]!);
        Assert.Equal(1, (int)(await ReadyAsync())["overdue_reviews"]!);
        // It stops nobody.
        await s.Agent.TaskTokenAsync(await s.Agent.BeginTaskAsync("read_file"), "read_file");

        // What was read can be sent back, with a new date; and that is told of in its turn.
        entry["review_at"] = date.AddHours(1).UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'");
        Assert.Null((await ops.PutAsync($"/agents/{s.Agent.Id}", entry))["review_overdue"]);
        await reviews.TellAsync(default);
        Assert.Single(await ToldAsync(s));
        Assert.Null((await ReadyAsync())["overdue_reviews"]);
        server.Time.Advance(TimeSpan.FromHours(2));
        await reviews.TellAsync(default);
        Assert.Equal(2, (await ToldAsync(s)).Count);
    }

    [Fact]
    public async Task DateThatWasMovedMeanwhile_IsNotToldOf()
    {
        var date = server.Time.GetUtcNow().AddMinutes(30);
        var s = await server.ScenarioAsync(o => o.Agent["review_at"] = date.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'"));
        // As a node that looked before it was moved.
        var log = server.Services.GetRequiredService<ICommitLog>();
        Assert.False(await log.Commit(new TellReview(s.Agent.Id, s.User, date.AddHours(-1).ToUnixTimeMilliseconds(), server.Time.GetUtcNow(), "test")));
        Assert.Empty(await ToldAsync(s));
        var seconds = date.ToUnixTimeSeconds() * 1000;
        Assert.True(await log.Commit(new TellReview(s.Agent.Id, s.User, seconds, server.Time.GetUtcNow(), "test")));
        Assert.False(await log.Commit(new TellReview(s.Agent.Id, s.User, seconds, server.Time.GetUtcNow(), "test")));
        Assert.Single(await ToldAsync(s));
    }

    [Fact]
    public async Task RetiredAgent_IsNotReviewed()
    {
        var s = await server.ScenarioAsync(o => (o.Agent["review_at"], o.Agent["state"]) = ("2020-01-01T00:00:00Z", "retired"));
        await server.Services.GetRequiredService<AgentReviews>().TellAsync(default);
        Assert.Empty(await ToldAsync(s));
        Assert.Null((await (await TestAdministrator.OfAsync(server)).GetAsync($"/agents/{s.Agent.Id}"))["review_overdue"]);
        Assert.Null((await ReadyAsync())["overdue_reviews"]);
    }

    private Task<IReadOnlyList<AuditEvent>> ToldAsync(Scenario s) => server.EventsAsync($"type = '{AuditTypes.ReviewDue}' and agent = '{s.Agent.Id}'");

    private async Task<JsonObject> ReadyAsync()
    {
        var answer = await server.Client().GetAsync(new Uri("/health/ready", UriKind.Relative));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        return JsonNode.Parse(await answer.Content.ReadAsStringAsync())!.AsObject();
    }
}
