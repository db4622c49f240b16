using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Attestation;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Attestation;

/// <summary>A server that takes certificates and sees <see cref="TestInternet"/>.</summary>
public sealed class SvidServer : IAsyncLifetime
{
    public TestInternet Internet { get; } = new();
    public TestServer Server { get; } = new();

    public async Task InitializeAsync()
    {
        Server.Settings["McpAuth:Mtls:Enabled"] = "true";
        Server.Replace = services => services.AddSingleton(Internet.Network);
        await Server.InitializeAsync();
    }

    public async Task DisposeAsync()
    {
        await Server.DisposeAsync();
        await Internet.DisposeAsync();
    }
}

/// <summary>X.509-SVIDs: programs that are known by the certificate they come with.</summary>
[Trait("Spec", "X509-SVID")]
public sealed class SvidTests(SvidServer world) : IClassFixture<SvidServer>
{
    private static readonly X509Extension Signing = new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true);

    private TestServer Server => world.Server;
    private DateTimeOffset Now => Server.Time.GetUtcNow();

    private async Task<(Scenario Scenario, TestPlatform Platform, X509Certificate2 Authority)> SceneAsync()
    {
        var s = await Server.ScenarioAsync();
        var platform = TestPlatform.Of("spiffe", s, world.Internet);
        var authority = TestCertificates.Root(Now, $"CN=Authority of {s.Suffix}");
        var bundle = platform.Keys(platform.Key);
        bundle["keys"]!.AsArray().Add(new JsonObject { ["use"] = "x509-svid", ["kty"] = "EC", ["x5c"] = new JsonArray(Convert.ToBase64String(authority.RawData)) });
        world.Internet.Put(platform.KeySet, bundle.ToJsonString());
        await platform.RegisterAsync();
        return (s, platform, authority);
    }

    private static string IdOf(TestPlatform platform) => (string)platform.Select["spiffe_id"]!;

    private static CertificateShape Shape(TestPlatform platform) => new() { Uris = [IdOf(platform)], To = TimeSpan.FromMinutes(50), Extensions = [Signing] };

    private async Task<HttpResponseMessage> AttestAsync(Scenario s, X509Certificate2? certificate, SigningKey? instance = null, Dictionary<string, string>? form = null)
    {
        using var client = Server.ClientFrom(null, certificate);
        return await s.Agent.PostFormAsync(Names.Paths.Instances, form ?? [], s.Agent.Proof(HttpMethod.Post, Names.Paths.Instances, key: instance), client);
    }

    [Fact]
    public async Task Certificate_OfAWorkload_MakesAnInstance()
    {
        var (s, platform, authority) = await SceneAsync();
        using var svid = authority.Issue(Now, Shape(platform));
        var mark = await Server.NowAsync();

        var instance = await (await AttestAsync(s, svid)).ReadAsync(ProtocolJson.Default.InstanceResponse);

        Assert.Equal(s.Agent.Id, instance.Agent);
        var e = Assert.Single(await Server.SinceAsync(mark));
        Assert.Equal((AuditTypes.InstanceAttested, "spiffe", IdOf(platform)), (e.Type, (string?)e.Data!["evidence"], (string?)e.Data["workload"]));

        // The next certificate of the same program renews the same instance.
        using var next = authority.Issue(Now, Shape(platform));
        var renewed = await AttestAsync(s, next);
        Assert.Equal((HttpStatusCode.OK, instance.Instance), (renewed.StatusCode, (await renewed.ReadAsync(ProtocolJson.Default.InstanceResponse)).Instance));
    }

    public static TheoryData<string, string> Broken => new()
    {
        { "by another authority", "untrusted_certificate" }, { "of another workload", EvidenceVerifier.NoBinding }, { "of another trust domain", EvidenceVerifier.UnknownIssuer },
        { "for signing certificates", "certificate_usage" }, { "without a usage", "certificate_usage" }, { "for servers", "certificate_usage" }, { "good for a day", EvidenceVerifier.TooLong },
    };

    [Theory]
    [MemberData(nameof(Broken))]
    public async Task Certificate_WrongInOneThing_IsRefusedForIt(string how, string reason)
    {
        var (s, platform, authority) = await SceneAsync();
        using var other = TestCertificates.Root(Now, "CN=Another");
        var shape = Shape(platform);
        using var svid = (how == "by another authority" ? other : authority).Issue(Now, how switch
        {
            "of another workload" => shape with { Uris = [IdOf(platform) + "/other"] },
            "of another trust domain" => shape with { Uris = ["spiffe://stranger.test/agent"] },
            "for signing certificates" => shape with { Extensions = [new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature | X509KeyUsageFlags.KeyCertSign, critical: true)] },
            "without a usage" => shape with { Extensions = [] },
            "for servers" => shape with { Usages = [TestCertificates.ServerAuthentication] },
            "good for a day" => shape with { To = TimeSpan.FromHours(24) },
            _ => shape,
        });
        using var key = SigningKey.Create();
        await Server.RefusedAsync(() => AttestAsync(s, svid, key), HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, reason, AuditTypes.InstanceRefused, reason);
    }

    /// <summary>Whoever reads such a certificate could take either for the program: it is no evidence, and no client's either.</summary>
    [Fact]
    public async Task Certificate_OfTwoIds_IsNone()
    {
        var (s, platform, authority) = await SceneAsync();
        using var svid = authority.Issue(Now, Shape(platform) with { Uris = [IdOf(platform), "spiffe://stranger.test/agent"] });
        await Server.RefusedAsync(() => AttestAsync(s, svid), HttpStatusCode.Unauthorized, Names.Errors.InvalidClient, null, AuditTypes.InstanceRefused, null);
    }

    [Fact]
    public async Task Certificate_WithAnotherProgramsKey_IsRefused()
    {
        var (s, platform, authority) = await SceneAsync();
        using var svid = authority.Issue(Now, Shape(platform));
        await (await AttestAsync(s, svid)).ReadAsync(ProtocolJson.Default.InstanceResponse);
        using var second = SigningKey.Create();
        await Server.RefusedAsync(() => AttestAsync(s, svid, second), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Attesting.OtherKey, AuditTypes.InstanceRefused, Attesting.OtherKey);
    }

    /// <summary>A service mesh gives every connection a certificate: who authenticates as a client is the client.</summary>
    [Fact]
    public async Task Certificate_BesideAClientsAssertion_IsNotTheEvidence()
    {
        var (s, platform, authority) = await SceneAsync();
        using var svid = authority.Issue(Now, Shape(platform));
        var mark = await Server.NowAsync();
        await (await AttestAsync(s, svid, form: s.Agent.AssertionForm())).ReadAsync(ProtocolJson.Default.InstanceResponse);
        Assert.Equal("private_key_jwt", (string?)Assert.Single(await Server.SinceAsync(mark)).Data!["evidence"]);
    }
}
