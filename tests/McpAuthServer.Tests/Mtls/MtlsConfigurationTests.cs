using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Testing;
using McpAuthServer.Clients;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Mtls;

/// <summary>What an operator configures, and what the server then says of itself.</summary>
public sealed class MtlsConfigurationTests(MtlsServer mtls, TestServer plain) : IClassFixture<MtlsServer>, IClassFixture<TestServer>, IDisposable
{
    private readonly TempDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    [Trait("Spec", "RFC8705-3.3")]
    [Trait("Spec", "RFC8705-5")]
    public async Task Metadata_Enabled_OffersMethodsBoundTokensAndTheOtherAddresses()
    {
        var metadata = await MetadataAsync(mtls.Server);

        foreach (var endpoint in new[] { "token", "revocation" })
            Assert.Equal(
                ["client_secret_basic", "client_secret_post", "none", "private_key_jwt", "self_signed_tls_client_auth", "tls_client_auth"],
                Methods(endpoint));
        Assert.Equal(["DPoP", "client_secret_basic", "client_secret_post", "private_key_jwt", "self_signed_tls_client_auth", "tls_client_auth"], Methods("introspection"));
        Assert.True(metadata.GetProperty("tls_client_certificate_bound_access_tokens").GetBoolean());
        var aliases = metadata.GetProperty("mtls_endpoint_aliases").EnumerateObject().ToDictionary(a => a.Name, a => a.Value.GetString());
        Assert.Equal(
            ["backchannel_authentication_endpoint", "device_authorization_endpoint", "introspection_endpoint", "pushed_authorization_request_endpoint", "revocation_endpoint", "token_endpoint", "userinfo_endpoint"],
            aliases.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, address) in aliases)
            Assert.Equal(metadata.GetProperty(name).GetString()!.Replace(TestServer.Issuer, MtlsServer.Endpoint, StringComparison.Ordinal), address);

        IEnumerable<string?> Methods(string endpoint) =>
            metadata.GetProperty(endpoint + "_endpoint_auth_methods_supported").EnumerateArray().Select(m => m.GetString()).Order(StringComparer.Ordinal);
    }

    [Fact]
    public async Task Metadata_NotEnabled_OffersNothingOfIt()
    {
        var metadata = await MetadataAsync(plain);

        Assert.DoesNotContain("tls_client", metadata.GetRawText(), StringComparison.Ordinal);
        Assert.DoesNotContain("mtls", metadata.GetRawText(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("https://mtls.auth.example", "https://auth.example")]
    [InlineData("https://auth.example:8443", "https://auth.example")]
    [InlineData("https://mtls.auth.example/tenant", "https://auth.example/tenant")]
    [InlineData("https://127.0.0.1:5081", "http://127.0.0.1:5080")]
    public void Endpoint_AnotherHttpsAddress_IsTaken(string endpoint, string issuer) => Assert.Empty(Faults(o => (o.Issuer, o.Mtls.Enabled, o.Mtls.Endpoint) = (issuer, true, endpoint)));

    [Theory]
    [InlineData("https://auth.example")]
    [InlineData("http://mtls.auth.example")]
    [InlineData("https://mtls.auth.example/")]
    [InlineData("https://mtls.auth.example/other")]
    [InlineData("https://mtls.auth.example?x=1")]
    [InlineData("https://user@mtls.auth.example")]
    [InlineData("https://MTLS.auth.example")]
    [InlineData("https://mtls.auth.example:443")]
    [InlineData("mtls.auth.example")]
    [InlineData("")]
    public void Endpoint_AnythingElse_IsRefused(string endpoint) =>
        Assert.Contains("McpAuth:Mtls:Endpoint", Assert.Single(Faults(o => (o.Mtls.Enabled, o.Mtls.Endpoint) = (true, endpoint))), StringComparison.Ordinal);

    [Fact]
    public void Header_WithoutProxiesOrNoName_IsRefused()
    {
        Assert.Empty(Faults(o => (o.Mtls.Enabled, o.Mtls.Header, o.Proxies) = (true, "X-Ssl-Cert", ["10.0.0.1"])));
        Assert.Contains("needs McpAuth:Proxies", Assert.Single(Faults(o => (o.Mtls.Enabled, o.Mtls.Header) = (true, "Client-Cert"))), StringComparison.Ordinal);
        Assert.Contains("not the name of a header", Assert.Single(Faults(o => (o.Mtls.Enabled, o.Mtls.Header, o.Proxies) = (true, "X Ssl", ["10.0.0.1"]))), StringComparison.Ordinal);
    }

    [Fact]
    public void AnySetting_WithoutEnabled_IsRefused()
    {
        foreach (var change in new Action<MtlsOptions>[] { m => m.Header = "Client-Cert", m => m.Endpoint = "https://mtls.auth.example", m => m.TrustedAuthorities = "ca.pem" })
            Assert.Contains("McpAuth:Mtls:Enabled", Assert.Single(Faults(o => change(o.Mtls))), StringComparison.Ordinal);
    }

    [Fact]
    public void TrustedAuthorities_AFileThatIsNone_RefusesToStart()
    {
        var now = DateTimeOffset.UnixEpoch;
        var root = TestCertificates.Root(now);
        var intermediate = root.Issue(now, new() { Subject = "CN=Below", Authority = true, Usages = [] });
        string Says(string text) => Assert.Throws<StartupException>(() => TrustedAuthorities.Load(directory.Write("ca.pem", text))).Message;

        Assert.Contains("cannot be read", Assert.Throws<StartupException>(() => TrustedAuthorities.Load(directory["missing.pem"])).Message, StringComparison.Ordinal);
        Assert.Contains("cannot be read", Says("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), StringComparison.Ordinal);
        Assert.Contains("holds no root", Says(""), StringComparison.Ordinal);
        Assert.Contains("holds no root", Says(intermediate.ExportCertificatePem()), StringComparison.Ordinal);
        Assert.Contains("no authority's", Says(root.ExportCertificatePem() + "\n" + root.Issue(now).ExportCertificatePem()), StringComparison.Ordinal);
        TrustedAuthorities.Load(directory.Write("ca.pem", root.ExportCertificatePem() + "\n" + intermediate.ExportCertificatePem()));
    }

    private static async Task<JsonElement> MetadataAsync(TestServer server) => JsonElement.Parse(await server.Client().GetStringAsync(Names.Paths.OAuthMetadata));

    private static List<string> Faults(Action<ServerOptions> change)
    {
        var options = new ServerOptions { Issuer = "https://auth.example", KeyEncryptionKey = Convert.ToBase64String(new byte[32]) };
        change(options);
        return [.. options.Faults()];
    }
}
