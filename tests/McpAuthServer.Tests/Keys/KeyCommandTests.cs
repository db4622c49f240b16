using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Testing;
using Microsoft.Data.Sqlite;

namespace McpAuthServer.Tests.Keys;

/// <summary>What whoever runs the real program does about its keys, also while it runs.</summary>
public sealed class KeyCommandTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60), Seen = TimeSpan.FromMilliseconds(250);

    private readonly TempDirectory directory = new();
    private readonly string issuer = "http://127.0.0.1:" + FreePort.Next().ToString(CultureInfo.InvariantCulture);
    private readonly HttpClient http = new();

    public void Dispose()
    {
        http.Dispose();
        directory.Dispose();
    }

    [Fact]
    public async Task RotateAndRevoke_BesideARunningServer_AreSeenByIt()
    {
        await using var server = Start();
        await server.WaitForHealthAsync(Ready, Patience);
        var first = Assert.Single(await PublishedAsync());

        var rotated = await RunAsync(0, "--rotate-keys");
        var published = await UntilAsync(keys => keys.Length == 2);
        var next = Assert.Single(published, kid => kid != first);
        Assert.Contains($"{first} signs since", rotated, StringComparison.Ordinal);
        Assert.Contains($"{next} is published and signs from", rotated, StringComparison.Ordinal);
        Assert.Equal(first, await SignerAsync());

        // Both at once is one new key: the emergency has already rotated.
        var revoked = await RunAsync(0, "--revoke-key", first, "--rotate-keys");
        var fresh = Assert.Single(await UntilAsync(keys => keys.Length == 1));
        Assert.Contains($"{first} is revoked", revoked, StringComparison.Ordinal);
        Assert.Contains($"{fresh} signs since", revoked, StringComparison.Ordinal);
        Assert.DoesNotContain("is published and signs from", revoked, StringComparison.Ordinal);
        Assert.DoesNotContain(fresh, new[] { first, next });
        Assert.Equal(fresh, await SignerAsync());

        Assert.Contains("was revoked before", await RunAsync(0, "--revoke-key", first), StringComparison.Ordinal);
        Assert.Contains("there is no signing key 'kid-of-nobody'", await RunAsync(1, "--revoke-key", "kid-of-nobody"), StringComparison.Ordinal);
        Assert.Equal([fresh], await PublishedAsync());
        Assert.True(await server.StopAsync(Patience), server.Text);
    }

    [Fact]
    [Trait("Attack", "178")]
    public async Task Revoke_KeyForWhichTheServerDoesNotStart_ReplacesIt()
    {
        await RunAsync(0, "--rotate-keys");
        var damaged = Text("select kid from signing_keys where state = 'active'");
        Text("update signing_keys set private_wrapped = x'00' where state = 'active' returning kid");
        Assert.Contains("cannot be unwrapped", await RunAsync(1), StringComparison.Ordinal);

        await RunAsync(0, "--revoke-key", damaged);

        await using var server = Start();
        await server.WaitForHealthAsync(Ready, Patience);
        Assert.DoesNotContain(damaged, await PublishedAsync());
    }

    [Fact]
    [Trait("Attack", "178")]
    public async Task Start_NextOrRetiredKeyDamaged_IsRefused()
    {
        await RunAsync(0, "--rotate-keys");
        Text("update signing_keys set private_wrapped = x'00' where state = 'next' returning kid");
        Assert.Contains("cannot be unwrapped", await RunAsync(1), StringComparison.Ordinal);
        Text("update signing_keys set state = 'retired', ended_at = 1, private_wrapped = null, public_wrapped = x'00' where state = 'next' returning kid");
        Assert.Contains("cannot be unwrapped", await RunAsync(1), StringComparison.Ordinal);
    }

    private Uri Ready => new(issuer + Names.Paths.HealthReady);

    private ChildProcess Start(params string[] arguments) => ChildProcess.StartDll(
        Path.Combine(AppContext.BaseDirectory, "McpAuthServer.dll"), ["--McpAuth:DataDirectory=" + directory["data"], "--McpAuth:Issuer=" + issuer, .. arguments], directory: directory.Path);

    /// <returns>What it wrote.</returns>
    private async Task<string> RunAsync(int exit, params string[] arguments)
    {
        await using var process = Start(arguments);
        Assert.True(await process.WaitForExitAsync(Patience) == exit, process.Text);
        return process.Text;
    }

    private async Task<string[]> PublishedAsync() =>
        [.. JsonElement.Parse(await http.GetStringAsync(issuer + Names.Paths.Jwks)).GetProperty("keys").EnumerateArray().Select(k => k.GetProperty("kid").GetString()!)];

    /// <summary>The running server has seen what another process did, at five times the promised time at the latest.</summary>
    private async Task<string[]> UntilAsync(Func<string[], bool> seen)
    {
        var since = Stopwatch.GetTimestamp();
        while (true)
        {
            var elapsed = Stopwatch.GetElapsedTime(since);
            var keys = await PublishedAsync();
            if (seen(keys))
                return keys;
            Assert.True(elapsed < 5 * Seen, string.Join(' ', keys));
            await Task.Delay(20);
        }
    }

    private async Task<string?> SignerAsync() => JsonElement.Parse(await http.GetStringAsync(Ready)).GetProperty("signing_key").GetString();

    private string Text(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={directory["data/mcpauth.db"]};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return (string)command.ExecuteScalar()!;
    }
}
