using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Authorizations;
using McpAuthServer.Clients.Registrations;
using McpAuthServer.Delegation;
using McpAuthServer.Registry;
using McpAuthServer.Tests.Harness;
using McpAuthServer.Tests.Registration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace McpAuthServer.Tests.Clients;

/// <summary>Clients that no administrator registered, at two nodes on one database.</summary>
[NeedsPostgres]
public sealed class ClientNodeTests : IAsyncLifetime
{
    private readonly TestInternet internet = new();
    private Nodes nodes = null!;
    private TestServer one = null!, two = null!;

    public async Task InitializeAsync()
    {
        if (PostgresBinaries.Requirement.Skip is not null)
            return;
        nodes = await Nodes.OnPostgresAsync();
        one = await StartAsync(nodes, internet);
        two = await StartAsync(nodes, internet);
    }

    public async Task DisposeAsync()
    {
        if (nodes is not null)
            await nodes.DisposeAsync();
        await internet.DisposeAsync();
    }

    internal static Task<TestServer> StartAsync(Nodes nodes, TestInternet internet, DateTimeOffset? now = null) => nodes.StartAsync(
        now, settings => (settings["McpAuth:DynamicRegistration:Enabled"], settings["McpAuth:DynamicRegistration:MaxClients"]) = ("true", "5"), services => services.AddSingleton(internet.Network));

    [Fact]
    public async Task Document_AllowedAtOneNode_IsAClientAtTheOther_WithoutAnotherFetch()
    {
        var s = await one.ScenarioAsync();
        await two.SeeRegistryAsync();
        var client = Published(s);
        var tokens = await client.TokensAsync(new PersonFlow(s));
        internet.Places.Clear();

        await (await RefreshAsync(two, client, tokens.RefreshToken!)).ReadAsync(ProtocolJson.Default.TokenResponse);
        Assert.Null(await SilentAsync(two, s, client.Query()));
        Assert.Single(internet.Requested);
    }

    [Fact]
    public async Task Document_ThatChangedAtOneNode_IsAnotherAtBoth()
    {
        var s = await one.ScenarioAsync();
        await two.SeeRegistryAsync();
        var client = Published(s);
        await new PersonFlow(s).CodeAsync(client.Query());
        Assert.Null(await SilentAsync(one, s, client.Query()));
        client.Publish(DocumentClient.WithKey(client.Key));
        foreach (var node in new[] { one, two })
            node.Time.Advance(TimeSpan.FromMinutes(5));

        Assert.Equal("consent_required", await SilentAsync(two, s, client.Query()));
        await one.SeeRegistryAsync();
        Assert.Equal("consent_required", await SilentAsync(one, s, client.Query()));

        Assert.Equal(2, internet.Requested.Count);
        Assert.Single(await one.EventsAsync($"type = '{AuditTypes.ClientChanged}'"));
    }

    /// <summary>What a person read was another document than the one that became the client meanwhile, at the other node.</summary>
    [Fact]
    public async Task Document_ThatIsAnotherAtEachNode_BecomesTheClientOnce_AndTheOtherIsReadAgain()
    {
        var s = await one.ScenarioAsync();
        await two.SeeRegistryAsync();
        var client = Published(s);
        var (person, requests) = (new PersonFlow(s), one.Services.GetRequiredService<AuthorizationRequests>());
        var session = await person.SignInAgainAsync();
        var snapshot = await one.Services.GetRequiredService<RegistryCache>().Current(default);
        var old = Assert.IsType<ReadRequest.Valid>(await requests.ReadAsync(client.Query(), snapshot, one.Time.GetUtcNow(), default)).Request;
        client.Publish(DocumentClient.WithKey(client.Key));
        await new PersonFlow(s, two).CodeAsync(client.Query());

        var issuer = one.Services.GetRequiredService<CodeIssuer>();
        var decision = McpAuthServer.Storage.Once.Decision("page", one.Time.GetUtcNow().AddMinutes(10));
        var (result, answer) = await issuer.IssueAsync(old, session, Approval.Of(old.Asked, Approval.Items(old.Asked, null, snapshot))!, decision, snapshot.Version);

        Assert.Equal((IssueOutcome.Stale, true), (result.Outcome, answer is null));
        // The person's answer is not used up by it, and the next reading is of what is the client by now.
        await person.CodeAsync(client.Query());
        Assert.Equal(1, await one.ScalarAsync($"select count(*) from clients where id = '{client.Id}' and auth_method = 'private_key_jwt'"));
        Assert.Single(await one.EventsAsync($"type = '{AuditTypes.ClientRegistered}'"));
    }

    /// <summary>What a node has in memory may be older than what another node made the client.</summary>
    [Fact]
    public async Task Document_InMemoryForLong_GivesWayToTheRow_AlsoWhenThatIsDue()
    {
        var s = await one.ScenarioAsync();
        await two.SeeRegistryAsync();
        var client = Published(s);
        client.Publish(document => document["client_name"] = "Old", "max-age=86400");
        Assert.Equal(HttpStatusCode.SeeOther, (await new TestBrowser(one).GetAsync("/authorize?" + client.Query())).Status);
        client.Publish(cacheControl: "max-age=600");
        await new PersonFlow(s, two).CodeAsync(client.Query());
        foreach (var node in new[] { one, two })
            node.Time.Advance(TimeSpan.FromMinutes(11));

        Assert.Null(await SilentAsync(one, s, client.Query()));
        Assert.Equal(3, internet.Requested.Count);
        Assert.Empty(await one.EventsAsync($"type = '{AuditTypes.ClientChanged}'"));
    }

