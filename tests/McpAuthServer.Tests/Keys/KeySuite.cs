using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuthServer.Keys;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Keys;

/// <summary>
/// Nodes of one installation whose signing keys change; a database for each test. Their clocks stand still and differ at will, so a node's poll is what
/// moves its clock.
/// </summary>
public abstract class KeySuite : IAsyncLifetime
{
    private protected static readonly TimeSpan Rotation = TimeSpan.FromDays(90), Ahead = TimeSpan.FromHours(24);

    private Nodes? nodes;

    private protected Nodes Nodes => nodes!;
    private protected TestServer Server { get; private set; } = null!;
    private protected DateTimeOffset Begun { get; private set; }

    private protected abstract bool OnPostgres { get; }

    public async Task InitializeAsync()
    {
        if (OnPostgres && McpAuth.Testing.PostgresBinaries.Requirement.Skip is not null)
            return;
        nodes = OnPostgres ? await Nodes.OnPostgresAsync() : Nodes.OnSqlite();
        Server = await nodes.StartAsync();
        Begun = Server.Time.GetUtcNow();
    }

    public async Task DisposeAsync()
    {
        if (nodes is not null)
            await nodes.DisposeAsync();
    }

    /// <summary>The node goes away and comes back, at this time and perhaps differently configured.</summary>
    private protected async Task RestartAsync(DateTimeOffset now, Action<Dictionary<string, string>>? configure = null)
    {
        await nodes!.StopAsync(Server);
        Server = await nodes.StartAsync(now, configure);
    }
}

internal static class KeyedServer
{
    public static SigningKeys Keys(this TestServer node) => node.Services.GetRequiredService<SigningKeys>();

    /// <summary>What the node has in memory, without a look at the database.</summary>
    public static ServerKeys InMemory(this TestServer node) => node.Services.GetRequiredService<SigningKeyRing>().Current;

    public static string Signer(this TestServer node) => node.InMemory().Active.KeyId;

    /// <summary>What the schedule does at this time of the wall clock; no timer runs on the way there.</summary>
    public static Task TurnAsync(this TestServer node, DateTimeOffset now)
    {
        node.Time.Set(now);
        return node.Keys().TurnAsync(default);
    }

    /// <summary>The published key set, which must hold public keys with distinct ids and nothing else, whenever it is read (attack 5).</summary>
    public static async Task<IReadOnlyList<JsonElement>> KeySetAsync(this TestServer node)
    {
        var set = JsonElement.Parse(await node.Client().GetStringAsync(Names.Paths.Jwks));
        var keys = set.GetProperty("keys").EnumerateArray().ToList();
        foreach (var key in keys)
        {
            string[] members = key.GetProperty("kty").GetString() == "EC" ? ["alg", "crv", "kid", "kty", "use", "x", "y"] : ["alg", "e", "kid", "kty", "n", "use"];
            Assert.Equal(members, key.EnumerateObject().Select(m => m.Name).Order(StringComparer.Ordinal));
        }
        Assert.Equal(keys.Count, keys.Select(Kid).Distinct().Count());
        Assert.Equal(keys.Count, VerificationKey.FromJwks(set).Value.Count);
        return keys;
    }

    public static async Task<string[]> PublishedAsync(this TestServer node) => [.. (await node.KeySetAsync()).Select(Kid)];

    public static async Task<IReadOnlyList<(string Type, string Kid)>> KeyEventsAsync(this TestServer node) =>
        [.. (await node.EventsAsync("type like 'key.%'")).Where(e => e.Data!["kid"] is not null && e.Data["kind"] is null).Select(e => (e.Type, e.Data!["kid"]!.GetValue<string>()))];

    public static JsonElement Header(string token) =>
        Base64Url.TryDecode(token.Split('.')[0], out var header) ? JsonElement.Parse(header) : throw new FormatException("Not a JWT.");

    public static string KeyId(string token) => Header(token).GetProperty("kid").GetString()!;

    public static async Task UntilAsync(Func<bool> condition)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (!condition())
            await Task.Delay(5, patience.Token);
    }

    private static string Kid(JsonElement key) => key.GetProperty("kid").GetString()!;
}
