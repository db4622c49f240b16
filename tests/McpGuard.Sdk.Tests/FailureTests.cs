using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using McpAuth.Protocol;
using McpGuard.Sdk.Audit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace McpGuard.Sdk.Tests;

/// <summary>Whatever keeps calls from being decided or recorded denies them, and can be seen from outside: in the answer to a probe and in the metrics.</summary>
public sealed class FailureTests : IAsyncLifetime
{
    private FakeAuthorizationServer server = null!;

    public async Task InitializeAsync()
    {
        server = await FakeAuthorizationServer.StartAsync();
        server.Approve("echo", "read");
        server.Approve("refund", "write");
    }

    public async Task DisposeAsync() => await server.DisposeAsync();

    [Theory]
    [Trait("Attack", "145")]
    [Trait("Invariant", "4")]
    [InlineData("policy corrupt", "policy_corrupt", "decision guard_unavailable policy_corrupt")]
    [InlineData("policy gone", "policy_unavailable", "decision guard_unavailable policy_unavailable")]
    [InlineData("policy old", "policy_expired", "decision guard_unavailable policy_expired")]
    [InlineData("spool full", "audit_unavailable", "decision guard_unavailable not_recorded")]
    [InlineData("spool gone", "audit_unavailable", "decision guard_unavailable not_recorded")]
    [InlineData("clock behind", "clock_off", "refusal clock_off")]
    [InlineData("clock ahead", "clock_off", "refusal clock_off")]
    [InlineData("server gone", "revocations_stale", "decision guard_unavailable stale")]
    public async Task Failure_DeniesAndIsSeen_UntilItIsOver(string what, string problem, string counted)
    {
        await using ToolHost host = await ToolHost.StartAsync(server, services: what != "spool full" ? null : s => s.AddSingleton(p => new Spool(TimeProvider.System, p.GetRequiredService<ILogger<Spool>>(), limit: 20_000)));
        using var metrics = new Watched(host.Services);
        Assert.Null((await host.CallTool("refund", """{"order_id":"before"}""", Token)).Denial);
        Assert.Empty(metrics.Problems());

        Break(host, what, broken: true);
        await host.Ready(ready: false);
        Answer answer = await host.CallTool("refund", """{"order_id":"meanwhile"}""", Token);

        Assert.True(answer is { Status: 503 } or { Denial: "guard_unavailable" }, answer.Body);
        Assert.DoesNotContain(host.Runs.All, run => run.StartsWith("refund meanwhile", StringComparison.Ordinal));
        using HttpResponseMessage ready = await host.Http.GetAsync(host.Url(Names.Paths.HealthReady));
        Assert.Contains(problem, await ready.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Contains(problem, metrics.Problems());
        Assert.Contains(counted, metrics.Counted);
        if (what == "spool gone") return; // for good: a disk that came back is the spool's own test

        Break(host, what, broken: false);
        await host.Ready();
        Assert.Empty(metrics.Problems());
        Assert.Null((await host.CallTool("refund", """{"order_id":"after"}""", Token)).Denial);
    }

    [Fact]
    public async Task Policies_ThatNeverCame_DenyAndAreSeen()
    {
        server.PolicyDown = true;
        await using ToolHost host = await ToolHost.StartAsync(server, wait: false);
        using var metrics = new Watched(host.Services);
        for (int i = 0; i < 400 && !metrics.Problems().Contains("policy_missing"); i++) await Task.Delay(25);
        Assert.Equal("guard_unavailable", (await host.CallTool("echo", """{"text":"x"}""", server.Token())).Denial);
        using HttpResponseMessage ready = await host.Http.GetAsync(host.Url(Names.Paths.HealthReady));
        Assert.Contains("policy_missing", await ready.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Contains("decision guard_unavailable policy_missing", metrics.Counted);
    }

    /// <summary>The guard is ready; that nobody said no is seen by the reason.</summary>
    [Theory]
    [InlineData("policy", "decision policy_denied policy_timeout")]
    [InlineData("point", "decision policy_denied pdp_timeout")]
    [Trait("Invariant", "4")]
    public async Task Decision_ThatTakesTooLong_IsADenialThatIsSeen(string whose, string counted)
    {
        await using FakeDecisionPoint point = await FakeDecisionPoint.StartAsync();
        point.Answer = (context, _) => Task.Delay(TimeSpan.FromSeconds(30), context.RequestAborted);
        await using ToolHost host = await ToolHost.StartAsync(server, o =>
        {
            if (whose == "policy") o.Policy = new Slow();
            else o.DecisionPoints.Add(new AuthZenDecisionPoint("slow", point.Endpoint) { Timeout = TimeSpan.FromMilliseconds(200) });
        });
        using var metrics = new Watched(host.Services);
        Assert.Equal("policy_denied", (await host.CallTool("echo", """{"text":"slow"}""", server.Token())).Denial);
        Assert.DoesNotContain(host.Runs.All, run => run.Contains("slow", StringComparison.Ordinal));
        Assert.Contains(counted, metrics.Counted);
        Assert.Empty(metrics.Problems());
    }

    private sealed class Slow : CallPolicy
    {
        public override async ValueTask<PolicyVerdict> Decide(CallContext call, CancellationToken cancellationToken)
        {
            await Task.Delay(TimeSpan.FromSeconds(30), cancellationToken);
            return PolicyVerdict.Allow();
        }
    }

    [Fact]
    public async Task Metrics_TellWhatWasDecidedHowLongItTookAndHowItEnded()
    {
        await using ToolHost host = await ToolHost.StartAsync(server);
        using var metrics = new Watched(host.Services);
        await host.CallTool("echo", """{"text":"x"}""", server.Token());
        await host.CallTool("refund", """{"order_id":"x"}""", server.Token());
        await host.CallTool("echo", """{"text":"x"}""", "nonsense");
        Assert.Equal(["decision allow echo", "decision not_in_task", "outcome echo success", "refusal malformed"], metrics.Counted.Order(StringComparer.Ordinal).Select(Told));
        Assert.Equal(2, metrics.Durations.Count);
        Assert.All(metrics.Durations, seconds => Assert.InRange(seconds, double.Epsilon, 30));
        Assert.InRange(metrics.Gauge("mcpguard.revocations.age"), 0, Limits.GuardStale.TotalSeconds);
        Assert.InRange(metrics.Gauge("mcpguard.spool.size"), 1, 1 << 20);

        // The caller's own words stand nowhere.
        static string Told(string counted) => counted.StartsWith("refusal", StringComparison.Ordinal) ? "refusal malformed" : counted;
    }

    private string Token => server.Token(new() { Scope = "tool:refund" });

    private void Break(ToolHost host, string what, bool broken)
    {
        switch (what)
        {
            case "policy corrupt":
                server.SpoilPolicy = broken ? _ => server.Release(99, 99, typ: "JWT") : null;
                server.Changed();
                break;
            case "policy gone":
                server.SpoilPolicy = broken ? _ => server.Release(99, 0) : null;
                server.Changed();
                break;
            case "policy old":
                server.PolicyLife = broken ? -Limits.ClockSkew - TimeSpan.FromSeconds(5) : TimeSpan.FromHours(24);
                server.Changed();
                break;
            case "spool full":
                server.AuditRefused = broken;
                Spool spool = host.Services.GetRequiredService<Spool>();
                while (broken && spool.Healthy) spool.Append(new GuardEvent { Id = "evt_x", Time = 1, Type = "x", Outcome = "success" }, Durability.Written).AsTask().Wait();
                break;
            case "spool gone": host.Services.GetRequiredService<Spool>().Dispose(); break;
            case "clock behind": server.Ahead = broken ? Limits.ClockSkew + TimeSpan.FromSeconds(5) : TimeSpan.Zero; break;
            case "clock ahead": server.Ahead = broken ? -Limits.ClockSkew - TimeSpan.FromSeconds(5) : TimeSpan.Zero; break;
            default: server.Down = broken; break;
        }
    }

    /// <summary>The meter of one host, as any collector sees it.</summary>
    private sealed class Watched : IDisposable
    {
        private readonly MeterListener listener = new();
        private readonly ConcurrentDictionary<string, double> gauges = new();
        private readonly ConcurrentBag<string> problems = [];

        public Watched(IServiceProvider services)
        {
            var factory = services.GetRequiredService<IMeterFactory>();
            listener.InstrumentPublished = (instrument, l) =>
            {
                if (instrument.Meter.Name == McpGuardMetrics.Meter && ReferenceEquals(instrument.Meter.Scope, factory)) l.EnableMeasurementEvents(instrument);
            };
            listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Take(instrument, value, tags.ToArray()));
            listener.SetMeasurementEventCallback<int>((instrument, value, tags, _) => Take(instrument, value, tags.ToArray()));
            listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Take(instrument, value, tags.ToArray()));
            listener.Start();
        }

        public ConcurrentQueue<string> Counted { get; } = new();
        public ConcurrentQueue<double> Durations { get; } = new();

        public string[] Problems()
        {
            problems.Clear();
            listener.RecordObservableInstruments();
            return [.. problems];
        }

        public double Gauge(string name)
        {
            listener.RecordObservableInstruments();
            return gauges[name];
        }

        private void Take(Instrument instrument, double value, KeyValuePair<string, object?>[] tags)
        {
            Assert.Equal(1, instrument.Meter.Tags!.Count(t => t.Key == "mcpguard.resource"));
            string? Tag(string name) => (string?)tags.FirstOrDefault(t => t.Key == name).Value;
            switch (instrument.Name)
            {
                case "mcpguard.decisions":
                    Counted.Enqueue(Tag("decision") == "allow" ? $"decision allow {Tag("tool")}" : $"decision {Tag("code")} {Tag("reason")}".TrimEnd());
                    break;
                case "mcpguard.outcomes": Counted.Enqueue($"outcome {Tag("tool")} {Tag("outcome")}"); break;
                case "mcpguard.refusals": Counted.Enqueue($"refusal {Tag("reason")}"); break;
                case "mcpguard.decision.duration": Durations.Enqueue(value); break;
                case "mcpguard.problems": problems.Add(Tag("problem")!); break;
                default: gauges[instrument.Name] = value; break;
            }
        }

        public void Dispose() => listener.Dispose();
    }
}
