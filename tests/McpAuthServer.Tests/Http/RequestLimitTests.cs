using System.Net;
using System.Net.Http.Headers;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Abuse;
using McpAuthServer.Clients;
using McpAuthServer.Http;
using McpAuthServer.Registry;
using McpAuthServer.Tests.Harness;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Http;

/// <summary>A server with small limits, asked from many addresses.</summary>
public sealed class RequestLimitTests : IAsyncLifetime
{
    private const string Proxy = "10.9.9.9";

    private static int next;

    private readonly TestServer server = new();

    public Task InitializeAsync()
    {
        Set("Token:Address", 6, 4);
        Set("Token:Client", 6, 8);
        Set("FailedAuthentication:Address", 6, 3);
        Set("Authorization:Address", 6, 3);
        Set("SignIn:Address", 6, 5);
        Set("UserCode:Address", 6, 3);
        Set("Api:Address", 60, 60);
        server.Settings["McpAuth:Proxies:0"] = Proxy;
        return server.InitializeAsync();

        void Set(string limit, int perMinute, int burst) =>
            (server.Settings[$"McpAuth:RateLimits:{limit}:PerMinute"], server.Settings[$"McpAuth:RateLimits:{limit}:Burst"]) = ($"{perMinute}", $"{burst}");
    }

    public Task DisposeAsync() => server.DisposeAsync();

