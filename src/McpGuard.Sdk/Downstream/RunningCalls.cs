using McpGuard.Sdk.Calls;
using McpGuard.Sdk.Http;

namespace McpGuard.Sdk.Downstream;

/// <summary>The decided call whose handler runs here, wherever the handler's own code asks.</summary>
internal sealed class RunningCalls
{
    private readonly AsyncLocal<RunningCall?> current = new();

    public RunningCall? Current => current.Value;

    /// <summary>For the handler that an asynchronous caller runs next: its end, and the caller's, end what is seen here.</summary>
    public RunningCall Enter(CallDecision decision) => current.Value = new RunningCall(decision);
}

/// <summary>One run of a handler; disposed when it is over.</summary>
internal sealed class RunningCall(CallDecision decision) : IDisposable
{
    private readonly HashSet<(string Resource, string? Jti)> told = [];
    private volatile bool over;

    public CallDecision Decision { get; } = decision;

    public PresentedToken Presented => Decision.Caller.Presented;

    /// <summary>What the handler left running has no call any more.</summary>
    public bool Over => over;

    /// <summary>True the first time: a record says once where a call went on to, and with which token.</summary>
    public bool Tell(string resource, string? jti)
    {
        lock (told) return told.Add((resource, jti));
    }

    public void Dispose() => over = true;
}
