using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Keys;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Consents;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Keys;

/// <summary>Emergency: a signing key is in other hands.</summary>
public abstract class KeyRevocationSuite : KeySuite
{
    private static readonly JwtRules SetRules = new("SET", [Names.Types.SecurityEvent], TypeRequired: true, ["ES256"]);

    [SuiteFact]
    [Trait("Spec", "Invariant-6")]
    public async Task Revoke_TheKeyThatSigns_NothingItSignedIsTakenAnywhere()
    {
        var s = await Server.ScenarioAsync(o => o.FurtherAgents = 1);
        var guard = await TestGuard.OfAsync(s);
        foreach (var agent in s.Agents)
            await agent.AttestAsync();
        var task = await s.Agent.BeginTaskAsync("read_file");
        var token = await s.Agent.TaskTokenAsync(task, "read_file");
        Assert.True(await guard.IsActiveAsync(token.AccessToken));
        var (old, mark) = (Server.Signer(), await Server.MarkAsync());

        Assert.Equal(KeyRevocation.Replaced, await Server.Keys().RevokeAsync(old));
        await PollAsync(Server);

        // As credentials at the server's own interfaces, with the reason on record.
        await (await s.Agent.BeginTaskRawAsync(s.Details(["read_file"]))).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, Names.Reasons.KeyRevoked);
        await (await guard.CallAsync(Names.Paths.GuardStreams, null)).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, Names.Reasons.KeyRevoked);
        await (await guard.IntrospectRawAsync(token.AccessToken)).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, Names.Reasons.KeyRevoked);
        // As subject and as actor of an exchange.
        await (await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm())).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.KeyRevoked);
        await (await s.Agents[1].TakeOverRawAsync(token.AccessToken)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.KeyRevoked);
        // Introspection by a guard that has renewed its own calls it inactive.
        await guard.AuthenticateAsync();
        Assert.False(await guard.IsActiveAsync(token.AccessToken));
        // Whoever has the key makes tokens that nobody issued.
        var forged = TokenText.Forge(token.AccessToken, claims: c => c["jti"] = Id.New(Id.AccessToken, Server.Time.GetUtcNow()));
        Assert.False(await guard.IsActiveAsync(forged));

        var events = await Server.SinceAsync(mark);
        var revoked = Assert.Single(events, e => e.Type == AuditTypes.KeyRevoked);
        Assert.Equal((old, "active", true, KeyOccasion.Operator), (revoked.Data!["kid"]!.GetValue<string>(), revoked.Data["was"]!.GetValue<string>(),
            revoked.Data["emergency"]!.GetValue<bool>(), revoked.Data["by"]!.GetValue<string>()));
        Assert.Equal([AuditTypes.KeyRevoked, AuditTypes.KeyCreated, AuditTypes.KeyActivated], events.Where(e => e.Type.StartsWith("key.", StringComparison.Ordinal)).Select(e => e.Type));
        Assert.Equal(5, events.Count(e => e is { Outcome: "refused", Reason: Names.Reasons.KeyRevoked }));

        // What is not signed goes on: the instance, its task, and everybody with a new token.
        Assert.NotEqual(old, Server.Signer());
        Assert.Equal([Server.Signer()], await Server.PublishedAsync());
        var instance = s.Agent.Instance;
        await s.Agent.AttestAsync();
        Assert.Equal(instance, s.Agent.Instance);
        var renewed = await s.Agent.TaskTokenAsync(task, "read_file");
        Assert.Equal(Server.Signer(), KeyedServer.KeyId(renewed.AccessToken));
        Assert.True(await guard.IsActiveAsync(renewed.AccessToken));
    }

    [SuiteFact]
    public async Task Revoke_ConsentRefreshTokensAndCodes_Survive()
    {
        var s = await Server.ScenarioAsync();
        var person = new PersonFlow(s);
        var signedIn = await person.TokenAsync();
        var code = await person.CodeAsync(s.AuthorizeQuery());

        await Server.Keys().RevokeAsync(Server.Signer());
        await PollAsync(Server);

        Assert.Equal(Server.Signer(), KeyedServer.KeyId((await person.RefreshAsync(signedIn.RefreshToken!)).AccessToken));
        Assert.Equal(Server.Signer(), KeyedServer.KeyId((await person.RedeemAsync(code)).AccessToken));
    }

    [SuiteFact]
    public async Task Revoke_TheKeyThatSigns_IsToldToGuardsUnderTheNewOne()
    {
        var s = await Server.ScenarioAsync();
        var guard = await TestGuard.OfAsync(s);
        var stream = await guard.OpenStreamAsync();
        var old = Server.Signer();
        await Server.Keys().RotateAsync(default);
        var beside = Server.InMemory().Next!.Key.KeyId;

        await Server.Keys().RevokeAsync(old);
        // The node has not polled, and still takes the guard's token; but what tells of a key is not signed by it.
        Assert.Equal(old, Server.Signer());
        var answer = await guard.PollAsync(stream.Stream, stream.Cursor);

        var keys = VerificationKey.FromJwks(System.Text.Json.JsonElement.Parse(await Server.Client().GetStringAsync(Names.Paths.Jwks))).Value;
        var told = answer.Seq.OrderBy(p => p.Value).Select(p => StrictJwt.Read(answer.Sets[p.Key], SetRules).Value).ToList();
        Assert.All(told, set => Assert.True(Assert.Single(keys).Verify(set)));
        Assert.Equal([Id.SigningKey + old, Id.SigningKey + beside], told.Select(set => set.Payload.GetProperty("sub_id").GetProperty("id").GetString()));
        var e = Assert.Single(told[0].Payload.GetProperty("events").EnumerateObject());
        Assert.Equal((RevocationEvents.Revoked, "key", Names.Reasons.KeyRevoked), (e.Name, e.Value.GetProperty("kind").GetString(), e.Value.GetProperty("reason").GetString()));

        // A guard may go on with a key set for an hour, which a cache had kept before; one that comes back in that time must hear of it.
        Server.Time.Set(Server.Time.GetUtcNow() + Limits.KeySetLimit + Limits.KeySetAge);
        await guard.AuthenticateAsync();
        Assert.Equal(
            [(RevocationEvents.SigningKey, Id.SigningKey + beside), (RevocationEvents.SigningKey, Id.SigningKey + old)],
            (await guard.OpenStreamAsync()).Snapshot.Where(d => d.Kind == "key").OrderBy(d => d.Id == Id.SigningKey + old).Select(d => (d.Kind, d.Id)));
    }

    [SuiteFact]
    public async Task Revoke_KeyThatDoesNotSign_LeavesTheOneThatDoes()
    {
        var first = Server.Signer();
        var next = (await Server.Keys().RotateAsync(default)).Next!;
        Assert.Equal(KeyRevocation.Done, await Server.Keys().RevokeAsync(next.Key.KeyId));
        await PollAsync(Server);
        Assert.Equal([first], await Server.PublishedAsync());

        var second = (await Server.Keys().RotateAsync(default)).Next!;
        await Server.TurnAsync(second.From);
        var s = await Server.ScenarioAsync();
        Assert.Equal([second.Key.KeyId, first], await Server.PublishedAsync());
        Assert.Equal(KeyRevocation.Done, await Server.Keys().RevokeAsync(first));
        await PollAsync(Server);
        Assert.Equal([second.Key.KeyId], await Server.PublishedAsync());
        Assert.Equal(second.Key.KeyId, Server.Signer());

        // Nothing brings a revoked key back, and revoking twice is once.
        var mark = await Server.NowAsync();
        Assert.Equal(KeyRevocation.Already, await Server.Keys().RevokeAsync(first));
        Assert.Empty(await Server.SinceAsync(mark));
        Assert.Equal(KeyRevocation.Unknown, await Server.Keys().RevokeAsync("no-such-key"));
        var refused = Assert.Single(await Server.SinceAsync(mark));
        Assert.Equal((AuditTypes.KeyRevoked, "refused", "unknown_key"), (refused.Type, refused.Outcome, refused.Reason));
        Assert.Equal(0, await Server.ScalarAsync("select count(*) from signing_keys where state = 'revoked' and (private_wrapped is not null or public_wrapped is not null)"));
        Assert.Equal(2, await Server.ScalarAsync("select count(*) from revocations where kind = 'key'"));
        Assert.NotNull(s);
    }

    [SuiteFact]
    public async Task Revoke_TheSameKeyByManyAtOnce_MakesOneNewKey()
    {
        var old = Server.Signer();
        var found = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => Server.Keys().RevokeAsync(old))));

        Assert.Single(found, KeyRevocation.Replaced);
        Assert.Equal(7, found.Count(f => f == KeyRevocation.Already));
        Assert.Equal(2, await Server.ScalarAsync("select count(*) from signing_keys"));
        Assert.Equal(1, await Server.ScalarAsync("select count(*) from signing_keys where state = 'active'"));
    }

    [SuiteFact]
    [Trait("Attack", "92")]
    public async Task Keys_ThatSignNoMore_HaveNoPrivatePartInTheDatabase()
    {
        using var encryption = new KeyEncryption(new byte[32]);
        var first = Server.Signer();
        var second = (await Server.Keys().RotateAsync(default)).Next!;
        await Server.TurnAsync(second.From);
        await Server.Keys().RevokeAsync(second.Key.KeyId);

        var rows = await Server.Services.GetRequiredService<IReadStore>().All(
            new Sql("select kid, private_wrapped, state, public_jwk from signing_keys order by created_at").With(),
            r => (Kid: r.GetString(0), Wrapped: r.IsDBNull(1) ? null : r.GetFieldValue<byte[]>(1), State: r.GetString(2), Jwk: r.GetString(3)), default);
        Assert.Equal([(first, "retired"), (second.Key.KeyId, "revoked")], rows.Take(2).Select(r => (r.Kid, r.State)));
        Assert.All(rows.Take(2), r => Assert.Null(r.Wrapped));
        Assert.NotNull(rows[2].Wrapped);
        Assert.All(rows, r => Assert.DoesNotContain("\"d\"", r.Jwk, StringComparison.Ordinal));
    }

    /// <summary>What a node's poll does within 250 ms: its clock goes on.</summary>
    private protected static async Task PollAsync(TestServer node)
    {
        var before = node.InMemory();
        node.Time.Advance(SigningKeyRing.Poll);
        await KeyedServer.UntilAsync(() => !ReferenceEquals(node.InMemory(), before));
    }
}

