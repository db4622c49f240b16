using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Testing;
using McpAuthServer.Keys;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Harness;
using McpAuthServer.Tests.Storage;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Keys;

/// <summary>The life of signing keys on schedule.</summary>
public abstract class KeyRotationSuite : KeySuite
{
    [SuiteFact]
    [Trait("Attack", "5")]
    [Trait("Spec", "RFC7517-4.5")]
    public async Task Rotation_OnSchedule_PublishesThenSignsThenRemoves()
    {
        var first = Server.Signer();
        Assert.Equal([first], await Server.PublishedAsync());

        await Server.TurnAsync(Begun + Rotation - Ahead - TimeSpan.FromSeconds(1));
        Assert.Equal([first], await Server.PublishedAsync());

        // Published, and does not sign.
        await Server.TurnAsync(Begun + Rotation - Ahead);
        var next = Assert.Single((await Server.PublishedAsync()).Except([first]));
        Assert.Equal(first, Server.Signer());
        await Server.TurnAsync(Begun + Rotation - TimeSpan.FromSeconds(1));
        Assert.Equal(first, Server.Signer());

        // Signs; the one before still verifies what it signed, and cannot sign any more.
        var s = await Server.ScenarioAsync();
        await s.Agent.AttestAsync();
        Assert.Equal(first, KeyedServer.KeyId(s.Agent.InstanceToken));
        await Server.TurnAsync(Begun + Rotation);
        Assert.Equal(next, Server.Signer());
        Assert.Equal([next, first], await Server.PublishedAsync());
        var task = await s.Agent.BeginTaskAsync("read_file");
        Assert.Equal(next, KeyedServer.KeyId((await s.Agent.TaskTokenAsync(task, "read_file")).AccessToken));
        Assert.Equal(1, await Server.ScalarAsync("select count(*) from signing_keys where private_wrapped is not null"));

        // The longest-lived token is an instance's; only when it cannot live any more is its key gone.
        Server.Time.Set(Begun + Rotation + Limits.Instance - TimeSpan.FromSeconds(2));
        await Server.Keys().TurnAsync(default);
        await s.Agent.BeginTaskAsync("read_file");
        await Server.TurnAsync(Begun + Rotation + SigningKeys.Retention - TimeSpan.FromSeconds(1));
        Assert.Equal([next, first], await Server.PublishedAsync());
        await Server.TurnAsync(Begun + Rotation + SigningKeys.Retention);
        Assert.Equal([next], await Server.PublishedAsync());

        Assert.Equal(
            [(AuditTypes.KeyCreated, first), (AuditTypes.KeyCreated, next), (AuditTypes.KeyActivated, next), (AuditTypes.KeyRetired, first), (AuditTypes.KeyRemoved, first)],
            await Server.KeyEventsAsync());
        Assert.Equal((1, 1), (await Server.ScalarAsync("select count(*) from signing_keys where state = 'active'"), await Server.ScalarAsync("select count(*) from signing_keys where state = 'past'")));
    }

    [SuiteFact]
    public async Task Rotation_DecidedByEveryoneAtOnce_HappensOnce()
    {
        TestServer[] all = OnPostgres ? [Server, await Nodes.StartAsync(Begun)] : [Server];
        foreach (var (due, published) in new[] { (Begun + Rotation - Ahead, 2), (Begun + Rotation, 2), (Begun + Rotation + SigningKeys.Retention, 1) })
        {
            foreach (var node in all)
                node.Time.Set(due);
            await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(() => all[i % all.Length].Keys().TurnAsync(default))));
            foreach (var node in all)
                Assert.Equal(published, (await node.PublishedAsync()).Length);
        }

        Assert.Single(all.Select(node => node.Signer()).Distinct());
        Assert.Equal(
            [AuditTypes.KeyCreated, AuditTypes.KeyCreated, AuditTypes.KeyActivated, AuditTypes.KeyRetired, AuditTypes.KeyRemoved],
            (await Server.KeyEventsAsync()).Select(e => e.Type));
    }
}

/// <summary>What does not depend on the database's kind.</summary>
public sealed class KeyRotationTests : KeySuite
{
    private protected override bool OnPostgres => false;

    [Fact]
    public async Task Rotation_NodeThatWasDown_PublishesAndWaitsBeforeItSigns()
    {
        var first = Server.Signer();
        var back = Begun + 3 * Rotation;
        await RestartAsync(back);

        // The hosted service does it by itself, at start and as its clock goes on.
        await KeyedServer.UntilAsync(() => Server.InMemory().Next is not null);
        Assert.Equal((first, back + Ahead), (Server.Signer(), Server.InMemory().Next!.From));
        var next = Server.InMemory().Next!.Key.KeyId;

        // Down again, past the activation and the removal that would have followed: first the one, and the other when its time is over.
        await RestartAsync(back + Rotation);
        await KeyedServer.UntilAsync(() => Server.Signer() == next);
        Assert.Equal([next, first], await Server.PublishedAsync());
        Server.Time.Set(Server.Time.GetUtcNow() + SigningKeys.Retention);
        Server.Time.Advance(TimeSpan.FromMinutes(1));
        await KeyedServer.UntilAsync(() => Server.InMemory().Retired.Count == 0);
        Assert.Equal([next], await Server.PublishedAsync());
    }

