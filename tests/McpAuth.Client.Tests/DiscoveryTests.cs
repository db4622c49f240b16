using System.Net;

namespace McpAuth.Client.Tests;

public sealed class DiscoveryTests(FakeServer server) : IClassFixture<FakeServer>
{
    [Theory]
    [InlineData("https://auth.example", "https://auth.example/.well-known/oauth-authorization-server")]
    [InlineData("https://auth.example/", "https://auth.example/.well-known/oauth-authorization-server")]
    [InlineData("https://auth.example/t/1", "https://auth.example/.well-known/oauth-authorization-server/t/1")]
    [InlineData("https://auth.example/t/1/", "https://auth.example/.well-known/oauth-authorization-server/t/1")]
    [Trait("Spec", "RFC8414-3.1")]
    public void Location_Issuer_HasTheWellKnownPathBetweenHostAndPath(string issuer, string expected) =>
        Assert.Equal(expected, AuthorizationServerMetadata.Location(issuer).AbsoluteUri);

    [Theory]
    [InlineData("http://auth.example")]
    [InlineData("http://127.0.0.1.example")]
    [InlineData("https://auth.example?x=1")]
    [InlineData("https://auth.example#x")]
    [InlineData("https://user@auth.example")]
    [InlineData("ftp://127.0.0.1")]
    [InlineData("auth.example")]
    [Trait("Spec", "RFC8414-2")]
    public void Location_AddressThatMayNotCarryCredentials_IsRefused(string issuer) =>
        Assert.Throws<ArgumentException>(() => AuthorizationServerMetadata.Location(issuer));

    [Fact]
    [Trait("Spec", "RFC8414-3.1")]
    public async Task Discover_ItsOwnDocument_GivesTheEndpoints()
    {
        server.Reset();
        AuthorizationServerMetadata metadata = await AuthorizationServerMetadata.DiscoverAsync(server.Issuer, server.Options());
        Assert.Equal(server.Issuer, metadata.Issuer);
        Assert.Equal(server.Issuer + "/authorize", metadata.AuthorizationEndpoint?.OriginalString);
        Assert.Equal(server.Issuer + "/token", metadata.TokenEndpoint.OriginalString);
        Assert.Equal(server.Issuer + "/introspect", metadata.IntrospectionEndpoint.OriginalString);
        Assert.Equal(server.Issuer + "/jwks", metadata.JwksUri.OriginalString);
        Assert.Equal(["GET"], server.To("/.well-known/oauth-authorization-server").Select(r => r.Method));
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/other")]
    [InlineData("x")]
    [Trait("Spec", "RFC8414-3.3")]
    public async Task Discover_DocumentOfAnotherIssuer_IsRefused(string suffix)
    {
        server.Reset();
        server.Answers["/.well-known/oauth-authorization-server"] = _ => Answer.Json(FakeServer.Metadata(server.Issuer + suffix, server.Issuer));
        HttpRequestException e = await Assert.ThrowsAsync<HttpRequestException>(() => AuthorizationServerMetadata.DiscoverAsync(server.Issuer, server.Options()));
        Assert.Equal(HttpRequestError.InvalidResponse, e.HttpRequestError);
        Assert.Contains("issuer_mismatch", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("https:\\/\\/auth.example\\u002Fcaf\\u00e9", true)]
    [InlineData("https://auth.example/cafe\\u0301", false)]
    [InlineData("https://auth.example/caf%C3%A9", false)]
    [Trait("Spec", "RFC8414-4")]
    public void Read_Issuer_IsComparedByItsCodePointsAfterJsonsEscapesAlone(string written, bool same)
    {
        const string issuer = "https://auth.example/caf\u00e9";
        using var document = System.Text.Json.JsonDocument.Parse(
            FakeServer.Metadata("ISSUER", "https://auth.example").Replace("ISSUER", written, StringComparison.Ordinal));
        Assert.Equal(same ? null : "issuer_mismatch", AuthorizationServerMetadata.Read(document.RootElement, issuer).Fault?.Code);
    }

    [Fact]
    [Trait("Spec", "RFC8414-6.1")]
    public async Task Discover_CertificateThatNobodyVouchesFor_IsRefusedAndNothingIsSent()
    {
        await using UnknownServer unknown = await UnknownServer.StartAsync();
        HttpRequestException e = await Assert.ThrowsAsync<HttpRequestException>(
            () => AuthorizationServerMetadata.DiscoverAsync(unknown.Address, new ConnectionOptions { Attempts = 1 }));
        Assert.Equal((HttpRequestError.SecureConnectionError, 0), (e.HttpRequestError, unknown.Asked));
    }

    [Theory]
    [InlineData("http://files.example")]
    [InlineData("javascript:alert(1)//")]
    [InlineData("")]
    public async Task Discover_EndpointThatMayNotCarryCredentials_IsRefused(string at)
    {
        server.Reset();
        server.Answers["/.well-known/oauth-authorization-server"] = _ => Answer.Json(FakeServer.Metadata(server.Issuer, at));
        HttpRequestException e = await Assert.ThrowsAsync<HttpRequestException>(() => AuthorizationServerMetadata.DiscoverAsync(server.Issuer, server.Options()));
        Assert.Contains("invalid_metadata", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_RemoteIssuerWithEndpointsOnThisMachine_IsRefused()
    {
        using var document = System.Text.Json.JsonDocument.Parse(FakeServer.Metadata("https://auth.example", "http://127.0.0.1:9"));
        Assert.Equal("invalid_metadata", AuthorizationServerMetadata.Read(document.RootElement, "https://auth.example").Fault?.Code);
    }

    [Theory]
    [InlineData("http://files.example/authorize")]
    [InlineData("https://auth.example/authorize#x")]
    [InlineData("javascript:alert(1)")]
    public void Read_AuthorizationEndpointABrowserMayNotBeSentTo_IsRefused(string endpoint)
    {
        using var document = System.Text.Json.JsonDocument.Parse(
            FakeServer.Metadata("https://auth.example", "https://auth.example").Replace("https://auth.example/authorize", endpoint, StringComparison.Ordinal));
        Assert.Equal("authorization_endpoint", AuthorizationServerMetadata.Read(document.RootElement, "https://auth.example").Fault?.Path);
    }

    [Fact]
    public async Task Discover_Redirect_IsNotFollowed()
    {
        server.Reset();
        server.Answers["/.well-known/oauth-authorization-server"] = _ => new Answer((int)HttpStatusCode.Found, null) { Headers = { ["Location"] = "/elsewhere" } };
        OAuthErrorException e = await Assert.ThrowsAsync<OAuthErrorException>(() => AuthorizationServerMetadata.DiscoverAsync(server.Issuer, server.Options()));
        Assert.Equal(302, e.Status);
        Assert.Empty(server.To("/elsewhere"));
    }
}