public sealed class SqliteKeyRevocationTests : KeyRevocationSuite
{
    private protected override bool OnPostgres => false;

    [Fact]
    public async Task Ready_NamesTheKeyThatSigns()
    {
        async Task<string?> ReadyAsync() => JsonNode.Parse(await Server.Client().GetStringAsync(Names.Paths.HealthReady))!["signing_key"]!.GetValue<string>();
        var old = Server.Signer();
        Assert.Equal(old, await ReadyAsync());
        await Server.Keys().RevokeAsync(old);
        Assert.NotEqual(old, await ReadyAsync());
        Assert.Equal(Server.Signer(), await ReadyAsync());
    }
}

/// <summary>Two nodes on one database, whose clocks are moved apart.</summary>
[NeedsPostgres]
public sealed class PostgresKeyRevocationTests : KeyRevocationSuite
{
    private protected override bool OnPostgres => true;

    [SuiteFact]
    public async Task Token_UnderAKeyThatANodeHasNotHeardOf_IsTaken()
    {
        var other = await Nodes.StartAsync(Begun);
        await OutpaceAsync(other);
        var s = await Server.ScenarioAsync();
        await other.SeeRegistryAsync();
        await s.Agent.AttestAsync();
        // The other node's clock has not moved: no poll of its own has told it.
        Assert.NotEqual(Server.Signer(), other.Signer());

        using var answer = await AskAsync(s, other, s.Agent.InstanceToken);

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Equal(Server.Signer(), other.Signer());
    }

