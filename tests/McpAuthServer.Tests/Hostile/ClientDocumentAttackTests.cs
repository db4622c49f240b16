using System.Diagnostics;
using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol.Audit;
using McpAuthServer.Clients.Documents;
using McpAuthServer.Tests.Clients.Documents;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Hostile;

/// <summary>What can be done with a client id that is an address, by whoever makes people's browsers come here with one.</summary>
public sealed class ClientDocumentAttackTests(OnTheInternet internet) : IClassFixture<OnTheInternet>
{
    private readonly TestServer server = internet.Server;

    [Theory, MemberData(nameof(PublicAddressTests.Named), MemberType = typeof(PublicAddressTests))]
    [Trait("Attack", "18")]
    public async Task Document_AtANameWithASpecialAddress_IsNotContacted(string address)
    {
        var client = internet.Client(await server.ScenarioAsync());
        internet.Internet.Names[client.Host] = [IPAddress.Parse(address)];

        await StaysHereAsync(client.Query(), FetchFaults.NotPublic, connections: 0);
    }

    [Theory, MemberData(nameof(FetchPolicyTests.Disguises), MemberType = typeof(FetchPolicyTests))]
    [Trait("Attack", "18")]
    [Trait("Attack", "19")]
    public async Task Document_AtAnAddressInAnyNotation_IsNotEvenLookedUp(string host)
    {
        var s = await server.ScenarioAsync();
        var asked = internet.Contacts.Asked;

        await StaysHereAsync(s.AuthorizeQuery(new Dictionary<string, string?> { ["client_id"] = $"https://{host}/client.json" }), FetchFaults.Address, connections: 0);
        await StaysHereAsync(s.AuthorizeQuery(new Dictionary<string, string?> { ["client_id"] = $"https://{host}:{internet.Internet.Port}/client.json" }), FetchFaults.Address, connections: 0);

        Assert.Equal(asked, internet.Contacts.Asked);
    }

    [Theory]
    [InlineData("http://HOST/client.json", "unknown_client")]
    [InlineData("HTTPS://HOST/client.json", "unknown_client")]
    [InlineData("https://HOST", FetchFaults.Address)]
    [InlineData("https://HOST/", FetchFaults.Address)]
    [InlineData("https://HOST/client.json#", FetchFaults.Address)]
    [InlineData("https://HOST/client.json#x", FetchFaults.Address)]
    [InlineData("https://user@HOST/client.json", FetchFaults.Address)]
    [InlineData("https://user:secret@HOST/client.json", FetchFaults.Address)]
    [InlineData("https://HOST/./client.json", FetchFaults.Address)]
    [InlineData("https://HOST/x/../client.json", FetchFaults.Address)]
    [InlineData("https://HOST/%2e%2e/client.json", FetchFaults.Address)]
    [InlineData("https://HOST/client.json?", FetchFaults.Address)]
    [InlineData("https://HOST/client.json?x=1", FetchFaults.Address)]
    [InlineData("https://HOST:443/client.json", FetchFaults.Address)]
    [InlineData("https://HOST:/client.json", FetchFaults.Address)]
    [InlineData("https://HOST\\client.json", FetchFaults.Address)]
    [InlineData("https://HOST./client.json", FetchFaults.Address)]
    [InlineData("https://HOST/%63lient.json", FetchFaults.Address)]
    [InlineData("https://HOST/client;v=1", FetchFaults.Address)]
    [InlineData("https://HOST/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789", FetchFaults.Address)]
    [Trait("Attack", "27")]
    public async Task Address_ThatIsNone_IsRefusedBeforeAnyFetch(string address, string reason)
    {
        var client = internet.Client(await server.ScenarioAsync());
        var contacts = internet.Contacts;

        await StaysHereAsync(client.Query(new() { ["client_id"] = address.Replace("HOST", client.Host, StringComparison.Ordinal) }), reason, connections: 0);

        Assert.Equal(contacts, internet.Contacts);
    }

