using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Attestation;

/// <summary>Where the keys of platforms come from, and what happens when they change or cannot be had.</summary>
public sealed class IssuerKeyTests(OnTheInternet world) : IClassFixture<OnTheInternet>
{
    private TestServer Server => world.Server;

    private async Task<TestPlatform> PlatformAsync(string kind = "oidc", Action<JsonObject>? issuer = null)
    {
        var s = await Server.ScenarioAsync();
        var platform = TestPlatform.Of(kind, s, world.Internet);
        await platform.RegisterAsync(issuer);
        return platform;
    }

    private static async Task<HttpStatusCode> StatusAsync(TestPlatform platform, SigningKey? signedBy = null)
    {
        using var key = SigningKey.Create();
        return (await platform.AttestAsync(platform.Token(key: signedBy), key)).StatusCode;
    }

    [Fact]
    public async Task Keys_ThatAreRegistered_AreNotAskedFor()
    {
        var platform = await PlatformAsync();
        await platform.RegisterAsync(issuer =>
        {
            issuer.Remove("jwks_uri");
            issuer["jwks"] = platform.Keys(platform.Key);
        });
        var before = world.Contacts;
        Assert.Equal(HttpStatusCode.Created, await StatusAsync(platform));
        Assert.Equal(before, world.Contacts);
    }

    [Fact]
    public async Task Keys_ThatTheIssuersMetadataPointsTo_AreFound()
    {
        var s = await Server.ScenarioAsync();
        var platform = TestPlatform.Of("oidc", s, world.Internet);
        await platform.RegisterAsync(issuer => issuer.Remove("jwks_uri"));
        var metadata = platform.Issuer + "/.well-known/openid-configuration";
        world.Internet.Put(metadata, new JsonObject { ["issuer"] = platform.Issuer, ["jwks_uri"] = platform.KeySet }.ToJsonString());
        Assert.Equal(HttpStatusCode.Created, await StatusAsync(platform));
    }

    [Fact]
    public async Task Metadata_OfAnotherIssuer_IsNotBelieved()
    {
        var s = await Server.ScenarioAsync();
        var platform = TestPlatform.Of("oidc", s, world.Internet);
        await platform.RegisterAsync(issuer => issuer.Remove("jwks_uri"));
        world.Internet.Put(platform.Issuer + "/.well-known/openid-configuration", new JsonObject { ["issuer"] = "https://other.test", ["jwks_uri"] = platform.KeySet }.ToJsonString());
        Assert.Equal(HttpStatusCode.BadRequest, await StatusAsync(platform));
    }

    [Fact]
    public async Task Key_ThatIsNew_IsAskedForOnce()
    {
        var platform = await PlatformAsync();
        Assert.Equal(HttpStatusCode.Created, await StatusAsync(platform));
        using var next = SigningKey.Create("RS256");
        platform.Publish(platform.Key, next);
        Server.Time.Advance(TimeSpan.FromMinutes(1));
        var before = world.Internet.Requested.Count;
        Assert.Equal(HttpStatusCode.Created, await StatusAsync(platform, next));
        Assert.Equal(HttpStatusCode.Created, await StatusAsync(platform, next));
        Assert.Equal(before + 1, world.Internet.Requested.Count);
    }

    [Fact]
    public async Task Key_ThatTheIssuerTookBack_IsRefusedWhenTheSetIsDue()
    {
        var platform = await PlatformAsync();
        Assert.Equal(HttpStatusCode.Created, await StatusAsync(platform));
        using var next = SigningKey.Create("RS256");
        platform.Publish(next);
        Server.Time.Advance(TimeSpan.FromMinutes(6));
        Assert.Equal(HttpStatusCode.BadRequest, await StatusAsync(platform));
    }

    [Fact]
    public async Task Issuer_ThatIsDown_StopsNobodyForADay()
    {
        var platform = await PlatformAsync();
        Assert.Equal(HttpStatusCode.Created, await StatusAsync(platform));
        platform.IsDown();
        Server.Time.Advance(TimeSpan.FromHours(23));
        Assert.Equal(HttpStatusCode.Created, await StatusAsync(platform));

        Server.Time.Advance(TimeSpan.FromHours(2));
        Assert.Equal(HttpStatusCode.BadRequest, await StatusAsync(platform));
    }

    [Fact]
    public async Task Issuer_ThatIsDownWhileTheServerRestarts_StopsNobody()
    {
        await using var nodes = Nodes.OnSqlite();
        var first = await nodes.StartAsync(replace: Server.Replace);
        var s = await first.ScenarioAsync();
        var platform = TestPlatform.Of("oidc", s, world.Internet);
        await platform.RegisterAsync();
        Assert.Equal(HttpStatusCode.Created, await StatusAsync(platform));
        var token = platform.Token();
        platform.IsDown();
        await nodes.StopAsync(first);

        var second = await nodes.StartAsync(first.Time.GetUtcNow(), replace: Server.Replace);

        using var key = SigningKey.Create();
        var proof = DpopProof.Create(key, "POST", new Uri(TestServer.Issuer + Names.Paths.Instances), null, second.Time.GetUtcNow());
        Assert.Equal(HttpStatusCode.Created, (await s.Agent.PostFormAsync(Names.Paths.Instances, new() { ["assertion"] = token }, proof, second.Client())).StatusCode);
    }

    /// <summary>A bundle has keys for several uses; those for certificates and those without a use sign no JWT-SVID.</summary>
    [Fact]
    public async Task Bundle_KeyOfAnotherUse_SignsNothing()
    {
        var platform = await PlatformAsync("spiffe");
        var bundle = platform.Keys(platform.Key);
        bundle["keys"]![0]!["use"] = "sig";
        world.Internet.Put(platform.KeySet, bundle.ToJsonString());
        Assert.Equal(HttpStatusCode.BadRequest, await StatusAsync(platform));
    }

    [Fact]
    public async Task Bundle_IsFetchedAgainByItsOwnHint()
    {
        var platform = await PlatformAsync("spiffe");
        var bundle = platform.Keys(platform.Key);
        bundle["spiffe_refresh_hint"] = 3600;
        world.Internet.Put(platform.KeySet, bundle.ToJsonString());
        Assert.Equal(HttpStatusCode.Created, await StatusAsync(platform));
        var asked = world.Internet.Requested.Count;
        Server.Time.Advance(TimeSpan.FromMinutes(59));
        Assert.Equal(HttpStatusCode.Created, await StatusAsync(platform));
        Assert.Equal(asked, world.Internet.Requested.Count);
        Server.Time.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal(HttpStatusCode.Created, await StatusAsync(platform));
        Assert.Equal(asked + 1, world.Internet.Requested.Count);
    }
}
