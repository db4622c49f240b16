using McpAuth.Protocol.Jose;
using McpAuth.Testing;
using static McpAuth.Client.Tests.AgentFixture;

namespace McpAuth.Client.Tests;

/// <summary>An instance lives as long as its session, also while nobody uses it.</summary>
public sealed class RenewalTests : IClassFixture<FakeServer>, IAsyncLifetime
{
    private readonly FakeServer server;
    private readonly SigningKey key = SigningKey.Create();
    private readonly ManualTime time = new();
    private int shown;
    private AgentSession session = null!;

    public RenewalTests(FakeServer server) => this.server = server;

    private int Attestations => server.To("/agents/instances").Count();

    public async Task InitializeAsync()
    {
        PrepareWorkload(server, key);
        server.Time = time;
        session = await AgentSession.AttestAsync(server.Issuer, WorkloadEvidence.Token(_ => ValueTask.FromResult(Evidence(++shown))), key, server.Options());
    }

    [Fact]
    public async Task Session_ThatNobodyUses_IsRenewedInTimeWithTheSameKeyAndNewEvidence()
    {
        time.Advance(TimeSpan.FromMinutes(39));
        Assert.Equal(1, Attestations);
        await PassUntil(time, () => Attestations == 2, 7 * 60);
        await PassUntil(time, () => session.BeginTask("p", Json(Details)).Wait(TimeSpan.FromSeconds(30)) && server.To("/tasks").Last().Authorization == "DPoP instance-2");
        Assert.Equal([Evidence(1), Evidence(2)], server.To("/agents/instances").Select(r => r.Field("assertion")));
        Assert.Single(server.To("/agents/instances").Select(r => r.Proof!.Thumbprint).Distinct());

        // And so on.
        time.Advance(TimeSpan.FromMinutes(38));
        await PassUntil(time, () => Attestations == 3, 8 * 60);
    }

    [Fact]
    public async Task Server_AwayWhenItIsTime_IsAskedWithPausesUntilItIsBack()
    {
        Func<Received, Answer> good = server.Answers["/agents/instances"];
        server.Answers["/agents/instances"] = _ => Answer.Error(503, "temporarily_unavailable");
        time.Advance(TimeSpan.FromMinutes(39));
        await PassUntil(time, () => Attestations > 1, 7 * 60);
        // Five minutes without it: pauses of five seconds to a minute, three attempts each.
        DateTimeOffset begin = time.GetUtcNow();
        await PassUntil(time, () => time.GetUtcNow() > begin.AddMinutes(5));
        Assert.InRange(Attestations, 1 + (2 * 3), 1 + (14 * 3));
        // What is left of the old token is good meanwhile.
        await session.BeginTask("p", Json(Details));
        Assert.Equal("DPoP instance-1", server.To("/tasks").Single().Authorization);

        server.Answers["/agents/instances"] = good;
        int before = Attestations;
        await PassUntil(time, () => Attestations > before);
        await PassUntil(time, () => session.BeginTask("p", Json(Details)).Wait(TimeSpan.FromSeconds(30)) && server.To("/tasks").Last().Authorization == "DPoP instance-2");
        before = Attestations;
        await Pass(time, TimeSpan.FromMinutes(10));
        Assert.Equal(before, Attestations);
    }

    [Fact]
    public async Task Evidence_RefusedAtRenewal_IsNotShownAgain_AndWhoUsesTheSessionAfterItsTokenIsToldWhy()
    {
        server.Answers["/agents/instances"] = _ => Answer.Error(400, "invalid_grant", "No agent is bound to this program.", "no_binding");
        time.Advance(TimeSpan.FromMinutes(39));
        await PassUntil(time, () => Attestations == 2, 7 * 60);
        await Pass(time, TimeSpan.FromMinutes(10));
        Assert.Equal(2, Attestations);
        await session.BeginTask("p", Json(Details));
        Assert.Equal(2, Attestations);
        time.Advance(TimeSpan.FromMinutes(20));
        OAuthErrorException e = await Assert.ThrowsAsync<OAuthErrorException>(() => session.BeginTask("p", Json(Details)));
        Assert.Equal("no_binding", e.Reason);
        Assert.Equal(3, Attestations);
    }

    [Fact]
    public async Task Evidence_TooOldAtRenewal_IsAskedForAnew()
    {
        Func<Received, Answer> good = server.Answers["/agents/instances"];
        server.Answers["/agents/instances"] = r => r.Field("assertion") == Evidence(2) ? Answer.Error(400, "invalid_grant", "Expired.", "expired") : good(r);
        time.Advance(TimeSpan.FromMinutes(39));
        await PassUntil(time, () => Attestations == 3, 9 * 60);
        Assert.Equal([Evidence(1), Evidence(2), Evidence(3)], server.To("/agents/instances").Select(r => r.Field("assertion")));
    }

    [Fact]
    public async Task Session_Disposed_IsNotRenewed()
    {
        await session.DisposeAsync();
        time.Advance(TimeSpan.FromHours(2));
        Assert.Equal(1, Attestations);
        Assert.Equal(0, time.Waiting);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => session.BeginTask("p", Json(Details)));
    }

    public async Task DisposeAsync()
    {
        await session.DisposeAsync();
        key.Dispose();
    }
}
