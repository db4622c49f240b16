using System.Diagnostics;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;

namespace McpGuard.Sdk.Tests;

/// <summary>The server's signing key is in other hands: what it signed ends here within the bound, whatever a key set still says.</summary>
[Trait("Spec", "Invariant-6")]
public sealed class KeyRevocationTests : IAsyncLifetime
{
    private static readonly TimeSpan Bound = 5 * Limits.RevocationBound;

    private FakeAuthorizationServer server = null!;
    private ToolHost host = null!;

    public async Task InitializeAsync()
    {
        server = await FakeAuthorizationServer.StartAsync();
        server.Approve("echo", "read");
        server.Approve("wait", "read");
        host = await ToolHost.StartAsync(server);
    }

    public async Task DisposeAsync()
    {
        await host.DisposeAsync();
        await server.DisposeAsync();
    }

    [Fact]
    public async Task KeyRevoked_CachedAndForgedTokens_AreRefusedAndTheNewKeysAreTaken()
    {
        using SigningKey stolen = server.Key;
        string token = server.Token(new() { Jti = "at_cached" });
        Assert.Equal(200, await Call(token)); // primed: the token is cached as valid
        server.RevokeKey();
        await RefusedInTime(token);
        // The key set that came to verify the word no longer has the key, which for that moment is only unknown; once the word is applied, it is revoked.
        await RefusedUntilRecorded(token, e => e is { Jti: null, Reason: Names.Reasons.KeyRevoked } or { Jti: "at_cached", Reason: Names.Reasons.Revoked });

        // Whoever has the key makes new ones.
        Assert.Equal(401, await Call(server.Token(new() { By = stolen })));
        // With the word came the new key: no pause before an honest token is taken, and the feed was not given up for a key nobody knew.
        Assert.Equal(200, await Call(server.Token(new() { Jti = "at_honest" })));
        await server.Event(e => e.Jti == "at_honest");
        // The record is in order: what was refused before the honest call is the forged one.
        Assert.Equal(Names.Reasons.KeyRevoked, server.Events().TakeWhile(e => e.Jti != "at_honest").Last(e => e.Type == AuditTypes.CallRefused).Reason);
        Assert.DoesNotContain(host.Logged, line => line.Contains("feed cannot be applied", StringComparison.Ordinal));
        Assert.Equal(401, await Call(token));
        await host.Ready();
    }

    [Fact]
    [Trait("Attack", "143")]
    public async Task KeyRevoked_WhileACallRuns_EndsIt()
    {
        Task<Answer> running = host.CallTool("wait", "{}", server.Token(), Names.Mcp.V20260728);
        await host.Ran("wait");
        long revoked = Stopwatch.GetTimestamp();
        server.RevokeKey();
        Assert.Equal(401, (await running).Status);
        Assert.True(Stopwatch.GetElapsedTime(revoked) < Bound);
    }

    [Fact]
    public async Task KeyRevoked_KeySetStillShowsIt_IsRefusedAndAskedForAgainUntilItDoesNot()
    {
        string token = server.Token();
        Assert.Equal(200, await Call(token));
        server.StaleKey = server.Key;
        server.RevokeKey();
        // The word on it is under a key nobody shows yet; the snapshot of a stream opened again says it too.
        await RefusedInTime(token);
        for (int i = 0; i < 10; i++) Assert.Equal(401, await Call(server.Token(new() { By = server.StaleKey })));
        // Nothing is verified in between, and nobody is let in for it.
        Assert.NotEqual(200, await Call(server.Token()));
        await host.Ready(ready: false);

        server.StaleKey = null;
        // How soon it is asked for is held by IssuerKeysTests, where no machine is slow.
        long shown = Stopwatch.GetTimestamp();
        while (await Call(server.Token()) != 200) Assert.True(Stopwatch.GetElapsedTime(shown) < TimeSpan.FromSeconds(20), "The new key is not taken.");
        Assert.Equal(401, await Call(token));
        await host.Ready();
    }

    [Fact]
    public async Task KeyRevokedBeforeTheGuardStarted_IsNeverTrusted()
    {
        await using FakeAuthorizationServer own = await FakeAuthorizationServer.StartAsync();
        own.Approve("echo", "read");
        using SigningKey old = own.Key;
        own.Snapshot.Add(new Denied(RevocationEvents.SigningKey, Id.SigningKey + old.KeyId, DateTimeOffset.UtcNow.AddHours(1).ToUnixTimeMilliseconds()));
        own.Key = SigningKey.Create();
        own.StaleKey = old;
        await using ToolHost started = await ToolHost.StartAsync(own, wait: false);
        string token = own.Token(new() { By = old });
        for (int i = 0; i < 20; i++)
        {
            Assert.Contains((await started.CallTool("echo", """{"text":"a"}""", token)).Status, (int[])[401, 503]);
            await Task.Delay(50);
        }
        own.StaleKey = null;
        await started.Ready();
        Assert.Equal(401, (await started.CallTool("echo", """{"text":"a"}""", token)).Status);
        Assert.Equal(200, (await started.CallTool("echo", """{"text":"a"}""", own.Token())).Status);
    }

    [Fact]
    public async Task ClientNamedLikeAKey_Revoked_RevokesNoKey()
    {
        string token = server.Token(new() { Client = "other" });
        Assert.Equal(200, await Call(token));
        int fetched = server.KeyFetches;
        // Only the kind tells what is a key: the set of keys stays, and is not asked for.
        server.Revoke("key_of_nobody", "client");
        // The feed is applied in order: once this is refused, the other word was heard.
        server.Revoke("tsk_next");
        await RefusedInTime(server.Token(new() { Task = "tsk_next" }));
        Assert.Equal(200, await Call(token));
        Assert.Equal(fetched, server.KeyFetches);
    }

    private async Task RefusedInTime(string token)
    {
        long revoked = Stopwatch.GetTimestamp();
        while (await Call(token) != 401) Assert.True(Stopwatch.GetElapsedTime(revoked) < Bound, "Still allowed long after the bound.");
    }

    /// <summary>Calls, and is refused, until a refusal is on record that is like this.</summary>
    private async Task RefusedUntilRecorded(string token, Func<AuditEvent, bool> like)
    {
        for (int i = 0; i < 200; i++)
        {
            Assert.Equal(401, await Call(token));
            if (server.Events().Any(e => e.Type == AuditTypes.CallRefused && like(e))) return;
            await Task.Delay(50);
        }
        Assert.Fail("The refusals say only: " + string.Join(", ", server.Events().Select(e => e.Reason).Distinct()));
    }

    /// <summary>The status; 0 when the revocation met the call as its answer had begun, and ended it.</summary>
    private async Task<int> Call(string token)
    {
        try
        {
            return (await host.CallTool("echo", """{"text":"a"}""", token)).Status;
        }
        catch (HttpRequestException)
        {
            return 0;
        }
    }
}
