using McpAuth.Protocol;
using McpGuard.Sdk.Calls;

namespace McpGuard.Sdk.Http;

/// <summary>A request the guard let through, and what it let through.</summary>
/// <param name="Decision">Present, and allowing, for methods that are decided one by one.</param>
internal sealed record Admission(Caller Caller, McpMessage Message, string? Version, MethodKind Kind, CallDecision? Decision)
{
    private readonly Lock gate = new();
    private HandlerOutcome? ended;
    private bool began, answered, recorded;

    public bool Modern => Version == Names.Mcp.V20260728;

    /// <summary>The answer is a stream without an end of its own.</summary>
    public bool Listens => Message.Method == McpMethods.Listen;

    /// <summary>
    /// False when the request is over: that no handler ran may be on record by then, and the authority gone, so none may begin. False also when one began before: one
    /// decision is for one run.
    /// </summary>
    public bool HandlerBegan()
    {
        lock (gate)
        {
            if (answered || began) return false;
            return began = true;
        }
    }

    /// <summary>What is to be recorded now: nothing while the answer is still on its way, because it may be cut off.</summary>
    public HandlerOutcome? HandlerEnded(HandlerOutcome how)
    {
        lock (gate)
        {
            ended = how;
            return answered ? Once(how) : null;
        }
    }

    /// <summary>What is to be recorded now: nothing while the handler still runs.</summary>
    /// <param name="instead">What the answer came to, whatever the handler says; or why no handler ran.</param>
    public HandlerOutcome? Answered(HandlerOutcome? instead = null)
    {
        lock (gate)
        {
            answered = true;
            HandlerOutcome? how = instead ?? ended ?? (began ? null : new HandlerOutcome(false, "not_run"));
            return how is null ? null : Once(how);
        }
    }

    private HandlerOutcome? Once(HandlerOutcome how)
    {
        if (recorded) return null;
        recorded = true;
        return how;
    }
}
