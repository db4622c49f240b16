using System.Net;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Clients.Documents;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Clients.Documents;

public sealed class ClientDocumentOptionTests : IAsyncLifetime
{
    private readonly TestInternet internet = new();
    private readonly TestServer server = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        await server.DisposeAsync();
        await internet.DisposeAsync();
    }

    [Fact]
    public async Task Documents_SwitchedOff_AreNeitherOfferedNorFetched()
    {
        await StartAsync(("Enabled", "false"));
        var client = await PublishedAsync();

        Assert.False(JsonElement.Parse(await server.Client().GetStringAsync(Names.Paths.OAuthMetadata)).TryGetProperty("client_id_metadata_document_supported", out _));
        await RefusedAsync(client, "unknown_client");
        Assert.Empty(internet.Asked);
    }

    [Fact]
    public async Task Hosts_ThatAreNotAllowedOrAreDenied_AreNotAsked()
    {
        await StartAsync(("AllowHosts:0", "*.client.test"), ("DenyHosts:0", "denied.client.test"));

        foreach (var host in new[] { "denied.client.test", "a.other.test", "client.test" })
            await RefusedAsync(await PublishedAsync(host), FetchFaults.Host);
        Assert.Empty(internet.Asked);
        Assert.Equal(HttpStatusCode.SeeOther, (await new TestBrowser(server).GetAsync("/authorize?" + (await PublishedAsync()).Query())).Status);
    }

    /// <summary>What the operator shuts, is shut for those who are inside as well.</summary>
    [Fact]
    public async Task Host_DeniedLater_LosesItsClients()
    {
        await StartAsync();
        var client = await PublishedAsync();
        var tokens = await client.TokensAsync(new PersonFlow(client.Scenario));

        server.Services.GetRequiredService<ServerOptions>().ClientDocuments.DenyHosts.Add(client.Host);

        await (await client.RefreshRawAsync(tokens.RefreshToken!)).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_client");
        await RefusedAsync(client, FetchFaults.Host);
    }

    [Fact]
    public async Task Host_DeniedLater_VouchesForNoKeys()
    {
        await StartAsync();
        var client = await PublishedAsync();
        client.Publish(document => (document["token_endpoint_auth_method"], document["jwks_uri"]) = ("private_key_jwt", "https://keys.client.test/jwks.json"), "max-age=86400");
        internet.Put("https://keys.client.test/jwks.json", $"{{\"keys\":[{client.Key.Public.Jwk.GetRawText()}]}}");
        var tokens = await client.TokensAsync(new PersonFlow(client.Scenario), client.Assertion());

        server.Services.GetRequiredService<ServerOptions>().ClientDocuments.DenyHosts.Add("keys.client.test");

        await (await client.RefreshRawAsync(tokens.RefreshToken!, client.Assertion())).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_client");
    }

    [Fact]
    public async Task Loopback_OpenedByTheOperator_IsFetched_AndEveryStartSaysSo()
    {
        // The real resolver and real connections; only the authority of the certificate is the test's.
        var place = $"localhost:{internet.Port}";
        server.Replace = services => services.AddSingleton(new FetchNetwork { Roots = internet.Network.Roots });
        await StartAsync(("Loopback:0", place));
        var s = await server.ScenarioAsync();
        var client = new DocumentClient(s, $"https://{place}/client.json", internet);
        client.Publish();

        var warned = Assert.Single(await server.EventsAsync($"type = '{AuditTypes.LoopbackOpened}'"));
        Assert.Equal(place, (string?)Assert.Single(warned.Data!["places"]!.AsArray()));
        Assert.Single(server.Logs.Lines, line => line.Contains(place, StringComparison.Ordinal) && line.Contains("That is for tests", StringComparison.Ordinal));
        var ready = JsonElement.Parse(await server.Client().GetStringAsync(Names.Paths.HealthReady));
        Assert.Equal(("ready", "client documents are taken from this machine"), (ready.GetProperty("status").GetString(), ready.GetProperty("warning").GetString()));
        await (await client.RedeemRawAsync(await new PersonFlow(s).CodeAsync(client.Query()))).ReadAsync(ProtocolJson.Default.TokenResponse);

        // The one place, and no other.
        foreach (var other in new[] { $"https://127.0.0.1:{internet.Port}/client.json", $"https://localhost:{internet.Port + 1}/client.json", $"https://LOCALHOST:{internet.Port}/client.json" })
            await RefusedAsync(new DocumentClient(s, other, internet), FetchFaults.Address);
    }

    [Fact]
    public async Task Loopback_NotOpened_IsNotWorthAWord()
    {
        await StartAsync();

        Assert.False(JsonElement.Parse(await server.Client().GetStringAsync(Names.Paths.HealthReady)).TryGetProperty("warning", out _));
        Assert.Empty(await server.EventsAsync($"type = '{AuditTypes.LoopbackOpened}'"));
    }

    /// <summary>A name that leads to an opened place does not get there: it is the operator's text that counts, and a public name stays public.</summary>
    [Fact]
    [Trait("Attack", "18")]
    public async Task Loopback_Opened_IsNotReachedByAnotherName()
    {
        await StartAsync(("Loopback:0", $"localhost:{internet.Port}"));
        var client = new DocumentClient(await server.ScenarioAsync(), $"https://a.client.test:{internet.Port}/client.json", internet);
        client.Publish();
        internet.Names["a.client.test"] = [IPAddress.Loopback];

        await RefusedAsync(client, FetchFaults.NotPublic);
        // And an opened name that leads elsewhere is not taken there.
        internet.Names["localhost"] = [IPAddress.Parse("10.0.0.1")];
        await RefusedAsync(new DocumentClient(client.Scenario, $"https://localhost:{internet.Port}/client.json", internet), FetchFaults.NotPublic);
        Assert.Empty(internet.Connected);
    }

    private async Task StartAsync(params (string Name, string Value)[] settings)
    {
        foreach (var (name, value) in settings)
            server.Settings["McpAuth:ClientDocuments:" + name] = value;
        server.Replace ??= services => services.AddSingleton(internet.Network);
        await server.InitializeAsync();
    }

    private async Task<DocumentClient> PublishedAsync(string host = "a.client.test")
    {
        var client = new DocumentClient(await server.ScenarioAsync(), $"https://{host}/client.json", internet);
        client.Publish();
        return client;
    }

    private async Task RefusedAsync(DocumentClient client, string reason)
    {
        var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));
        var page = await new TestBrowser(server).GetAsync("/authorize?" + client.Query());
        Assert.Equal((HttpStatusCode.BadRequest, null), (page.Status, page.Location));
        await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.AuthorizationRefused, reason);
    }
}
