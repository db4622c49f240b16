using System.Net;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Federation;

/// <summary>Keys that a provider publishes: found, replaced, kept while it does not answer.</summary>
public sealed class ProviderKeyTests(OnTheInternet world) : IClassFixture<OnTheInternet>
{
    private async Task<TestProvider> ProviderAsync()
    {
        var provider = new TestProvider(await world.Server.ScenarioAsync(), world.Internet);
        await provider.RegisterAsync();
        Assert.Equal(HttpStatusCode.OK, (await provider.RedeemRawAsync()).StatusCode);
        return provider;
    }

    [Fact]
    public async Task Key_ThatIsNew_IsFoundAtOnce_AndTheOldOneIsRefusedWhenTheSetIsDue()
    {
        var provider = await ProviderAsync();
        using var next = SigningKey.Create("RS256");
        provider.Publish(next);
        world.Server.Time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(HttpStatusCode.OK, (await provider.RedeemRawAsync(provider.Assertion(key: next))).StatusCode);
        await (await provider.RedeemRawAsync()).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.BadSignature);
    }

    [Fact]
    public async Task Provider_ThatIsDown_StopsNobodyForADay()
    {
        var provider = await ProviderAsync();
        provider.IsDown();
        world.Server.Time.Advance(TimeSpan.FromHours(23));
        Assert.Equal(HttpStatusCode.OK, (await provider.RedeemRawAsync()).StatusCode);
        world.Server.Time.Advance(TimeSpan.FromHours(2));
        Assert.Equal(HttpStatusCode.BadRequest, (await provider.RedeemRawAsync()).StatusCode);
    }

    [Fact]
    public async Task Provider_ThatIsDownWhileTheServerRestarts_StopsNobody()
    {
        await using var nodes = Nodes.OnSqlite();
        var first = await nodes.StartAsync(replace: world.Server.Replace);
        var provider = new TestProvider(await first.ScenarioAsync(), world.Internet);
        await provider.RegisterAsync();
        Assert.Equal(HttpStatusCode.OK, (await provider.RedeemRawAsync()).StatusCode);
        var assertion = provider.Assertion();
        provider.IsDown();
        await nodes.StopAsync(first);
        var second = await nodes.StartAsync(first.Time.GetUtcNow(), replace: world.Server.Replace);
        Assert.Equal(HttpStatusCode.OK, (await provider.RedeemRawAsync(assertion, node: second.Client())).StatusCode);
    }

    /// <summary>Nothing of an assertion says where to ask.</summary>
    [Fact]
    public async Task Issuer_ThatIsUnknown_IsAskedForNothing()
    {
        var provider = await ProviderAsync();
        var before = world.Contacts;
        await (await provider.RedeemRawAsync(provider.Assertion(c => c["iss"] = "https://stranger.client.test"))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidGrant);
        Assert.Equal(before, world.Contacts);
    }
}