    [Fact]
    public async Task Registration_AtOneNode_IsKnownAndChangedAndGoneAtBoth()
    {
        var s = await one.ScenarioAsync();
        await two.SeeRegistryAsync();
        var registration = await one.RegisterAsync();
        await new PersonFlow(s, two).CodeAsync(s.QueryOf(registration));
        Assert.Null(await SilentAsync(one, s, s.QueryOf(registration)));

        using var changed = await two.ManageRawAsync(HttpMethod.Put, registration, Registering.Public(json =>
            (json["client_id"], json["redirect_uris"]) = (registration.Text("client_id"), new JsonArray("https://app.example/other"))));
        Assert.Equal(HttpStatusCode.OK, changed.StatusCode);
        await one.SeeRegistryAsync();
        Assert.Equal(HttpStatusCode.BadRequest, (await new TestBrowser(one).GetAsync("/authorize?" + s.QueryOf(registration))).Status);

        Assert.Equal(HttpStatusCode.NoContent, (await one.ManageRawAsync(HttpMethod.Delete, registration)).StatusCode);
        foreach (var node in new[] { one, two })
            await node.SeeRegistryAsync();
        await (await two.ManageRawAsync(HttpMethod.Get, registration)).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_token");
        await (await s.RefreshRawAsync(registration, "rt_x")).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_client");
    }

    [Fact]
    [Trait("Attack", "15")]
    public async Task Registrations_FromBothNodes_AreBoundedTogether_AndExpireOnce()
    {
        foreach (var node in new[] { one, two, one, two, one })
            await node.RegisterAsync();
        foreach (var node in new[] { one, two })
            await (await node.RegisterRawAsync(Registering.Public().ToJsonString())).RefusedAsync(HttpStatusCode.ServiceUnavailable, "temporarily_unavailable");
        foreach (var node in new[] { one, two })
            node.Time.Set(node.Time.GetUtcNow().AddDays(8));

        await Task.WhenAll(new[] { one, two }.Select(node => node.Services.GetServices<IHostedService>().OfType<RegistrationExpiry>().Single().EndDueAsync(default)));

        Assert.Equal(0, await one.ScalarAsync("select count(*) from clients"));
        Assert.Equal(5, (await one.EventsAsync($"type = '{AuditTypes.ClientDeleted}'")).Count);
    }

    private DocumentClient Published(Scenario s)
    {
        var client = new DocumentClient(s, "https://d.client.test/client.json", internet);
        client.Publish();
        return client;
    }

    private static async Task<HttpResponseMessage> RefreshAsync(TestServer node, DocumentClient client, string token)
    {
        using var form = new FormUrlEncodedContent(new Dictionary<string, string> { ["grant_type"] = "refresh_token", ["refresh_token"] = token, ["client_id"] = client.Id });
        return await node.Client().PostAsync("/token", form);
    }

    private static async Task<string?> SilentAsync(TestServer node, Scenario s, string query)
    {
        var browser = new TestBrowser(node);
        await browser.SignInAsync(s.Person);
        var answer = await browser.GetAsync($"/authorize?{query}&prompt=none");
        Assert.True(answer.Location is not null, answer.Text);
        return System.Web.HttpUtility.ParseQueryString(new Uri(answer.Location!).Query)["error"];
    }
}

/// <summary>After a restart, on SQLite.</summary>
public sealed class ClientRestartTests
{
    [Fact]
    public async Task Clients_OfAllKinds_AreWhatTheyWere()
    {
        await using var internet = new TestInternet();
        await using var nodes = Nodes.OnSqlite();
        var server = await ClientNodeTests.StartAsync(nodes, internet);
        var s = await server.ScenarioAsync();
        var client = new DocumentClient(s, "https://d.client.test/client.json", internet);
        client.Publish(cacheControl: "max-age=86400");
        var byDocument = await client.TokensAsync(new PersonFlow(s));
        var registration = await server.RegisterAsync(Registering.Public(json => json["token_endpoint_auth_method"] = "client_secret_basic"));
        var byRegistration = await s.TokensAsync(registration, Registering.Basic(registration));
        var now = server.Time.GetUtcNow();
        await nodes.StopAsync(server);

        var again = await ClientNodeTests.StartAsync(nodes, internet, now.AddMinutes(1));
        using var refresh = new FormUrlEncodedContent(new Dictionary<string, string> { ["grant_type"] = "refresh_token", ["refresh_token"] = byDocument.RefreshToken!, ["client_id"] = client.Id });
        await (await again.Client().PostAsync("/token", refresh)).ReadAsync(ProtocolJson.Default.TokenResponse);
        using var second = new HttpRequestMessage(HttpMethod.Post, "/token")
        {
            Content = new FormUrlEncodedContent(new Dictionary<string, string> { ["grant_type"] = "refresh_token", ["refresh_token"] = byRegistration.RefreshToken! }),
        };
        Registering.Basic(registration)(second);
        await (await again.Client().SendAsync(second)).ReadAsync(ProtocolJson.Default.TokenResponse);
        using var shown = await again.ManageRawAsync(HttpMethod.Get, registration);
        Assert.Equal(registration.Text("client_id"), JsonElement.Parse(await shown.Content.ReadAsStringAsync()).Text("client_id"));
        Assert.Single(internet.Requested);
    }
}