    [PostgresTheory]
    [InlineData("sign-in")]
    [InlineData("sign-out")]
    [Trait("Spec", "OIDC-RPLogout-2")]
    public async Task IdToken_UnderAKeyThatANodeHasNotHeardOf_IsAHintThere(string to)
    {
        var s = await Server.ScenarioAsync();
        var (site, browser) = (await RelyingParty.OfAsync(s), await s.BrowserAsync());
        var other = await Nodes.StartAsync(Begun);
        await OutpaceAsync(other);
        var hint = (await site.SignInAsync(browser)).IdToken!;
        Assert.NotEqual(other.Signer(), KeyedServer.KeyId(hint));
        var there = new TestBrowser(other);
        foreach (var (name, value) in browser.Cookies)
            there.Cookies[name] = value;

        // Without the hint both would end at a page of the server.
        var answer = await there.GetAsync(to == "sign-in"
            ? "/authorize?" + site.Query(new Dictionary<string, string?> { ["id_token_hint"] = hint, ["prompt"] = Names.Authorization.PromptNone })
            : $"{Names.Paths.Logout}?id_token_hint={hint}&post_logout_redirect_uri={Uri.EscapeDataString(site.PostLogoutUri)}");

        Assert.StartsWith(to == "sign-in" ? site.RedirectUri + "?code=" : site.PostLogoutUri, answer.Location, StringComparison.Ordinal);
    }

    [SuiteFact]
    [Trait("Spec", "Invariant-6")]
    public async Task Revoke_OnOneNode_IsRefusedOnTheOtherAtItsNextPoll()
    {
        var other = await Nodes.StartAsync(Begun);
        var s = await Server.ScenarioAsync();
        await other.SeeRegistryAsync();
        await s.Agent.AttestAsync();
        using (var before = await AskAsync(s, other, s.Agent.InstanceToken))
            Assert.Equal(HttpStatusCode.NotFound, before.StatusCode);

        await OutpaceAsync(other);
        await PollAsync(other);

        Assert.True(SigningKeyRing.Poll < TimeSpan.FromMilliseconds(250));
        using var after = await AskAsync(s, other, s.Agent.InstanceToken);
        await after.RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidToken, Names.Reasons.KeyRevoked);
    }

    /// <summary>Keys change until the other node is left behind: as it starts it looks by itself a few times, whatever its clock says.</summary>
    private async Task OutpaceAsync(TestServer other)
    {
        for (int behind = 0, round = 0; behind < 2; round++)
        {
            Assert.True(round < 50, "The other node hears of every key.");
            await Server.Keys().RevokeAsync(Server.Signer());
            await Server.Services.GetRequiredService<SigningKeyRing>().LookAsync(default);
            await Task.Delay(50);
            behind = other.Signer() == Server.Signer() ? 0 : behind + 1;
        }
    }

    /// <summary>An agent's question about a task that does not exist: 404 for whoever may ask.</summary>
    private static async Task<HttpResponseMessage> AskAsync(Scenario s, TestServer node, string token)
    {
        const string path = Names.Paths.Tasks + "/tsk_none";
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Authorization = new("DPoP", token);
        request.Headers.Add("DPoP", s.Agent.Proof(HttpMethod.Get, path, token));
        return await node.Client().SendAsync(request);
    }
}
