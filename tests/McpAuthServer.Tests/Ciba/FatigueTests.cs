using System.Net;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Abuse;
using McpAuthServer.Tests.Consents;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Ciba;

/// <summary>Nobody is asked until they say yes to have peace.</summary>
public class FatigueTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    public async Task Agent_WithThreeQuestionsWaiting_AsksNoFourth_OfThatPerson()
    {
        var (s, other) = (await server.ScenarioAsync(o => o.FurtherAgents = 1), await server.ScenarioAsync());
        for (var i = 0; i < 3; i++)
            await s.AskAsync(new() { ["requested_expiry"] = "120" });
        server.Time.Advance(TimeSpan.FromSeconds(20));

        var e = await RefusedAsync(s, Names.Reasons.TooManyWaiting, seconds: 100);
        Assert.Equal((s.User, s.Agent.Id, s.Agent.ClientId), (e.User, e.Agent, e.Client));

        // Another agent, and another person, are another matter; and so it is when one of them waits no longer.
        await s.AskAsync(agent: s.Agents[1]);
        await s.AskAsync(new() { ["login_hint"] = other.Person.Email });
        server.Time.Advance(TimeSpan.FromSeconds(101));
        await s.AskAsync();
    }

    [Fact]
    public async Task Person_WithTwentyQuestionsWaiting_IsAskedNoMore()
    {
        var s = await server.ScenarioAsync(o => o.FurtherAgents = 7);
        for (var i = 0; i < 20; i++)
            await s.AskAsync(agent: s.Agents[i / 3]);

        await RefusedAsync(s, Names.Reasons.TooManyWaiting, seconds: 600, s.Agents[7]);

        Assert.Equal(20, (await (await s.BrowserAsync()).WaitingAsync()).Count);
    }

    [Fact]
    public async Task Agent_ThatWasDenied_WaitsAMinute()
    {
        var s = await server.ScenarioAsync(o => o.FurtherAgents = 1);
        await s.AskAsync();
        await s.AnswerAsync("deny");
        server.Time.Advance(TimeSpan.FromSeconds(10));

        await RefusedAsync(s, Names.Reasons.DeniedLately, seconds: 50);

        await s.AskAsync(agent: s.Agents[1]);
        server.Time.Advance(TimeSpan.FromSeconds(50));
        await s.AskAsync();
    }

    [Fact]
    public async Task Agent_ThatWasAllowed_AsksAgainAtOnce()
    {
        var s = await server.ScenarioAsync();
        await s.AskAsync();
        await s.AnswerAsync("allow");

        await s.AskAsync();
    }

    [Fact]
    public async Task Agent_ThatAskedTenTimesInAnHour_WaitsUntilTheFirstIsAnHourAgo()
    {
        var s = await server.ScenarioAsync();
        for (var i = 0; i < 10; i++)
        {
            await s.AskAsync(new() { ["requested_expiry"] = "1" });
            server.Time.Advance(TimeSpan.FromSeconds(60));
        }

        await RefusedAsync(s, Names.Reasons.AskedTooOften, seconds: 3000);

        server.Time.Advance(TimeSpan.FromSeconds(3000));
        await s.AskAsync();
        await RefusedAsync(s, Names.Reasons.AskedTooOften, seconds: 60);
    }

    [Theory]
    [InlineData("PerHour", "0")]
    [InlineData("Waiting", "1001")]
    [InlineData("WaitingInAll", "-1")]
    public void Limits_OutOfRange_AreFaults(string name, string value)
    {
        var options = new RateLimitOptions();
        Assert.Empty(options.Faults());
        typeof(AskingLimits).GetProperty(name)!.SetValue(options.Asking, int.Parse(value, System.Globalization.CultureInfo.InvariantCulture));

        Assert.Contains($"McpAuth:RateLimits:Asking:{name} ", Assert.Single(options.Faults()), StringComparison.Ordinal);
    }

    private async Task<AuditEvent> RefusedAsync(Scenario s, string reason, int seconds, TestAgent? agent = null)
    {
        HttpResponseMessage? answer = null;
        var e = await server.RefusedAsync(
            async () => answer = await s.AskRawAsync(agent: agent), HttpStatusCode.Forbidden, Names.Errors.AccessDenied, reason, AuditTypes.AskingRefused, reason);
        Assert.Equal(TimeSpan.FromSeconds(seconds), answer!.Headers.RetryAfter?.Delta);
        return e;
    }
}

/// <summary>The same with limits of one's own.</summary>
public sealed class AskingLimitTests : IAsyncLifetime
{
    private readonly TestServer server = new();

    [Fact]
    public async Task Limits_Configured_AreThoseThatCount()
    {
        var s = await server.ScenarioAsync();
        await s.AskAsync();

        await (await s.AskRawAsync()).RefusedAsync(HttpStatusCode.Forbidden, Names.Errors.AccessDenied, Names.Reasons.TooManyWaiting);
    }

    public Task InitializeAsync()
    {
        server.Settings["McpAuth:RateLimits:Asking:Waiting"] = "1";
        return server.InitializeAsync();
    }

    public Task DisposeAsync() => server.DisposeAsync();
}
