using System.Globalization;
using System.Security.Cryptography;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Exchange.Trees;

/// <summary>
/// Random trees of exchanges. No token anywhere exceeds its parent, its task, a ceiling, an edge or what a person allowed, nor outlives what it stands on; and
/// whatever is below something that ended is inactive at once.
/// </summary>
public sealed class ExchangeTreeTests
{
    /// <summary>Kinds of exchange, and the least share that must be granted of each for the walk to say something.</summary>
    private static readonly (string Kind, double Share)[] Kinds =
        [("delegation", 0.4), ("own", 0.4), ("continuation", 0.3), ("hand-off", 0.12), ("downstream", 0.06), ("refresh", 0.2)];

    [Fact]
    [Trait("Invariant", "2"), Trait("Invariant", "3")]
    public Task Exchange_RandomTrees_NoTokenExceedsWhatItComesFromOrOutlivesIt() => WalkAsync(worlds: 3, steps: 220);

    /// <summary>Many more of them, for the suite of long tests.</summary>
    [Fact]
    [Trait("Suite", "soak")]
    public Task Exchange_ManyRandomTrees_NoTokenExceedsWhatItComesFromOrOutlivesIt() =>
        Environment.GetEnvironmentVariable("MCPAUTH_SOAK") == "1" ? WalkAsync(worlds: 60, steps: 500) : WalkAsync(worlds: 1, steps: 120);

    /// <param name="worlds">More are walked, up to three times as many, until enough of every kind was granted: chance alone fails no test.</param>
    private static async Task WalkAsync(int worlds, int steps)
    {
        var counts = new Dictionary<string, (int Tried, int Granted)>();
        var (deepest, looked) = (0, 0);
        var missing = "";
        for (var i = 0; i < worlds || (missing.Length > 0 && i < 3 * worlds); i++)
        {
            var seed = int.TryParse(Environment.GetEnvironmentVariable("MCPAUTH_TREE_SEED"), CultureInfo.InvariantCulture, out var given) ? given : RandomNumberGenerator.GetInt32(int.MaxValue);
            var server = new TestServer();
            await server.InitializeAsync();
            try
            {
                var walk = await TreeWalk.RunAsync(server, seed, steps);
                foreach (var (kind, (tried, granted)) in walk.Counts)
                    counts[kind] = counts.GetValueOrDefault(kind) is var so ? (so.Tried + tried, so.Granted + granted) : default;
                (deepest, looked) = (Math.Max(deepest, walk.Deepest), looked + walk.Looked);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"seed {seed.ToString(CultureInfo.InvariantCulture)} (again with MCPAUTH_TREE_SEED): {e.Message}", e);
            }
            finally
            {
                await server.DisposeAsync();
            }
            missing = worlds * steps < 600 ? "" : Missing(counts, deepest, looked);
        }
        Assert.True(missing.Length == 0, $"{missing}: {string.Join(", ", counts.Select(c => $"{c.Key} {c.Value.Granted}/{c.Value.Tried}"))}, chains of {deepest}, {looked} looks");
    }

    /// <summary>What the walks had too little of to be worth something: of every kind enough is to be granted, and enough refused. Empty: nothing.</summary>
    private static string Missing(Dictionary<string, (int Tried, int Granted)> counts, int deepest, int looked)
    {
        if (counts.Values.Sum(c => c.Granted) < 100 || counts.Values.Sum(c => c.Tried - c.Granted) < 30 || deepest < 3 || looked <= 500)
            return "all";
        foreach (var (kind, share) in Kinds)
            if (!counts.TryGetValue(kind, out var count) || count.Granted < 3 || count.Granted < share * count.Tried)
                return kind;
        return "";
    }
}
