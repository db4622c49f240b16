using System.Net;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuthServer.Clients.Registrations;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Registration;

public sealed class RegistrationOptionTests
{
    [Fact]
    public async Task Registration_IsOffUnlessTheOperatorSaysSo()
    {
        await using var server = await StartAsync();

        Assert.Equal(HttpStatusCode.NotFound, (await server.It.RegisterRawAsync(Registering.Public().ToJsonString())).StatusCode);
        Assert.False(JsonElement.Parse(await server.It.Client().GetStringAsync(Names.Paths.OAuthMetadata)).TryGetProperty("registration_endpoint", out _));
    }

    [Fact]
    [Trait("Attack", "15")]
    public async Task Registrations_BeyondTheMost_AreRefused_UntilSomeHaveExpired()
    {
        await using var server = await StartAsync(("Enabled", "true"), ("MaxClients", "3"), ("UnusedExpireAfter", "01:00:00"));
        for (var i = 0; i < 3; i++)
            await server.It.RegisterAsync();
        var mark = await server.It.NowAsync();

        for (var i = 0; i < 20; i++)
        {
            using var full = await server.It.RegisterRawAsync(Registering.Public().ToJsonString());
            await full.RefusedAsync(HttpStatusCode.ServiceUnavailable, "temporarily_unavailable");
        }

        Assert.Equal(3, await server.It.ScalarAsync("select count(*) from clients"));
        var events = await server.It.SinceAsync(mark);
        Assert.Equal(20, events.Count);
        Assert.All(events, e => Assert.Equal((AuditTypes.RegistrationRefused, "full"), (e.Type, e.Reason)));

        server.It.Time.Advance(TimeSpan.FromMinutes(62));
        for (var i = 0; i < 500 && await server.It.ScalarAsync("select count(*) from clients") > 0; i++)
            await Task.Delay(10);
        await server.It.RegisterAsync();
    }

    [Fact]
    [Trait("Spec", "RFC7591-3"), Trait("Spec", "RFC7591-3.2.2")]
    public async Task Registration_WithAnInitialAccessToken_IsForWhoHasIt()
    {
        const string Token = "an-initial-access-token-of-the-operator";
        await using var server = await StartAsync(("Enabled", "true"), ("InitialAccessTokenHash", Base64Url.Sha256(Token)));
        foreach (var wrong in new[] { null, "", "other", Base64Url.Sha256(Token) })
        {
            var mark = await server.It.NowAsync();
            using var refused = await server.It.RegisterRawAsync(Registering.Public().ToJsonString(), wrong);
            await refused.RefusedAsync(HttpStatusCode.Unauthorized, "invalid_token");
            Assert.Equal(string.IsNullOrEmpty(wrong) ? "realm=\"registration\"" : "error=\"invalid_token\"", Assert.Single(refused.Headers.WwwAuthenticate).Parameter);
            Assert.Equal(AuditTypes.RegistrationRefused, Assert.Single(await server.It.SinceAsync(mark)).Type);
        }

        using var registered = await server.It.RegisterRawAsync(Registering.Public().ToJsonString(), Token);
        Assert.Equal(HttpStatusCode.Created, registered.StatusCode);
    }

    [Theory]
    [InlineData(0, "7.00:00:00", null)]
    [InlineData(1, "00:00:01", null)]
    [InlineData(1, "1000.00:00:00", null)]
    [InlineData(1, "7.00:00:00", "not a hash")]
    public void Options_OutOfBounds_AreFaults(int most, string unused, string? hash) => Assert.Single(
        new DynamicRegistrationOptions { MaxClients = most, UnusedExpireAfter = TimeSpan.Parse(unused, System.Globalization.CultureInfo.InvariantCulture), InitialAccessTokenHash = hash }.Faults());

    [Fact]
    public async Task Alias_AtTheHostsRoot_RegistersAsWell()
    {
        await using var server = await StartAsync(("Enabled", "true"), ("..:Issuer", TestServer.Issuer + "/tenant"));

        using var response = await server.It.RegisterRawAsync(Registering.Public().ToJsonString());

        var registration = JsonElement.Parse(await response.Content.ReadAsStringAsync());
        Assert.StartsWith(TestServer.Issuer + "/tenant/register/dyn_", registration.Text("registration_client_uri"), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await server.It.ManageRawAsync(HttpMethod.Get, registration)).StatusCode);
    }

    private static async Task<Started> StartAsync(params (string Name, string Value)[] settings)
    {
        var server = new TestServer();
        foreach (var (name, value) in settings)
            server.Settings[name.StartsWith("..:", StringComparison.Ordinal) ? "McpAuth:" + name[3..] : "McpAuth:DynamicRegistration:" + name] = value;
        await server.InitializeAsync();
        return new Started(server);
    }

    private sealed record Started(TestServer It) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync() => await It.DisposeAsync();
    }
}