    [Theory]
    [InlineData(301)]
    [InlineData(302)]
    [InlineData(307)]
    [Trait("Attack", "21")]
    public async Task Document_ThatIsSentOn_IsNotFollowed(int status)
    {
        var s = await server.ScenarioAsync();
        var (client, good) = (internet.Client(s), internet.Client(s));
        internet.Internet.Places[client.Host + "/client.json"] = TestPlace.Of(status, "", ["Content-Type: application/json", $"Location: {good.Id}"]);

        await StaysHereAsync(client.Query(), FetchFaults.Redirect, connections: 1);

        Assert.DoesNotContain(internet.Internet.Requested, r => r.StartsWith(good.Host, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("https://HOST/Client.json")]
    [InlineData("https://HOST/client.json/")]
    [InlineData("https://HOST:443/client.json")]
    [InlineData("https://HOST/./client.json")]
    [InlineData("HTTPS://HOST/client.json")]
    [InlineData("https://other.client.test/client.json")]
    [InlineData("https://HOST/client.json ")]
    [InlineData("")]
    [InlineData(null)]
    [Trait("Attack", "24")]
    public async Task Document_ThatIsAboutAnotherAddress_IsRefused(string? said)
    {
        var client = internet.Client(await server.ScenarioAsync());
        client.Publish(document => document["client_id"] = said?.Replace("HOST", client.Host, StringComparison.Ordinal));

        await StaysHereAsync(client.Query(), FetchFaults.ClientId, connections: 1);
    }

    [Fact]
    [Trait("Attack", "24")]
    public async Task Document_AboutAnotherAddress_IsNoClientByThatAddressEither()
    {
        var s = await server.ScenarioAsync();
        var (client, other) = (internet.Client(s), internet.Client(s));
        client.Publish(document => document["client_id"] = other.Id);
        internet.Internet.Places.TryRemove(other.Host + "/client.json", out _);

        await StaysHereAsync(client.Query(), FetchFaults.ClientId, connections: 1);
        await StaysHereAsync(other.Query(), FetchFaults.Status, connections: 1);
    }

    [Theory]
    [InlineData("client_secret", "\"a-secret-that-everybody-can-read\"")]
    [InlineData("client_secret_expires_at", "0")]
    [InlineData("token_endpoint_auth_method", "\"client_secret_basic\"")]
    [InlineData("token_endpoint_auth_method", "\"client_secret_post\"")]
    [InlineData("token_endpoint_auth_method", "\"client_secret_jwt\"")]
    [Trait("Attack", "26")]
    public async Task Document_WithASecretOrItsMethod_IsRefused(string member, string value)
    {
        var client = internet.Client(await server.ScenarioAsync());
        client.Publish(document => document[member] = JsonNode.Parse(value));

        await StaysHereAsync(client.Query(), FetchFaults.Metadata, connections: 1);

        Assert.DoesNotContain("a-secret-that-everybody-can-read", string.Join('\n', server.Logs.Lines), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{\"client_id\":\"ID\",\"redirect_uris\":[\"https://HOST/cb\"],\"client_id\":\"ID\"}")]
    [InlineData("{\"client_id\":\"ID\",\"redirect_uris\":[\"https://HOST/cb\"],\"Client_Id\":\"ID\"}")]
    [InlineData("\uFEFF{\"client_id\":\"ID\",\"redirect_uris\":[\"https://HOST/cb\"]}")]
    [InlineData("{\"client_id\":\"ID\",\"redirect_uris\":[\"https://HOST/cb\"]} x")]
    [InlineData("NESTED")]
    public async Task Document_ThatIsNoStrictJson_IsRefused(string text)
    {
        var client = internet.Client(await server.ScenarioAsync());
        internet.Internet.Put(client.Id, text.Replace("ID", client.Id, StringComparison.Ordinal).Replace("HOST", client.Host, StringComparison.Ordinal)
            .Replace("NESTED", $"{{\"client_id\":\"{client.Id}\",\"x\":{new string('[', 1000)}{new string(']', 1000)}}}", StringComparison.Ordinal));

        await StaysHereAsync(client.Query(), FetchFaults.Malformed, connections: 1);
    }

    [Fact]
    public async Task Document_ThatFailed_IsLeftAloneForAWhile_AndIsNeverAClient()
    {
        var client = internet.Client(await server.ScenarioAsync());
        internet.Internet.Places[client.Host + "/client.json"] = TestPlace.Of(404, "", []);
        await StaysHereAsync(client.Query(), FetchFaults.Status, connections: 1);

        client.Publish();
        for (var i = 0; i < 20; i++)
            await StaysHereAsync(client.Query(), FetchFaults.Status, connections: 0);

        server.Time.Advance(FetchOnce<object>.BackOff);
        Assert.Equal(HttpStatusCode.SeeOther, (await new TestBrowser(server).GetAsync("/authorize?" + client.Query())).Status);
    }

    /// <summary>Nobody learns from the page what the server's network looks like.</summary>
    [Fact]
    [Trait("Attack", "18")]
    public async Task Page_OfARefusedFetch_SaysTheSameOfAllThatLiesOnTheWay()
    {
        var s = await server.ScenarioAsync();
        var (inside, silent, missing) = (internet.Client(s), internet.Client(s), internet.Client(s));
        internet.Internet.Names[inside.Host] = [IPAddress.Parse("10.0.0.1")];
        internet.Internet.Names[silent.Host] = [];
        internet.Internet.Places[missing.Host + "/client.json"] = TestPlace.Of(404, "", []);

        var pages = new List<string>();
        foreach (var client in new[] { inside, silent, missing })
            pages.Add((await new TestBrowser(server).GetAsync("/authorize?" + client.Query())).Text);
        Assert.Single(pages.Distinct());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    [Trait("Attack", "23")]
    public async Task Documents_OfTwoHundredSlowServers_AreGivenUp_AndNobodyElseNotices(bool dripping)
    {
        // A client that people use, whose document is due just now.
        var s = await server.ScenarioAsync();
        var used = internet.Client(s);
        var person = new PersonFlow(s);
        var tokens = await used.TokensAsync(person);
        server.Time.Advance(TimeSpan.FromMinutes(5));
        var slow = Enumerable.Range(0, 200).Select(_ => internet.Client(s)).ToList();
        foreach (var client in slow)
            internet.Internet.Places[client.Host + "/client.json"] = dripping ? TestPlace.Dripping(new string(' ', 4000)) : TestPlace.Silent;
        var (mark, rows) = (await server.NowAsync(), await server.ScalarAsync("select count(*) from clients"));

        var attack = slow.Select(async client =>
        {
            var watch = Stopwatch.StartNew();
            var page = await new TestBrowser(server).GetAsync("/authorize?" + client.Query());
            return (page.Status, page.Location, watch.Elapsed);
        }).ToList();
        var meanwhile = Stopwatch.StartNew();
        Assert.Equal(HttpStatusCode.SeeOther, (await new TestBrowser(server).GetAsync("/authorize?" + used.Query())).Status);
        await (await s.ServiceTokenAsync()).ReadAsync(McpAuth.Protocol.Messages.ProtocolJson.Default.TokenResponse);
        await (await used.RefreshRawAsync(tokens.RefreshToken!)).ReadAsync(McpAuth.Protocol.Messages.ProtocolJson.Default.TokenResponse);
        var others = meanwhile.Elapsed;

        foreach (var (status, location, took) in await Task.WhenAll(attack))
        {
            Assert.Equal((HttpStatusCode.BadRequest, null), (status, location));
            // Five times the five seconds that are promised.
            Assert.True(took < TimeSpan.FromSeconds(25), $"{took}");
        }
        Assert.True(others < TimeSpan.FromSeconds(10), $"{others}");
        var refused = (await server.SinceAsync(mark)).Where(e => e.Type == AuditTypes.AuthorizationRefused).ToList();
        Assert.Equal(200, refused.Count);
        Assert.Subset(new HashSet<string?> { FetchFaults.Timeout, FetchFaults.Busy }, refused.Select(e => e.Reason).ToHashSet());
        Assert.Equal(rows, await server.ScalarAsync("select count(*) from clients"));
        // And a stranger's document is fetched again.
        Assert.Equal(HttpStatusCode.SeeOther, (await new TestBrowser(server).GetAsync("/authorize?" + internet.Client(s).Query())).Status);
    }

    /// <summary>However many addresses people are sent here with: rows and memory do not grow by them.</summary>
    [Fact]
    [Trait("Attack", "15")]
    public async Task Documents_OfStrangers_TakeNoRow()
    {
        var s = await server.ScenarioAsync();
        var rows = await server.ScalarAsync("select count(*) from clients");
        var mark = await server.NowAsync();

        for (var i = 0; i < 50; i++)
            Assert.Equal(HttpStatusCode.SeeOther, (await new TestBrowser(server).GetAsync("/authorize?" + internet.Client(s).Query())).Status);

        Assert.Equal(rows, await server.ScalarAsync("select count(*) from clients"));
        Assert.Empty(await server.SinceAsync(mark));
    }

    /// <summary>A page of this server, no redirect, one event with the reason, no effect, and no more connections than these.</summary>
    private async Task StaysHereAsync(string query, string reason, int connections)
    {
        var (mark, before, connected, clients) = (await server.NowAsync(), await Footprint.OfAsync(server), internet.Contacts.Connected, await server.ScalarAsync("select count(*) from clients"));

        var page = await new TestBrowser(server).GetAsync("/authorize?" + query);

        Assert.Equal((HttpStatusCode.BadRequest, null), (page.Status, page.Location));
        await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.AuthorizationRefused, reason);
        Assert.Equal(connected + connections, internet.Contacts.Connected);
        Assert.Equal(clients, await server.ScalarAsync("select count(*) from clients"));
    }
}
