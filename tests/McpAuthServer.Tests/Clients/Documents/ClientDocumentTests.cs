using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Clients.Documents;
using McpAuthServer.Registry;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Clients.Documents;

[Trait("Spec", "CIMD")]
public sealed class ClientDocumentTests(OnTheInternet internet) : IClassFixture<OnTheInternet>
{
    private readonly TestServer server = internet.Server;

    [Fact]
    [Trait("Attack", "52")]
    public async Task Authorize_ByAClientsDocument_AsksThePerson_AndOnlyThenKeepsAnything()
    {
        var s = await server.ScenarioAsync();
        var client = internet.Client(s);
        var mark = await server.NowAsync();
        var browser = new TestBrowser(server);

        var page = await browser.FollowAsync(await browser.GetAsync("/authorize?" + client.Query()));
        Assert.EndsWith(Names.Paths.SignIn, page.Form(Names.Paths.SignIn).Action, StringComparison.Ordinal);
        Assert.Equal((0, 0), (await RowsAsync(client), (await server.SinceAsync(mark)).Count));
        await browser.SignInAsync(s.Person);
        page = await browser.FollowAsync(await browser.GetAsync("/authorize?" + client.Query()));

        Assert.Contains($"Program of {client.Host} asks for access", page.Heading, StringComparison.Ordinal);
        Assert.Contains(client.Id, page.Text, StringComparison.Ordinal);
        Assert.Contains($"Nobody here has checked its name. It is published at {client.Host}.", page.Text, StringComparison.Ordinal);
        Assert.Equal(0, await RowsAsync(client));
        var answer = await browser.PostFormAsync(page, new() { ["decision"] = "allow" }, Names.Paths.Consent);
        var code = System.Web.HttpUtility.ParseQueryString(new Uri(answer.Location!).Query)["code"]!;
        var tokens = await (await client.RedeemRawAsync(code)).ReadAsync(ProtocolJson.Default.TokenResponse);

        Assert.NotNull(tokens.RefreshToken);
        Assert.Equal(client.Id, Answers.Claims(tokens.AccessToken).GetProperty("client_id").GetString());
        Assert.Equal(1, await RowsAsync(client));
        var registered = Assert.Single(await server.SinceAsync(mark), e => e.Type == AuditTypes.ClientRegistered);
        Assert.Equal((client.Id, "document"), (registered.Client, (string?)registered.Data!["origin"]));
        // All of it from one question.
        Assert.Single(internet.Internet.Requested, r => r.StartsWith(client.Host, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Document_WhileItIsFresh_IsNotFetchedAgain_AndAfterwardsIs()
    {
        var (s, client, person) = await KnownAsync(c => c.Publish(cacheControl: "max-age=600"));
        Assert.Equal(1, Fetches(client));

        server.Time.Advance(TimeSpan.FromMinutes(9));
        await person.CodeAsync(client.Query());
        Assert.Equal(1, Fetches(client));

        server.Time.Advance(TimeSpan.FromMinutes(2));
        var mark = await server.NowAsync();
        await person.CodeAsync(client.Query());
        Assert.Equal(2, Fetches(client));
        Assert.DoesNotContain(await server.SinceAsync(mark), e => e.Type == AuditTypes.ClientChanged);
        // It says again for how long, and the row has it: every node goes by that.
        Assert.Equal(server.Time.GetUtcNow().AddMinutes(10).ToUnixTimeMilliseconds(), await server.ScalarAsync($"select fresh_until from clients where id = '{client.Id}'"));
        await person.CodeAsync(client.Query());
        Assert.Equal(2, Fetches(client));
    }

    [Fact]
    public async Task Document_WithOtherKeys_LeavesTheRememberedConsentWithoutAnswer()
    {
        var s = await server.ScenarioAsync();
        using var first = SigningKey.Create();
        using var second = SigningKey.Create();
        var client = internet.Client(s, DocumentClient.WithKey(first));
        var person = new PersonFlow(s);
        await person.CodeAsync(client.Query());
        Assert.Null(await SilentAsync(s, client));

        client.Publish(DocumentClient.WithKey(second));
        server.Time.Advance(TimeSpan.FromMinutes(5));
        var (mark, version) = (await server.NowAsync(), await VersionAsync());

        Assert.Equal("consent_required", await SilentAsync(s, client));
        var changed = Assert.Single(await server.SinceAsync(mark), e => e.Type == AuditTypes.ClientChanged);
        Assert.Equal((client.Id, "jwks"), (changed.Client, (string?)Assert.Single(changed.Data!["members"]!.AsArray())));
        Assert.Equal(version + 1, await VersionAsync());
        // Once a person has said yes to the new ones, that is remembered.
        await server.SeeRegistryAsync();
        await person.CodeAsync(client.Query());
        Assert.Null(await SilentAsync(s, client));
    }

    [Fact]
    public async Task Document_WithOtherRedirects_RefusesTheOldOnes_AndAsksForTheNew()
    {
        var (s, client, person) = await KnownAsync();
        Assert.Null(await SilentAsync(s, client));

        client.Publish(document => document["redirect_uris"] = new JsonArray($"https://{client.Host}/other"));
        server.Time.Advance(TimeSpan.FromMinutes(5));

        var old = await new TestBrowser(server).GetAsync("/authorize?" + client.Query());
        Assert.Equal((HttpStatusCode.BadRequest, null), (old.Status, old.Location));
        Assert.Equal("consent_required", await SilentAsync(s, client, $"https://{client.Host}/other"));
    }

    [Fact]
    public async Task Document_ThatMayDoWithoutAKeyByNow_IsAnotherPartyToTheConsent()
    {
        var s = await server.ScenarioAsync();
        using var key = SigningKey.Create();
        var client = internet.Client(s, DocumentClient.WithKey(key));
        await new PersonFlow(s).CodeAsync(client.Query());

        client.Publish(document =>
        {
            DocumentClient.WithKey(key)(document);
            document["token_endpoint_auth_methods_supported"] = new JsonArray("none", "private_key_jwt");
        });
        server.Time.Advance(TimeSpan.FromMinutes(5));

        Assert.Equal("consent_required", await SilentAsync(s, client));
    }

    [Fact]
    public async Task Refresh_OfAPublicClient_GoesOnWhenItsDocumentIsGone_AndNothingNewBegins()
    {
        var (s, client, person) = await KnownAsync();
        var tokens = await client.TokensAsync(person);
        internet.Internet.Places[client.Host + "/client.json"] = TestPlace.Of(404, "", []);
        server.Time.Advance(TimeSpan.FromMinutes(6));

        tokens = await (await client.RefreshRawAsync(tokens.RefreshToken!)).ReadAsync(ProtocolJson.Default.TokenResponse);

        Assert.Equal(1, Fetches(client));
        var mark = await server.NowAsync();
        var page = await new TestBrowser(server).GetAsync("/authorize?" + client.Query());
        Assert.Equal((HttpStatusCode.BadRequest, null), (page.Status, page.Location));
        Assert.Equal(FetchFaults.Status, Assert.Single(await server.SinceAsync(mark)).Reason);
    }

    [Fact]
    [Trait("Spec", "CIMD-8.2")]
    public async Task Token_OfAClientWithAKey_TakesItsAssertion_AndNothingElse()
    {
        var s = await server.ScenarioAsync();
        var client = internet.Client(s);
        client.Publish(DocumentClient.WithKey(client.Key));
        var person = new PersonFlow(s);
        var code = await person.CodeAsync(client.Query());

        await (await client.RedeemRawAsync(code)).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_client");
        using var other = SigningKey.Create();
        await (await client.RedeemRawAsync(code, client.Assertion(key: other))).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_client");
        var tokens = await (await client.RedeemRawAsync(code, client.Assertion())).ReadAsync(ProtocolJson.Default.TokenResponse);

        // The keys must be those of now: a document that is due and cannot be had vouches for none.
        server.Time.Advance(TimeSpan.FromMinutes(6));
        internet.Internet.Places[client.Host + "/client.json"] = TestPlace.Of(500, "", []);
        var mark = await server.NowAsync();
        await (await client.RefreshRawAsync(tokens.RefreshToken!, client.Assertion())).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_client");
        Assert.Equal((AuditTypes.ClientRefused, FetchFaults.Status, client.Id), Assert.Single(await server.SinceAsync(mark)) is var e ? (e.Type, e.Reason, e.Client) : default);
        client.Publish(DocumentClient.WithKey(client.Key));
        server.Time.Advance(FetchOnce<ClientRecord>.BackOff);
        await (await client.RefreshRawAsync(tokens.RefreshToken!, client.Assertion())).ReadAsync(ProtocolJson.Default.TokenResponse);
    }

    /// <summary>As ChatGPT's: it prefers a key, names the token endpoint as audience, and says that it can also do without.</summary>
    [Fact]
    [Trait("Spec", "CIMD-8.2")]
    public async Task Token_OfAClientThatListsAKeyAndNone_TakesBoth()
    {
        var s = await server.ScenarioAsync();
        var client = internet.Client(s);
        client.Publish(document =>
        {
            document["token_endpoint_auth_method"] = "private_key_jwt";
            document["token_endpoint_auth_methods_supported"] = new JsonArray("none", "private_key_jwt");
            document["token_endpoint_auth_signing_alg"] = "ES256";
            document["jwks_uri"] = client.KeySet;
        });
        client.PublishKeys(client.Key);
        var person = new PersonFlow(s);

        await client.TokensAsync(person);
        Assert.DoesNotContain(internet.Internet.Requested, r => r == client.Host + "/jwks.json");
        await client.TokensAsync(person, client.Assertion(audience: TestServer.Issuer + Names.Paths.Token));
        await client.TokensAsync(person, client.Assertion());

        // Whoever brings an assertion is judged by it.
        using var other = SigningKey.Create();
        await (await client.RedeemRawAsync(await person.CodeAsync(client.Query()), client.Assertion(key: other))).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_client");
    }

    [Fact]
    [Trait("Spec", "RFC7591-2")]
    public async Task Keys_AtAnAddress_AreFetchedWhenOneIsNeeded_AndAgainForAnUnknownOne()
    {
        var s = await server.ScenarioAsync();
        var client = internet.Client(s);
        client.Publish(document => (document["token_endpoint_auth_method"], document["jwks_uri"]) = ("private_key_jwt", client.KeySet), "max-age=86400");
        client.PublishKeys(client.Key);
        var person = new PersonFlow(s);
        int Asked() => internet.Internet.Requested.Count(r => r == client.Host + "/jwks.json");

        var code = await person.CodeAsync(client.Query());
        Assert.Equal(0, Asked());
        var tokens = await (await client.RedeemRawAsync(code, client.Assertion())).ReadAsync(ProtocolJson.Default.TokenResponse);
        Assert.Equal(1, Asked());

        // A new key, published: asked for once, and used; not within the pause after the last question.
        using var next = SigningKey.Create();
        client.PublishKeys(client.Key, next);
        await (await client.RefreshRawAsync(tokens.RefreshToken!, client.Assertion(key: next))).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_client");
        Assert.Equal(1, Asked());
        server.Time.Advance(FetchOnce<ClientRecord>.BackOff);
        tokens = await (await client.RefreshRawAsync(tokens.RefreshToken!, client.Assertion(key: next))).ReadAsync(ProtocolJson.Default.TokenResponse);
        Assert.Equal(2, Asked());

        // Keys of nobody's do not make this server ask on and on.
        for (var i = 0; i < 10; i++)
        {
            using var stranger = SigningKey.Create();
            await (await client.RefreshRawAsync(tokens.RefreshToken!, client.Assertion(key: stranger))).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_client");
        }
        Assert.Equal(2, Asked());

        // The consent stands: the address of the keys is the same.
        Assert.Null(await SilentAsync(s, client));
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("169.254.169.254")]
    [InlineData("::1")]
    [Trait("Attack", "14")]
    public async Task Keys_AtAnAddressOfThisMachineOrItsNetwork_AreNeverAskedFor(string address)
    {
        var s = await server.ScenarioAsync();
        var client = internet.Client(s);
        var inside = $"inside-{Guid.CreateVersion7():N}.client.test";
        internet.Internet.Names[inside] = [IPAddress.Parse(address)];
        client.Publish(document =>
        {
            (document["token_endpoint_auth_method"], document["jwks_uri"]) = ("private_key_jwt", $"https://{inside}/jwks.json");
            (document["logo_uri"], document["client_uri"], document["tos_uri"], document["policy_uri"]) = ($"https://{inside}/logo.png", $"https://{inside}/", $"https://{inside}/tos", $"https://{inside}/policy");
        });
        var code = await new PersonFlow(s).CodeAsync(client.Query());
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        var page = await browser.FollowAsync(await browser.GetAsync("/authorize?" + client.Query(new() { ["prompt"] = "consent" })));
        var (connected, mark, before) = (internet.Contacts.Connected, await server.NowAsync(), await Footprint.OfAsync(server));

        await (await client.RedeemRawAsync(code, client.Assertion())).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_client");

        Assert.Equal(connected, internet.Contacts.Connected);
        await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.ClientRefused, FetchFaults.NotPublic);
        // Nor is it put before a person's browser.
        Assert.DoesNotContain(inside, page.Html, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Spec", "RFC9126-2.1")]
    public async Task PushedRequest_OfAClientByItsDocument_IsTaken_ByWhatTheDocumentSaysNow()
    {
        var (s, client, _) = await KnownAsync();
        client.Publish(document => document["redirect_uris"] = new JsonArray($"https://{client.Host}/other"));
        server.Time.Advance(TimeSpan.FromMinutes(5));
        using var form = new FormUrlEncodedContent(System.Web.HttpUtility.ParseQueryString(client.Query(new() { ["redirect_uri"] = $"https://{client.Host}/other" })) is var q
            ? q.AllKeys.Select(k => KeyValuePair.Create(k!, q[k]!)) : []);

        using var pushed = await server.Client().PostAsync(Names.Paths.PushedRequests, form);

        Assert.Equal(HttpStatusCode.Created, pushed.StatusCode);
    }

    [Fact]
    [Trait("Spec", "RFC8628-3.1")]
    public async Task Device_OfAClientByItsDocument_Waits_BeforeAnybodyHasAllowedItAnything()
    {
        var s = await server.ScenarioAsync();
        var client = internet.Client(s, document => document["grant_types"] = new JsonArray(Names.Device.GrantType));
        using var begin = new FormUrlEncodedContent(new Dictionary<string, string> { ["client_id"] = client.Id, ["resource"] = s.Resource, ["scope"] = "tools:read" });
        using var begun = await server.Client().PostAsync(Names.Paths.DeviceAuthorization, begin);
        var device = JsonElement.Parse(await begun.Content.ReadAsStringAsync()).GetProperty("device_code").GetString()!;

        using var poll = new FormUrlEncodedContent(new Dictionary<string, string> { ["grant_type"] = Names.Device.GrantType, ["client_id"] = client.Id, ["device_code"] = device });
        await (await server.Client().PostAsync(Names.Paths.Token, poll)).RefusedAsync(HttpStatusCode.BadRequest, Names.Device.AuthorizationPending);
    }

    [Fact]
    public async Task Client_ThatTheRegistryNamesByItsAddress_IsTheRegistrys_AndNothingIsFetched()
    {
        var s = await server.ScenarioAsync();
        var client = internet.Client(s);
        await server.ApplyAsync(new JsonObject
        {
            ["clients"] = new JsonArray(new JsonObject
            {
                ["id"] = client.Id, ["name"] = "By the registry", ["auth_method"] = "none", ["grant_types"] = new JsonArray("authorization_code"), ["redirect_uris"] = new JsonArray("https://registered.test/cb"),
            }),
        }.ToJsonString());

        var page = await new TestBrowser(server).GetAsync("/authorize?" + client.Query());
        Assert.Contains("By the registry sent you here with a return address", page.Text, StringComparison.Ordinal);
        await new PersonFlow(s).CodeAsync(client.Query(new() { ["redirect_uri"] = "https://registered.test/cb" }));
        Assert.Equal(0, Fetches(client));
    }

    [Fact]
    public async Task Client_ThatTheRegistryTakesOver_IsNoDocumentsAnyMore_AndCanBeSuspended()
    {
        var (s, client, person) = await KnownAsync();
        var tokens = await client.TokensAsync(person);
        JsonObject File(string? state) => new()
        {
            ["clients"] = new JsonArray(new JsonObject
            {
                ["id"] = client.Id, ["name"] = "Taken over", ["auth_method"] = "none", ["grant_types"] = new JsonArray("authorization_code", "refresh_token"),
                ["redirect_uris"] = new JsonArray(client.RedirectUri), ["state"] = state,
            }),
        };

        await server.ApplyAsync(File("active").ToJsonString());
        server.Time.Advance(TimeSpan.FromMinutes(6));
        Assert.Null(await SilentAsync(s, client));
        Assert.Equal(1, Fetches(client));
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from clients where id = '{client.Id}' and origin = 'registered' and metadata is null and fresh_until is null"));

        await server.ApplyAsync(File("suspended").ToJsonString());
        await (await client.RefreshRawAsync(tokens.RefreshToken!)).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_client");
        Assert.Equal(HttpStatusCode.BadRequest, (await new TestBrowser(server).GetAsync("/authorize?" + client.Query())).Status);
    }

    [Fact]
    public async Task Metadata_SaysThatDocumentsAreTaken_AndThatClientsMayDoWithoutAKey()
    {
        var metadata = JsonElement.Parse(await server.Client().GetStringAsync(Names.Paths.OAuthMetadata));

        Assert.True(metadata.GetProperty("client_id_metadata_document_supported").GetBoolean());
        Assert.Contains("none", metadata.GetProperty("token_endpoint_auth_methods_supported").EnumerateArray().Select(m => m.GetString()));
    }

    /// <summary>A client that a person has allowed something.</summary>
    private async Task<(Scenario Scenario, DocumentClient Client, PersonFlow Person)> KnownAsync(Action<DocumentClient>? publish = null)
    {
        var s = await server.ScenarioAsync();
        var client = internet.Client(s);
        publish?.Invoke(client);
        var person = new PersonFlow(s);
        await person.CodeAsync(client.Query());
        return (s, client, person);
    }

    /// <summary>The error of a request that must not ask the person, null when a remembered consent answered it.</summary>
    private async Task<string?> SilentAsync(Scenario s, DocumentClient client, string? redirect = null)
    {
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        var answer = await browser.GetAsync("/authorize?" + client.Query(new() { ["prompt"] = "none", ["redirect_uri"] = redirect ?? client.RedirectUri }));
        Assert.True(answer.Location?.StartsWith(redirect ?? client.RedirectUri, StringComparison.Ordinal), $"{answer.Status} {answer.Text}");
        return System.Web.HttpUtility.ParseQueryString(new Uri(answer.Location!).Query)["error"];
    }

    private int Fetches(DocumentClient client) => internet.Internet.Requested.Count(r => r == client.Host + "/client.json");

    private Task<long> RowsAsync(DocumentClient client) => server.ScalarAsync($"select count(*) from clients where id = '{client.Id}'");

    private Task<long> VersionAsync() => server.ScalarAsync("select version from registry");
}