    [Fact]
    public async Task Address_AsksTooOften_IsToldWhenToComeAgainAndTheLogHoldsOneEventAMinute()
    {
        var s = await server.ScenarioAsync();
        var (here, there) = (Address(), Address());
        for (var i = 0; i < 4; i++)
            await UnknownTokenAsync(s, here, HttpStatusCode.BadRequest);
        var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));

        for (var i = 0; i < 50; i++)
            await LimitedAsync(await RefreshAsync(s, here), seconds: 10);

        var e = await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.AbuseLimited, "token");
        Assert.Equal(("address", here, null, null), ((string?)e.Data!["by"], (string?)e.Data["address"], e.Client, e.User));
        await UnknownTokenAsync(s, there, HttpStatusCode.BadRequest);
        // As it was told.
        server.Time.Advance(TimeSpan.FromSeconds(10));
        await UnknownTokenAsync(s, here, HttpStatusCode.BadRequest);
        await LimitedAsync(await RefreshAsync(s, here), seconds: 10);
        // The next minute of the flood has an event of its own.
        server.Time.Advance(TimeSpan.FromSeconds(50));
        mark = await server.NowAsync();
        for (var i = 0; i < 20; i++)
            (await RefreshAsync(s, here)).Dispose();
        Assert.Single(await server.SinceAsync(mark), e => e.Type == AuditTypes.AbuseLimited);
    }

    [Fact]
    [Trait("Attack", "15")]
    public async Task Address_RotatingInItsNetwork_OrInventingHeaders_IsLimited()
    {
        var s = await server.ScenarioAsync();
        var answers = new List<HttpStatusCode>();
        for (var i = 0; i < 200; i++)
            answers.Add((await RefreshAsync(s, $"2001:db8:77:1::{i:x}")).StatusCode);
        Assert.Equal(4, answers.Count(a => a != HttpStatusCode.TooManyRequests));

        var mark = await server.MarkAsync();
        answers.Clear();
        for (var i = 0; i < 200; i++)
            answers.Add((await RefreshAsync(s, $"2001:db8:78:{i:x}::1")).StatusCode);
        Assert.Equal(32, answers.Count(a => a != HttpStatusCode.TooManyRequests));
        var e = Assert.Single(await server.SinceAsync(mark), e => e.Type == AuditTypes.AbuseLimited);
        Assert.Equal(("network", "2001:db8:78::/48"), ((string?)e.Data!["by"], (string?)e.Data["address"]));

        answers.Clear();
        var here = Address();
        for (var i = 0; i < 50; i++)
            answers.Add((await RefreshAsync(s, here, $"203.0.113.{i}")).StatusCode);
        Assert.Equal(4, answers.Count(a => a != HttpStatusCode.TooManyRequests));
    }

    [Fact]
    public async Task Proxy_IsNotLimitedForThoseBehindIt()
    {
        var s = await server.ScenarioAsync();
        for (var i = 0; i < 50; i++)
            await UnknownTokenAsync(s, Proxy, HttpStatusCode.BadRequest, $"6.6.6.6, 198.51.100.{i}");
        for (var i = 0; i < 4; i++)
            await UnknownTokenAsync(s, Proxy, HttpStatusCode.BadRequest, "198.51.100.200");
        // What it says to the left of its own address changes nothing.
        await LimitedAsync(await RefreshAsync(s, Proxy, "6.6.6.7, 198.51.100.200"), seconds: 10);
    }

    [Fact]
    public async Task Client_ThatAuthenticates_IsCountedAsItselfWhereverItComesFrom()
    {
        var s = await server.ScenarioAsync();
        var here = Address();
        // More than the address may: with the credential, each permit of the address is given back.
        for (var i = 0; i < 8; i++)
            await (await ServiceAsync(s, here)).ReadAsync(ProtocolJson.Default.TokenResponse);
        var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));

        for (var i = 0; i < 20; i++)
            await LimitedAsync(await ServiceAsync(s, i % 2 == 0 ? here : Address()), seconds: 10);

        var e = await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.AbuseLimited, "token");
        Assert.Equal(("client", s.ServiceClient, null), ((string?)e.Data!["by"], e.Client, (string?)e.Data["address"]));
        // Others at the same address are served.
        await UnknownTokenAsync(s, here, HttpStatusCode.BadRequest);
        server.Time.Advance(TimeSpan.FromSeconds(10));
        await (await ServiceAsync(s, here)).ReadAsync(ProtocolJson.Default.TokenResponse);
    }

    [Fact]
    public async Task Client_OverItsLimit_KeepsItsAssertion()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var here = Address();
        Task<HttpResponseMessage> SendAsync(Dictionary<string, string> form) => s.Agent.PostFormAsync(Names.Paths.Token, form, client: server.Client(here));
        for (var i = 0; i < 8; i++)
            (await SendAsync(s.Agent.AssertionForm())).Dispose();
        var form = s.Agent.ExchangeForm(details: s.Details(["read_file"], new() { ["purpose"] = "p" }));
        await LimitedAsync(await SendAsync(form), seconds: 10);
        server.Time.Advance(TimeSpan.FromSeconds(10));
        await (await SendAsync(form)).ReadAsync(ProtocolJson.Default.TokenResponse);
    }

    [Fact]
    public async Task Client_NamedByOthers_IsNotLockedOut()
    {
        var s = await server.ScenarioAsync();
        for (var i = 0; i < 100; i++)
        {
            (await ServiceAsync(s, Address(), secret: "wrong")).Dispose();
            // A public client's name is no credential: nobody uses up what it has.
            (await RefreshAsync(s, Address())).Dispose();
        }
        await (await ServiceAsync(s, Address())).ReadAsync(ProtocolJson.Default.TokenResponse);
        await UnknownTokenAsync(s, Address(), HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task Address_WhereAuthenticationFailsTooOften_IsNotListenedTo()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var guard = await TestGuard.OfAsync(s);
        foreach (var path in new[] { Names.Paths.Token, Names.Paths.Revoke, Names.Paths.Instances, Names.Paths.Tasks, Names.Paths.GuardStreams, Names.Paths.Introspect, Names.Paths.GuardEnroll, Names.Paths.UserInfo, Names.Paths.PushedRequests, Names.Paths.DeviceAuthorization,
            Names.Paths.BackchannelAuthentication })
        {
            var here = Address();
            for (var i = 0; i < 3; i++)
                using (var refused = await FailAsync(path, here))
                    Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
            var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));

            // Also who is right, and at the other endpoints.
            for (var i = 0; i < 10; i++)
                await LimitedAsync(await FailAsync(path, here), seconds: 10);
            await LimitedAsync(await ServiceAsync(s, here), seconds: 10);
            await LimitedAsync(await guard.SendAsync(Names.Paths.GuardStreams, null, server.Client(here)), seconds: 10);

            var e = await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.AbuseLimited, "failed_authentication");
            Assert.Equal(here, (string?)e.Data!["address"]);
            await (await guard.SendAsync(Names.Paths.GuardStreams, null, server.Client(Address()))).ReadAsync(ProtocolJson.Default.StreamResponse);
            server.Time.Advance(TimeSpan.FromSeconds(10));
            await (await ServiceAsync(s, here)).ReadAsync(ProtocolJson.Default.TokenResponse);
        }

        async Task<HttpResponseMessage> FailAsync(string path, string from)
        {
            if (path == Names.Paths.GuardEnroll)
                return await new TestGuard(s).EnrollRawAsync(new TestGuard(s).EnrollBody("a wrong secret"), server.Client(from));
            using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new FormUrlEncodedContent([KeyValuePair.Create("client_id", "nobody")]) };
            return await server.Client(from).SendAsync(request);
        }
    }

    [Fact]
    public async Task Page_AskedForTooOften_IsRefusedWithAPage()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server, server.Client(Address()));
        for (var i = 0; i < 3; i++)
            Assert.Equal(HttpStatusCode.SeeOther, (await browser.GetAsync("/authorize?" + s.AuthorizeQuery())).Status);
        var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));

        var answer = await browser.GetAsync("/authorize?" + s.AuthorizeQuery());

        Assert.Equal((HttpStatusCode.TooManyRequests, null), (answer.Status, answer.Location));
        Assert.Contains("too often", answer.Text, StringComparison.Ordinal);
        await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.AbuseLimited, "authorization");
    }

    [Fact]
    [Trait("Spec", "RFC8628-5.1")]
    public async Task UserCode_GuessedTooOften_IsRefusedUntried()
    {
        var s = await server.ScenarioAsync();
        var form = new Dictionary<string, string> { ["client_id"] = s.PublicClient, ["resource"] = s.Resource };
        var device = await (await server.Client(Address()).PostAsync(Names.Paths.DeviceAuthorization, new FormUrlEncodedContent(form))).ReadAsync(ProtocolJson.Default.DeviceResponse);
        var browser = new TestBrowser(server, server.Client(Address()));
        var page = await browser.GetAsync(Names.Paths.Device);
        for (var i = 0; i < 3; i++)
            Assert.Equal(HttpStatusCode.BadRequest, (await TypeAsync("BCDF-GHJK")).Status);
        var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));

        var answer = await TypeAsync(device.UserCode);

        Assert.Equal((HttpStatusCode.TooManyRequests, null), (answer.Status, answer.Location));
        await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.AbuseLimited, "user_code");
        server.Time.Advance(TimeSpan.FromSeconds(10));
        Assert.StartsWith("/consent?", (await TypeAsync(device.UserCode)).Location, StringComparison.Ordinal);

        Task<TestPage> TypeAsync(string code) => browser.PostFormAsync(page, new() { ["user_code"] = code }, Names.Paths.Device);
    }

    [Fact]
    [Trait("Attack", "167")]
    public async Task SignIn_FiveHundredFromOneAddress_AreRefusedUntried()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server, server.Client(Address()));
        var page = await browser.GetAsync(Names.Paths.SignIn);
        var mark = await server.NowAsync();
        var answers = new List<HttpStatusCode>();
        for (var i = 0; i < 500; i++)
            answers.Add((await browser.PostFormAsync(page, new() { ["email"] = $"nobody{i}@people.test", ["password"] = "wrong" }, Names.Paths.SignIn)).Status);

        Assert.Equal(5, answers.Count(a => a == HttpStatusCode.OK));
        Assert.Equal(495, answers.Count(a => a == HttpStatusCode.TooManyRequests));
        var events = await server.SinceAsync(mark);
        Assert.Equal(5, events.Count(e => e.Type == AuditTypes.SignInFailed));
        Assert.Equal("sign_in", Assert.Single(events, e => e.Type == AuditTypes.AbuseLimited).Reason);
        await new TestBrowser(server, server.Client(Address())).SignInAsync(s.Person);
    }

    [Fact]
    public async Task Limited_AtTheTokenEndpoint_CanBeReadByAScript()
    {
        var s = await server.ScenarioAsync();
        var here = Address();
        for (var i = 0; i < 5; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Token) { Content = new FormUrlEncodedContent([KeyValuePair.Create("client_id", s.PublicClient)]) };
            request.Headers.Add("Origin", "https://inspector.test");
            using var answer = await server.Client(here).SendAsync(request);
            Assert.Equal(["*"], answer.Headers.GetValues("Access-Control-Allow-Origin"));
            Assert.Equal(i < 4 ? HttpStatusCode.BadRequest : HttpStatusCode.TooManyRequests, answer.StatusCode);
        }
    }

    [Fact]
    public async Task Request_PlannedAgain_GivesBackWhatItTookOnce()
    {
        var (limits, here) = (server.Services.GetRequiredService<RequestLimits>(), Address());
        for (var i = 0; i < 3; i++)
            Assert.Null(await limits.EnterAsync(Request(here), Limit.Token));
        var request = Request(here);
        Assert.Null(await limits.EnterAsync(request, Limit.Token));
        Assert.NotNull(await limits.EnterAsync(Request(here), Limit.Token));

        for (var plan = 0; plan < 8; plan++)
            Assert.Null(await limits.AuthenticatedAsync(request, "agent-of-" + here));

        Assert.Null(await limits.EnterAsync(Request(here), Limit.Token));
        Assert.NotNull(await limits.EnterAsync(Request(here), Limit.Token));
    }

    [Theory]
    [InlineData(ClientOrigin.Registered, true)]
    [InlineData(ClientOrigin.Dynamic, false)]
    [InlineData(ClientOrigin.Document, false)]
    [Trait("Attack", "15")]
    public async Task Client_NobodyRegistered_StaysWithItsAddressHoweverWellItAuthenticates(string origin, bool free)
    {
        var s = await server.ScenarioAsync();
        var record = (await server.Services.GetRequiredService<RegistryCache>().Current(default)).Clients[s.ServiceClient] with { Origin = origin };
        var (limits, here) = (server.Services.GetRequiredService<RequestLimits>(), Address());
        for (var i = 0; i < 4; i++)
        {
            var request = Request(here);
            Assert.Null(await limits.EnterAsync(request, Limit.Token));
            // Each under a name of its own: whoever may make names has as many as they like.
            Assert.Null(await limits.AuthenticatedAsync(request, new AuthenticatedClient($"{s.ServiceClient}-{i}", Names.ClientAssertion.SecretBasic, null) { Client = record }));
        }
        Assert.Equal(free, await limits.EnterAsync(Request(here), Limit.Token) is null);
    }

    [Fact]
    public void EveryEndpoint_ThatIsNoDocument_IsLimited()
    {
        string[] documents = ["/.well-known/", "/jwks", "/health/", "/assets/"];
        var endpoints = server.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>().ToList();
        Assert.True(endpoints.Count > 20);
        var free = endpoints.Where(e => e.Metadata.GetMetadata<Limited>() is null).Select(e => e.RoutePattern.RawText!).Distinct().ToList();
        Assert.All(free, path => Assert.True(documents.Any(d => path.StartsWith(d, StringComparison.Ordinal)), path));
    }

    private static DefaultHttpContext Request(string from)
    {
        var context = new DefaultHttpContext();
        context.Connection.RemoteIpAddress = IPAddress.Parse(from);
        context.SetEndpoint(new Endpoint(null, new EndpointMetadataCollection(new Limited(Limit.Token)), null));
        return context;
    }

    private static string Address() => $"203.0.{Interlocked.Increment(ref next) / 250}.{next % 250}";

    private async Task UnknownTokenAsync(Scenario s, string from, HttpStatusCode status, params string[] forwardedFor)
    {
        using var answer = await RefreshAsync(s, from, forwardedFor);
        await answer.RefusedAsync(status, Names.Errors.InvalidGrant);
    }

    /// <summary>A request of the public client, which has nothing to authenticate with.</summary>
    private async Task<HttpResponseMessage> RefreshAsync(Scenario s, string from, params string[] forwardedFor)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Token)
        {
            Content = new FormUrlEncodedContent([KeyValuePair.Create("grant_type", "refresh_token"), KeyValuePair.Create("refresh_token", "rt_unknown"), KeyValuePair.Create("client_id", s.PublicClient)]),
        };
        return await server.Client(from, forwardedFor).SendAsync(request);
    }

    private async Task<HttpResponseMessage> ServiceAsync(Scenario s, string from, string? secret = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Names.Paths.Token)
        {
            Content = new FormUrlEncodedContent([KeyValuePair.Create("grant_type", "client_credentials"), KeyValuePair.Create("resource", s.Resource)]),
        };
        request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes($"{s.ServiceClient}:{secret ?? s.ServiceSecret}")));
        return await server.Client(from).SendAsync(request);
    }

    private static async Task LimitedAsync(HttpResponseMessage answer, int seconds)
    {
        using (answer)
        {
            await answer.RefusedAsync(HttpStatusCode.TooManyRequests, Names.Errors.SlowDown);
            Assert.Equal(TimeSpan.FromSeconds(seconds), answer.Headers.RetryAfter?.Delta);
        }
    }
}
