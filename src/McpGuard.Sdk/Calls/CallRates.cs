using System.Collections.Frozen;
using McpAuth.Protocol;
using McpGuard.Sdk.Tokens;
using Microsoft.Extensions.Options;

namespace McpGuard.Sdk.Calls;

/// <summary>A call too many.</summary>
/// <param name="Reason">For the audit: whose rate it was.</param>
/// <param name="RetryAfter">Seconds, at least one.</param>
internal sealed record RateExceeded(string Reason, int RetryAfter);

/// <summary>Calls of agents, for users and of tools, each within its rate. What one limit refuses is put back into the others.</summary>
internal sealed class CallRates
{
    /// <summary>Callers of one rate that are remembered while they call.</summary>
    private const int Capacity = 100_000;

    private sealed record Rates(RateBuckets? Agent, RateBuckets? User, RateBuckets? Tool)
    {
        public bool Any => Agent is not null || User is not null || Tool is not null;
    }

    private readonly Rates everywhere;
    private readonly FrozenDictionary<string, Rates> byTool;
    private readonly TimeProvider time;
    private readonly long began;

    /// <exception cref="OptionsValidationException">Limits are given for a tool that is not here: they would limit nothing.</exception>
    public CallRates(IOptions<McpGuardOptions> options, ToolCatalogue catalogue, TimeProvider time)
    {
        CallLimits limits = options.Value.Limits;
        if (limits.Tools.Keys.FirstOrDefault(t => catalogue.Own(t) is null) is { } unknown)
            throw new OptionsValidationException(nameof(McpGuardOptions), typeof(McpGuardOptions), [$"{nameof(options.Value.Limits)}.{nameof(limits.Tools)}: there is no tool '{unknown}' here."]);
        (this.time, began) = (time, time.GetTimestamp());
        everywhere = new Rates(Of(limits.PerAgent), Of(limits.PerUser), Of(limits.PerTool));
        byTool = limits.Tools.ToFrozenDictionary(
            t => t.Key, t => new Rates(Of(t.Value.PerAgent) ?? everywhere.Agent, Of(t.Value.PerUser) ?? everywhere.User, Of(t.Value.PerTool) ?? everywhere.Tool), StringComparer.Ordinal);
    }

    /// <summary>Counts a call, unless it is one too many.</summary>
    /// <param name="tool">Null for what is no call of a tool: it counts for agent and user.</param>
    public RateExceeded? Refuse(ValidatedToken token, GuardedTool? tool)
    {
        Rates rates = tool is not null && byTool.TryGetValue(tool.Name, out Rates? own) ? own : everywhere;
        if (!rates.Any) return null;
        long now = time.GetElapsedTime(began).Ticks;
        // A shared client names its product, and its user is one of many: only who acts for itself is limited as an agent is.
        string? agent = rates.Agent is null ? null : token.Agent ?? (token.SubjectProfile == Names.Claims.ProfileClient ? token.Subject : null);
        string? user = rates.User is null || token.SubjectProfile != Names.Claims.ProfileUser ? null : token.Subject;
        string? called = rates.Tool is null ? null : tool?.Name;
        if (agent is not null && !rates.Agent!.Take(agent, now, out long wait)) return Exceeded("agent_rate", wait);
        if (user is not null && !rates.User!.Take(user, now, out wait))
        {
            if (agent is not null) rates.Agent!.Return(agent);
            return Exceeded("user_rate", wait);
        }
        if (called is not null && !rates.Tool!.Take(called, now, out wait))
        {
            if (agent is not null) rates.Agent!.Return(agent);
            if (user is not null) rates.User!.Return(user);
            return Exceeded("tool_rate", wait);
        }
        return null;
    }

    private static RateExceeded Exceeded(string reason, long wait) => new(reason, (int)Math.Max(1, (wait + TimeSpan.TicksPerSecond - 1) / TimeSpan.TicksPerSecond));

    private static RateBuckets? Of(CallRate? rate) => rate is null ? null : new RateBuckets(rate, Capacity);
}
