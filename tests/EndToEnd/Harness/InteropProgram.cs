using System.Text.Json.Nodes;
using McpAuth.Testing;

namespace McpAuth.EndToEnd.Harness;

/// <summary>A program of <c>tests/interop</c> that runs: it tells what happens as one JSON object a line, <c>event</c> first.</summary>
public sealed class InteropProgram(string script, JsonObject plan) : IAsyncDisposable
{
    private readonly ChildProcess process = ChildProcess.Start(InteropClients.Node!, [Path.Combine(InteropClients.Folder, script), plan.ToJsonString()]);

    /// <summary>All that was told so far.</summary>
    public IReadOnlyList<JsonNode> Told => [.. process.Output.Where(l => l.StartsWith('{')).Select(l => JsonNode.Parse(l)!)];

    public IEnumerable<JsonNode> All(string name) => Told.Where(e => Name(e) == name);

    public JsonNode One(string name) => Assert.Single(All(name));

    /// <summary>Waits for the event that sends a person to an address.</summary>
    /// <param name="number">Which one of its name.</param>
    public async Task<string> AddressAsync(string name, int number = 1)
    {
        var seen = 0;
        string line = await process.WaitForLineAsync(l => l.StartsWith($$"""{"event":"{{name}}",""", StringComparison.Ordinal) && ++seen == number, Deployment.Patience);
        return JsonNode.Parse(line)!["url"]!.GetValue<string>();
    }

    /// <summary>Waits for its end, which must be a good one. The names of all events, in order.</summary>
    public async Task<IEnumerable<string>> EventsAsync()
    {
        Assert.True(await process.WaitForExitAsync(3 * Deployment.Patience) == 0, process.Text);
        return Told.Select(Name);
    }

    public ValueTask DisposeAsync() => process.DisposeAsync();

    private static string Name(JsonNode e) => e["event"]!.GetValue<string>();
}
