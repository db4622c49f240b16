using System.Security.Claims;
using McpAuth.Protocol;
using McpAuthServer.Pages;
using McpAuthServer.Tests.Harness;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Pages;

/// <summary>Which requests are looked at for a sign-in.</summary>
public sealed class PageCookieTests : IAsyncLifetime
{
    private readonly TestServer server = new();
    private int asked;

    public Task InitializeAsync()
    {
        server.Replace = services => services.AddScoped<IAuthenticationService>(
            p => new Counting(ActivatorUtilities.CreateInstance<AuthenticationService>(p), () => Interlocked.Increment(ref asked)));
        return server.InitializeAsync();
    }

    public Task DisposeAsync() => server.DisposeAsync();

    [Fact]
    public async Task Cookie_AtPagesOnly_IsLookedAt()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        var cookie = browser.Cookies[Browser.Cookie];

        foreach (var (method, path) in new[]
        {
            ("POST", Names.Paths.Token), ("POST", Names.Paths.Revoke), ("POST", Names.Paths.Introspect), ("POST", Names.Paths.Instances), ("POST", Names.Paths.Tasks),
            ("POST", Names.Paths.GuardStreams), ("GET", Names.Paths.OAuthMetadata), ("GET", Names.Paths.Jwks), ("GET", Names.Paths.HealthLive), ("GET", Asset.Stylesheet.Path), ("GET", "/nothing"),
        })
            Assert.Equal((path, 0), (path, await AskedAsync(method, path)));
        foreach (var path in new[] { Names.Paths.Account, Names.Paths.SignIn, Names.Paths.Authorize, Names.Paths.Setup })
            Assert.True(await AskedAsync("GET", path) > 0, path);

        async Task<int> AskedAsync(string method, string path)
        {
            var before = asked;
            using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = method == "POST" ? new FormUrlEncodedContent([]) : null };
            request.Headers.Add("Cookie", $"{Browser.Cookie}={cookie}");
            (await server.Client().SendAsync(request)).Dispose();
            return asked - before;
        }
    }

    private sealed class Counting(IAuthenticationService inner, Action asked) : IAuthenticationService
    {
        public Task<AuthenticateResult> AuthenticateAsync(HttpContext context, string? scheme)
        {
            asked();
            return inner.AuthenticateAsync(context, scheme);
        }

        public Task ChallengeAsync(HttpContext context, string? scheme, AuthenticationProperties? properties) => inner.ChallengeAsync(context, scheme, properties);

        public Task ForbidAsync(HttpContext context, string? scheme, AuthenticationProperties? properties) => inner.ForbidAsync(context, scheme, properties);

        public Task SignInAsync(HttpContext context, string? scheme, ClaimsPrincipal principal, AuthenticationProperties? properties) => inner.SignInAsync(context, scheme, principal, properties);

        public Task SignOutAsync(HttpContext context, string? scheme, AuthenticationProperties? properties) => inner.SignOutAsync(context, scheme, properties);
    }
}
