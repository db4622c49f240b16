using System.Net;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Revocation;

/// <summary>A DPoP proof at the revocation endpoint: not demanded, and where it is offered, right.</summary>
public sealed class RevocationProofTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Spec", "RFC9449-4.3")]
    public async Task Revoke_ProofThatIsWrong_IsRefusedAndHasNoEffect()
    {
        var (s, token, guard) = await ReadyAsync();
        using var other = SigningKey.Create();
        await RefusedAsync(s, token.AccessToken, s.Agent.Proof(HttpMethod.Post, Names.Paths.Token), "htu");
        await RefusedAsync(s, token.AccessToken, s.Agent.Proof(HttpMethod.Post, Names.Paths.Revoke, key: other), "wrong_key");
        await RefusedAsync(s, s.Agent.InstanceToken, s.Agent.Proof(HttpMethod.Post, Names.Paths.Revoke, key: other), "wrong_key");
        Assert.True(await guard.IsActiveAsync(token.AccessToken));
    }

    [Fact]
    [Trait("Attack", "108"), Trait("Spec", "RFC9449-11.1")]
    public async Task Revoke_WithTheTokensKey_RevokesAndTheProofIsUsed()
    {
        var (s, token, guard) = await ReadyAsync();
        var proof = s.Agent.Proof(HttpMethod.Post, Names.Paths.Revoke);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(s, token.AccessToken, proof)).StatusCode);
        Assert.False(await guard.IsActiveAsync(token.AccessToken));

        // Whatever it is sent with next: another token of the agent, one that is nobody's.
        foreach (var next in new[] { s.Agent.InstanceToken, "garbage", token.AccessToken })
        {
            HttpResponseMessage? answer = null;
            await server.RefusedAsync(
                async () => answer = await SendAsync(s, next, proof), HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, Names.Reasons.Replay,
                AuditTypes.ReplayDetected, Names.Reasons.Replay);
        }
        await s.Agent.BeginTaskAsync("read_file");
    }

    [Fact]
    [Trait("Spec", "RFC7009-2.1")]
    public async Task Revoke_BoundRefreshTokenOfAPublicClient_NeedsNoProofAndRefusesAnothers()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        using var key = SigningKey.Create();
        using var other = SigningKey.Create();
        string Proof(SigningKey by, string path) => s.Agent.Proof(HttpMethod.Post, path, key: by);
        async Task<TokenResponse> TokenAsync() =>
            await (await flow.RedeemRawAsync(await flow.CodeAsync(s.AuthorizeQuery()), proof: Proof(key, Names.Paths.Token))).ReadAsync(ProtocolJson.Default.TokenResponse);
        Task<HttpResponseMessage> RevokeAsync(string token, string? proof) =>
            s.Agent.PostFormAsync(Names.Paths.Revoke, new() { ["token"] = token, ["client_id"] = s.PublicClient }, proof);

        var first = await TokenAsync();
        await server.RefusedAsync(
            () => RevokeAsync(first.RefreshToken!, Proof(other, Names.Paths.Revoke)), HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, "wrong_key", AuditTypes.TokenRevoked, "wrong_key");
        Assert.Equal(HttpStatusCode.OK, (await RevokeAsync(first.RefreshToken!, Proof(key, Names.Paths.Revoke))).StatusCode);
        var second = await TokenAsync();
        Assert.Equal(HttpStatusCode.OK, (await RevokeAsync(second.RefreshToken!, null)).StatusCode);

        foreach (var dead in new[] { first, second })
            await (await flow.RefreshRawAsync(dead.RefreshToken!, proof: Proof(key, Names.Paths.Token))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Revoked);
    }

    private async Task<(Scenario, TokenResponse, TestGuard)> ReadyAsync()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        return (s, await s.Agent.TaskTokenAsync(await s.Agent.BeginTaskAsync("read_file"), "read_file"), await TestGuard.OfAsync(s));
    }

    private async Task RefusedAsync(Scenario s, string token, string proof, string reason)
    {
        var form = s.Agent.AssertionForm();
        form["token"] = token;
        await server.RefusedAsync(() => s.Agent.PostFormAsync(Names.Paths.Revoke, form, proof), HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, reason, AuditTypes.TokenRevoked, reason);
        // The assertion is used with it.
        await (await s.Agent.PostFormAsync(Names.Paths.Revoke, form, null)).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, Names.Reasons.Replay);
    }

    private static Task<HttpResponseMessage> SendAsync(Scenario s, string token, string? proof) =>
        s.Agent.PostFormAsync(Names.Paths.Revoke, new(s.Agent.AssertionForm()) { ["token"] = token }, proof);
}