    [Fact]
    [Trait("Attack", "5")]
    public async Task Rotation_AlgorithmConfiguredAnew_IsTheNextKeys()
    {
        var s = await Server.ScenarioAsync();
        await s.Agent.AttestAsync();
        Server.Services.GetRequiredService<ServerOptions>().SigningAlgorithm = "RS256";

        var from = (await Server.Keys().RotateAsync(default)).Next!.From;
        Assert.Equal(["ES256", "RS256"], await AlgorithmsAsync());
        Assert.Equal("ES256", Server.InMemory().Active.Algorithm);
        // A token of the last moment, by the old one, and one by the new.
        Server.Time.Set(from);
        await s.Agent.AttestAsync();
        await Server.TurnAsync(from);
        Assert.Equal(["RS256", "ES256"], await AlgorithmsAsync());
        var (old, task) = (s.Agent.InstanceToken, await s.Agent.BeginTaskAsync("read_file"));
        await s.Agent.AttestAsync();

        Assert.Equal(("ES256", "RS256"), (Algorithm(old), Algorithm(s.Agent.InstanceToken)));
        Assert.Equal("RS256", Algorithm((await s.Agent.TaskTokenAsync(task, "read_file")).AccessToken));

        async Task<IEnumerable<string?>> AlgorithmsAsync() => (await Server.KeySetAsync()).Select(k => k.GetProperty("alg").GetString());
        static string? Algorithm(string token) => KeyedServer.Header(token).GetProperty("alg").GetString();
    }

    [Fact]
    public async Task Rotation_AskedFor_PublishesNowAndSignsWhenEverybodyCanHaveTheKey()
    {
        var first = Server.Signer();
        Server.Time.Set(Begun + TimeSpan.FromDays(1));
        var next = (await Server.Keys().RotateAsync(default)).Next!;
        Assert.Equal((first, Begun + TimeSpan.FromDays(1) + Ahead), (Server.Signer(), next.From));

        // Asking again is no second key, and does not hasten the first.
        Assert.Equal(next.Key.KeyId, (await Server.Keys().RotateAsync(default)).Next!.Key.KeyId);
        Assert.Equal(first, Server.Signer());
        Server.Time.Set(next.From);
        Assert.Equal(next.Key.KeyId, (await Server.Keys().RotateAsync(default)).Active.KeyId);

        // The schedule counts from there.
        await Server.TurnAsync(next.From + Rotation - Ahead - TimeSpan.FromSeconds(1));
        Assert.Null(Server.InMemory().Next);
        await Server.TurnAsync(next.From + Rotation - Ahead);
        Assert.NotNull(Server.InMemory().Next);
    }

    [Fact]
    public async Task KeySet_BetweenChanges_IsTheSameDocument()
    {
        var made = Server.InMemory();
        await Server.Services.GetRequiredService<SigningKeyRing>().LookAsync(default);
        Assert.Same(made, Server.InMemory());
        await Server.Keys().RotateAsync(default);
        Assert.NotSame(made.KeySet, Server.InMemory().KeySet);
        // What was read before is not read again.
        Assert.Same(made.Active, Server.InMemory().Active);
    }

    [Fact]
    public async Task Key_UnderAnotherOnesId_IsRefused()
    {
        using SigningKey ours = SigningKey.Create(), theirs = SigningKey.Create();
        await PutAsync(theirs.KeyId, SigningKeyRow.Wrap(ours.Public, Server.Services.GetRequiredService<KeyEncryption>()));

        var refused = await Assert.ThrowsAsync<SigningKeyException>(() => Server.Services.GetRequiredService<SigningKeyRing>().LookAsync(default));
        Assert.Contains("another key's public part", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Key_PutIntoTheDatabaseByAnotherHand_IsNotTrusted()
    {
        using var theirs = SigningKey.Create();
        await PutAsync(theirs.KeyId, Encoding.UTF8.GetBytes(theirs.Public.Jwk.GetRawText()));

        await Assert.ThrowsAsync<SigningKeyException>(() => Server.Services.GetRequiredService<SigningKeyRing>().LookAsync(default));

        Assert.DoesNotContain(theirs.KeyId, await Server.PublishedAsync());
        using var ready = await Server.Client().GetAsync(Names.Paths.HealthReady);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        // A token under it makes the node look again, which fails: it is not taken, and it is no internal error.
        var s = await Server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var forged = TokenText.Forge(s.Agent.InstanceToken, header: h => h["kid"] = theirs.KeyId, sign: input => Forge.Es256(theirs, input));
        using var refused = await s.Agent.CallAsync(HttpMethod.Post, Names.Paths.Tasks, new JsonObject(), forged);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
    }

    /// <summary>A retired key, past the server.</summary>
    private Task<int> PutAsync(string kid, byte[] publicPart) => Server.Services.GetRequiredService<ICommitLog>().Commit(new LambdaUnit<int>(
        tx => tx.Run(new Sql("insert into signing_keys (kid, alg, state, created_at, public_jwk, public_wrapped) values (@kid, 'ES256', 'retired', 1, '{}', @public)").With(kid, publicPart))
            + tx.Run(new Sql("update signing_key_ring set version = version + 1").With()),
        StateLock.Exclusive));
}

public sealed class SqliteKeyRotationTests : KeyRotationSuite
{
    private protected override bool OnPostgres => false;
}

[NeedsPostgres]
public sealed class PostgresKeyRotationTests : KeyRotationSuite
{
    private protected override bool OnPostgres => true;
}
