using System.Text.Json;
using System.Text.Json.Nodes;

namespace McpGuard.Gateway.Upstreams;

/// <summary>The progress of one request on its way to its caller: one after the other, and only forward (MCP progress).</summary>
internal sealed class ProgressOfOne(Func<JsonObject, ValueTask> caller)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly Lock gate = new();
    private Task sending = Task.CompletedTask;
    private double last = double.NegativeInfinity;

    /// <summary>Queues it; what is not further than the last one is left out.</summary>
    public void Tell(JsonObject told)
    {
        if (told["progress"] is not JsonValue value || value.GetValueKind() != JsonValueKind.Number || !value.TryGetValue(out double now)) return;
        lock (gate)
        {
            if (now <= last) return;
            last = now;
            sending = Send(sending, told);
        }
    }

    /// <summary>Before the answer goes out. A caller that takes none of it does not hold the answer up for long.</summary>
    public async Task Settled()
    {
        Task left;
        lock (gate) left = sending;
        await Task.WhenAny(left, Task.Delay(Patience));
    }

    private async Task Send(Task before, JsonObject told)
    {
        // Never on the thread that reads for all callers.
        await before.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ForceYielding);
        await caller(told);
    }
}
