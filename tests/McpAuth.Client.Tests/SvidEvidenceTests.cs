using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using McpAuth.Protocol.Jose;
using McpAuth.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Logging;
using static McpAuth.Client.Tests.AgentFixture;

namespace McpAuth.Client.Tests;

/// <summary>Programs that are known by the certificate of their connection: over real TLS, at an endpoint beside the issuer.</summary>
[Trait("Spec", "X509-SVID")]
public sealed class SvidEvidenceTests : IClassFixture<FakeServer>, IAsyncLifetime
{
    private readonly DateTimeOffset now = TimeProvider.System.GetUtcNow();
    private readonly FakeServer server;
    private readonly SigningKey key = SigningKey.Create();
    private readonly ConcurrentQueue<(string? Certificate, int Proofs, string Path)> seen = new();
    private readonly X509Certificate2 authority, own;
    private readonly WebApplication tls;

    public SvidEvidenceTests(FakeServer server)
    {
        PrepareWorkload(this.server = server, key);
        authority = TestCertificates.Root(now);
        own = authority.Issue(now, new() { Subject = "CN=127.0.0.1", Addresses = ["127.0.0.1"], Usages = [TestCertificates.ServerAuthentication] });
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(https =>
        {
            https.ServerCertificate = own;
            https.ClientCertificateMode = ClientCertificateMode.AllowCertificate;
            https.AllowAnyClientCertificate();
        })));
        tls = builder.Build();
        tls.Run(async context =>
        {
            seen.Enqueue((context.Connection.ClientCertificate?.Thumbprint(), context.Request.Headers["DPoP"].Count, context.Request.Path));
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync("""{"instance":"ins_1","agent":"agt_1","client_id":"workload","access_token":"t","token_type":"DPoP","expires_in":3600}""");
        });
    }

    public Task InitializeAsync() => tls.StartAsync();

    [Fact]
    public async Task Certificate_Replaced_IsShownByANewConnectionAtEachAttestation()
    {
        X509Certificate2[] svids = [Svid(), Svid()];
        int given = 0;
        await using AgentSession session = await Attest(() => svids[given++], [authority]);
        server.Clock.Advance(TimeSpan.FromSeconds(3571));
        await session.BeginTask("p", Json(Details));
        Assert.Equal(svids.Select(s => ((string?)s.Thumbprint(), 1, "/agents/instances")), seen);
        // Elsewhere it is a client by its own key.
        Assert.Empty(server.To("/agents/instances"));
        Assert.Single(server.To("/tasks"));
    }

    [Fact]
    public async Task Server_ThatNobodyVouchesFor_IsShownNothing()
    {
        X509Certificate2 svid = Svid();
        await Assert.ThrowsAsync<HttpRequestException>(() => Attest(() => svid, authorities: null));
        using X509Certificate2 stranger = TestCertificates.Root(now, "CN=Somebody else");
        await Assert.ThrowsAsync<HttpRequestException>(() => Attest(() => svid, [stranger]));
        Assert.Empty(seen);
    }

    [Fact]
    public async Task Certificate_WithoutItsKey_IsNoEvidence()
    {
        using X509Certificate2 bare = X509CertificateLoader.LoadCertificate(Svid().RawData);
        await Assert.ThrowsAsync<EvidenceException>(() => Attest(() => bare, [authority]));
        Assert.Empty(seen);
    }

    [Theory]
    [InlineData("http://127.0.0.1:1")]
    [InlineData("/relative")]
    public void Endpoint_WithoutTls_IsRefused(string endpoint) => Assert.Throws<ArgumentException>(
        () => WorkloadEvidence.X509Svid(_ => throw new NotSupportedException(), new Uri(endpoint, UriKind.RelativeOrAbsolute)));

    private X509Certificate2 Svid() => authority.Issue(now, new() { Uris = ["spiffe://example.org/agent"] });

    private Task<AgentSession> Attest(Func<X509Certificate2> source, X509Certificate2Collection? authorities) =>
        AgentSession.AttestAsync(server.Issuer, WorkloadEvidence.X509Svid(_ => ValueTask.FromResult(source()), new Uri(tls.Urls.Single()), authorities), key, server.Options());

    public async Task DisposeAsync()
    {
        await tls.DisposeAsync();
        key.Dispose();
        authority.Dispose();
        own.Dispose();
    }
}
