using McpAuthServer.Clients;

namespace McpAuthServer.Tests.Clients;

public class RedirectUriTests
{
    [Theory]
    [InlineData("https://app.example/cb")]
    [InlineData("https://app.example:8443/cb?tenant=1")]
    [InlineData("http://127.0.0.1/callback")]
    [InlineData("http://127.0.0.1:33418/")]
    [InlineData("http://[::1]:3000/cb")]
    [InlineData("http://localhost/callback")]
    [InlineData("cursor://anysphere.cursor-mcp/oauth/callback")]
    [InlineData("com.example.app:/oauth2redirect")]
    public void Registration_OfWhatRealClientsUse_IsTaken(string uri) => Assert.Null(RedirectUri.Refuses(uri, isPublic: true));

    [Theory]
    [InlineData("")]
    [InlineData("/cb")]
    [InlineData("http://app.example/cb")]
    [InlineData("http://127.0.0.2/cb")]
    [InlineData("http://0x7f.0.0.1/cb")]
    [InlineData("http://localhost.evil.example/cb")]
    [InlineData("HTTP://localhost/cb")]
    [InlineData("javascript:alert(1)")]
    [InlineData("data:text/html,x")]
    [InlineData(" JaVa\tScript:alert(1)")]
    [InlineData("file:///etc/passwd")]
    [InlineData("https://app.example/cb#fragment")]
    [InlineData("https://user@app.example/cb")]
    [InlineData("https://app.example@evil.example/cb")]
    [InlineData("https://*.example/cb")]
    [InlineData("https://app.example\\@evil.example/cb")]
    [InlineData("https:/app.example/cb")]
    [InlineData("https://app.example/cb?code=stolen")]
    [InlineData("https://app.example/cb?a=1&st%61te=x")]
    [InlineData("https://app.example/c b")]
    [InlineData("https://ap\u00fc.example/cb")]
    public void Registration_OfAnythingElse_IsRefused(string uri) => Assert.NotNull(RedirectUri.Refuses(uri, isPublic: true));

    [Fact]
    public void Registration_OfAProgramsScheme_IsForPublicClientsOnly() => Assert.NotNull(RedirectUri.Refuses("com.example.app:/done", isPublic: false));

    [Theory]
    [InlineData("http://127.0.0.1/callback", "http://127.0.0.1:49152/callback")]
    [InlineData("http://127.0.0.1:8000/callback", "http://127.0.0.1/callback")]
    [InlineData("http://[::1]/cb?x=1", "http://[::1]:1/cb?x=1")]
    [InlineData("http://localhost/", "http://localhost:65535/")]
    [Trait("Attack", "33")]
    [Trait("Spec", "RFC8252-7.3")]
    public void Match_LoopbackAtAnotherPort_IsTheSame(string registered, string given) => Assert.True(RedirectUri.Matches(registered, given));

    [Theory]
    [InlineData("http://127.0.0.1/callback", "http://127.0.0.1:0/callback")]
    [InlineData("http://127.0.0.1/callback", "http://127.0.0.1:65536/callback")]
    [InlineData("http://127.0.0.1/callback", "http://127.0.0.1:/callback")]
    [InlineData("http://127.0.0.1/callback", "http://127.0.0.1:80:81/callback")]
    [InlineData("http://127.0.0.1/callback", "http://127.0.0.1:80@evil.example/callback")]
    [InlineData("http://127.0.0.1/callback", "http://127.0.0.1.evil.example/callback")]
    [InlineData("http://127.0.0.1/callback", "http://127.0.0.1:80/callback/")]
    [InlineData("http://127.0.0.1/callback", "http://127.0.0.1:80/Callback")]
    [InlineData("http://127.0.0.1/callback", "http://127.0.0.1:80/callback?x")]
    [InlineData("http://127.0.0.1/callback", "http://localhost:80/callback")]
    [InlineData("http://127.0.0.1/callback", "https://127.0.0.1:80/callback")]
    [InlineData("http://[::1]/cb", "http://[::1:80]/cb")]
    [InlineData("http://127.0.0.1:/callback", "http://evil.example/callback")]
    [InlineData("https://app.example/cb", "https://app.example:443/cb")]
    [InlineData("https://app.example/cb", "https://app.example:8443/cb")]
    [InlineData("https://app.example/cb", "https://APP.example/cb")]
    [InlineData("https://app.example/cb", "https://app.example/cb/")]
    [InlineData("https://app.example/cb", "https://app.example/cb/../evil")]
    [InlineData("https://app.example/cb", "https://app.example/cb%252F..")]
    [InlineData("https://app.example/cb", "https://app.example/%63b")]
    [InlineData("https://app.example/cb", "https://app.example/cb;/../")]
    [InlineData("https://app.example/cb", "https://app.example/cb?x=1")]
    [InlineData("https://app.example/cb", "https://app.example/c")]
    [InlineData("https://app.example/cb", "https://app.example/cb.evil")]
    [Trait("Attack", "30")]
    [Trait("Attack", "31")]
    [Trait("Attack", "33")]
    public void Match_AnyOtherDifference_IsAnotherAddress(string registered, string given) => Assert.False(RedirectUri.Matches(registered, given));

    [Theory]
    [InlineData("https://app.example:8443/cb?x=1", "app.example:8443")]
    [InlineData("http://127.0.0.1:5/cb", "127.0.0.1:5")]
    [InlineData("com.example.app:/done", "com.example.app")]
    [InlineData("cursor://anysphere.cursor-mcp/x", "cursor")]
    public void Recipient_IsShownAsItsHostOrItsScheme(string uri, string shown) => Assert.Equal(shown, RedirectUri.Shown(uri));
}
