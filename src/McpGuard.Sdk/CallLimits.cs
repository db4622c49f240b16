using McpAuth.Protocol;

namespace McpGuard.Sdk;

/// <summary>
/// How often, and with how much, this process lets its tools be called. Rates are counted in this process alone: several processes of one tool server each
/// allow as much. How often a task may call a tool in all is its budget (<c>max_calls</c>), which the authorization server counts.
/// </summary>
public sealed class CallLimits
{
    internal const int DefaultArguments = 1 << 20, DefaultResult = 8 << 20, SmallestResult = 1024;

    /// <summary>Of one governed agent, or of one client that acts for itself: calls of all tools, reads and prompts together. Null = no limit.</summary>
    public CallRate? PerAgent { get; set; }

    /// <summary>On behalf of one person, whichever agents and clients do it. Null = no limit.</summary>
    public CallRate? PerUser { get; set; }

    /// <summary>Of each tool, by everybody together. Null = no limit.</summary>
    public CallRate? PerTool { get; set; }

    /// <summary>The largest arguments of a call in their canonical form (RFC 8785), in bytes. A larger call is denied. Default 1 MiB, at most 4 MiB.</summary>
    public int ArgumentBytes { get; set; } = DefaultArguments;

    /// <summary>The largest answer, in bytes as it is sent, all events of it together. A larger one is cut off and answered as an error. Default 8 MiB.</summary>
    public long ResultBytes { get; set; } = DefaultResult;

    /// <summary>What is different for a tool, by its name.</summary>
    public IDictionary<string, ToolLimits> Tools { get; } = new Dictionary<string, ToolLimits>(StringComparer.Ordinal);

    internal int ArgumentsOf(string tool) => Tools.Count > 0 && Tools.TryGetValue(tool, out ToolLimits? own) && own.ArgumentBytes is { } bytes ? bytes : ArgumentBytes;

    /// <param name="tool">Null for what is no call of a tool.</param>
    internal long ResultOf(string? tool) => tool is not null && Tools.Count > 0 && Tools.TryGetValue(tool, out ToolLimits? own) && own.ResultBytes is { } bytes ? bytes : ResultBytes;

    internal void Validate(List<string> wrong)
    {
        Check("Limits", PerAgent, PerUser, PerTool, ArgumentBytes, ResultBytes);
        foreach ((string tool, ToolLimits own) in Tools)
        {
            if (own is null) wrong.Add($"Limits.Tools: '{tool}' has no limits.");
            else Check($"Limits.Tools: '{tool}'", own.PerAgent, own.PerUser, own.PerTool, own.ArgumentBytes, own.ResultBytes);
        }

        void Check(string where, CallRate? agent, CallRate? user, CallRate? all, int? arguments, long? result)
        {
            foreach (CallRate? rate in (CallRate?[])[agent, user, all])
                if (rate is { IsPossible: false }) wrong.Add($"{where}: a rate is 1 to {CallRate.Most} calls a minute, of which 1 to {CallRate.Most} at once.");
            if (arguments is < 1 or > Limits.GuardBody) wrong.Add($"{where}: {nameof(ArgumentBytes)} must be between 1 and {Limits.GuardBody}.");
            if (result is < SmallestResult) wrong.Add($"{where}: {nameof(ResultBytes)} must be at least {SmallestResult}.");
        }
    }
}

/// <summary>What is different for one tool; null = as everywhere.</summary>
public sealed class ToolLimits
{
    /// <summary>Calls of this tool by one agent, counted apart from its other calls.</summary>
    public CallRate? PerAgent { get; set; }

    /// <summary>Calls of this tool on behalf of one person, counted apart from the others.</summary>
    public CallRate? PerUser { get; set; }

    /// <summary>Calls of this tool by everybody together.</summary>
    public CallRate? PerTool { get; set; }

    /// <inheritdoc cref="CallLimits.ArgumentBytes"/>
    public int? ArgumentBytes { get; set; }

    /// <inheritdoc cref="CallLimits.ResultBytes"/>
    public long? ResultBytes { get; set; }
}

/// <summary>So many calls a minute, and of these so many at once. Within any time t there are never more than t × PerMinute + Burst.</summary>
public sealed record CallRate
{
    internal const int Most = 10_000_000;

    /// <param name="perMinute">How many a minute, steadily.</param>
    /// <param name="burst">How many at once after a pause; null = what ten seconds have, at least one.</param>
    public CallRate(int perMinute, int? burst = null) => (PerMinute, Burst) = (perMinute, burst ?? Math.Max(1, perMinute / 6));

    public int PerMinute { get; }
    public int Burst { get; }

    internal bool IsPossible => PerMinute is >= 1 and <= Most && Burst is >= 1 and <= Most;
}
