using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol.Audit;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Registration;

public sealed class ManagementTests(RegisteringServer fixture) : IClassFixture<RegisteringServer>
{
    private readonly TestServer server = fixture.Server;

    [Fact]
    [Trait("Spec", "RFC7592-2.1")]
    public async Task Get_ByTheRegistrationsToken_ShowsWhatIsRegistered()
    {
        var registration = await server.RegisterAsync();

        using var response = await server.ManageRawAsync(HttpMethod.Get, registration);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.True(response.Headers.CacheControl?.NoStore);
        // All of it, the token that the client has included.
        Assert.Equal(registration.GetRawText(), await response.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("GET")]
    [InlineData("PUT")]
    [InlineData("DELETE")]
    [InlineData("PATCH")]
    [Trait("Spec", "RFC7592-2.1")]
    public async Task AnyCall_WithoutItsToken_IsRefused_WhetherTheClientExistsOrNot(string method)
    {
        var (registration, other) = (await server.RegisterAsync(), await server.RegisterAsync());
        foreach (var (token, of, known) in new[]
        {
            (null, registration, true), ("", registration, true), ("reg_wrong", registration, true), (other.Text("registration_access_token"), registration, true),
            (registration.Text("client_id"), registration, true), (registration.Text("registration_access_token"), JsonElement.Parse(registration.GetRawText().Replace("/register/dyn_", "/register/dyn_0", StringComparison.Ordinal)), false),
        })
        {
            var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));
            using var response = await server.ManageRawAsync(new HttpMethod(method), of, Registering.Public(), token);
            await response.RefusedAsync(HttpStatusCode.Unauthorized, "invalid_token");
            // RFC 6750 §3.1: without a token there is no error to name.
            var told = string.IsNullOrEmpty(token) ? "realm=\"registration\"" : "error=\"invalid_token\"";
            Assert.Equal($"Bearer {told}", response.Headers.WwwAuthenticate.Single().ToString());
            var e = await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.RegistrationRefused, "invalid_token");
            Assert.Equal(known ? registration.Text("client_id") : null, e.Client);
        }
        using var still = await server.ManageRawAsync(HttpMethod.Get, registration);
        Assert.Equal(HttpStatusCode.OK, still.StatusCode);
    }

    [Fact]
    [Trait("Attack", "127"), Trait("Spec", "RFC6750-3.1")]
    public async Task AnyCall_WithTwoTokens_IsABadRequest()
    {
        var registration = await server.RegisterAsync();
        var token = "Bearer " + registration.Text("registration_access_token");
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(registration.Text("registration_client_uri")).PathAndQuery);
        request.Headers.TryAddWithoutValidation("Authorization", [token, token]);

        using var response = await server.Client().SendAsync(request);

        await response.RefusedAsync(HttpStatusCode.BadRequest, "invalid_request");
        Assert.Equal("Bearer error=\"invalid_request\"", Assert.Single(response.Headers.WwwAuthenticate).ToString());
    }

    [Fact]
    [Trait("Spec", "RFC7592-2.2")]
    public async Task Put_ReplacesAll_AndWhatPeopleRememberedForTheOldOnesAnswersNothing()
    {
        var s = await server.ScenarioAsync();
        var registration = await server.RegisterAsync(Registering.Public(json => json["post_logout_redirect_uris"] = new JsonArray("https://app.example/out")));
        await s.TokensAsync(registration);
        Assert.Null(await SilentAsync(s, registration));
        var (mark, version) = (await server.NowAsync(), await server.ScalarAsync("select version from registry"));

        var changed = await PutAsync(registration, json =>
        {
            json["client_name"] = "Another name";
            json["redirect_uris"] = new JsonArray("https://app.example/other");
        });

        Assert.Equal(("Another name", "https://app.example/other", false), (changed.Text("client_name"), changed.GetProperty("redirect_uris")[0].GetString(), changed.TryGetProperty("post_logout_redirect_uris", out _)));
        // It is the same registration, under the same token.
        Assert.Equal(registration.Text("registration_access_token"), changed.Text("registration_access_token"));
        Assert.Equal(registration.GetProperty("client_id_issued_at").GetInt64(), changed.GetProperty("client_id_issued_at").GetInt64());
        Assert.Equal(version + 1, await server.ScalarAsync("select version from registry"));
        var e = Assert.Single(await server.SinceAsync(mark));
        Assert.Equal((AuditTypes.ClientChanged, "[\"client_name\",\"post_logout_redirect_uris\",\"redirect_uris\"]"), (e.Type, e.Data!["members"]!.ToJsonString()));
        await server.SeeRegistryAsync();
        Assert.Equal(HttpStatusCode.BadRequest, (await new TestBrowser(server).GetAsync("/authorize?" + s.QueryOf(registration))).Status);
        Assert.Equal("consent_required", await SilentAsync(s, changed));
        using var shown = await server.ManageRawAsync(HttpMethod.Get, registration);
        Assert.Equal(changed.GetRawText(), await shown.Content.ReadAsStringAsync());
    }

    [Fact]
    [Trait("Spec", "RFC7592-2.2")]
    public async Task Put_OfWhatIsRegisteredAlready_ChangesNothing()
    {
        var registration = await server.RegisterAsync();
        var (mark, version) = (await server.NowAsync(), await server.ScalarAsync("select version from registry"));

        await PutAsync(registration, _ => { });

        Assert.Empty(await server.SinceAsync(mark));
        Assert.Equal(version, await server.ScalarAsync("select version from registry"));
    }

    [Fact]
    [Trait("Spec", "RFC7592-2.2")]
    public async Task Put_OfAnotherMethod_MakesASecretWhereThereWasNone_AndKeepsTheOneThereIs()
    {
        var s = await server.ScenarioAsync();
        var registration = await server.RegisterAsync();
        var withSecret = await PutAsync(registration, json => json["token_endpoint_auth_method"] = "client_secret_basic");
        await server.SeeRegistryAsync();
        await s.TokensAsync(withSecret, Registering.Basic(withSecret));

        var renamed = await PutAsync(registration, json =>
        {
            json["token_endpoint_auth_method"] = "client_secret_basic";
            json["client_name"] = "New";
            json["client_secret"] = withSecret.Text("client_secret");
        });
        await server.SeeRegistryAsync();
        Assert.False(renamed.TryGetProperty("client_secret", out _));
        await s.TokensAsync(renamed, Registering.Basic(renamed, withSecret.Text("client_secret")));

        var publicAgain = await PutAsync(registration, _ => { });
        await server.SeeRegistryAsync();
        await s.TokensAsync(publicAgain);
        await (await s.RedeemRawAsync(publicAgain, "x", Registering.Basic(publicAgain, withSecret.Text("client_secret")))).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_client");
    }

    [Theory]
    [InlineData("""{"redirect_uris":["https://app.example/cb"]}""", "client_id")]
    [InlineData("""{"client_id":"dyn_other","redirect_uris":["https://app.example/cb"]}""", "client_id")]
    [InlineData("""{"client_id":"ID","redirect_uris":["https://app.example/cb"],"registration_access_token":"x"}""", "registration_access_token")]
    [InlineData("""{"client_id":"ID","redirect_uris":["https://app.example/cb"],"registration_client_uri":"x"}""", "registration_client_uri")]
    [InlineData("""{"client_id":"ID","redirect_uris":["https://app.example/cb"],"client_secret_expires_at":0}""", "client_secret_expires_at")]
    [InlineData("""{"client_id":"ID","redirect_uris":["https://app.example/cb"],"client_id_issued_at":0}""", "client_id_issued_at")]
    [InlineData("""{"client_id":"ID","redirect_uris":["https://app.example/cb"],"client_secret":"a-secret-of-my-own-choice-0123456789"}""", "client_secret")]
    [InlineData("""{"client_id":"ID","redirect_uris":["javascript:x"]}""", "redirect_uris[0]")]
    [InlineData("""[]""", null)]
    [Trait("Spec", "RFC7592-2.2")]
    public async Task Put_OfWhatIsNotTheClientsToSay_IsRefused_AndChangesNothing(string body, string? member)
    {
        var registration = await server.RegisterAsync();
        var (mark, before) = (await server.NowAsync(), await Footprint.OfAsync(server));
        var json = JsonNode.Parse(body.Replace("ID", registration.Text("client_id"), StringComparison.Ordinal));

        using var request = new HttpRequestMessage(HttpMethod.Put, new Uri(registration.Text("registration_client_uri")).PathAndQuery) { Content = new StringContent(json!.ToJsonString(), null, "application/json") };
        request.Headers.Authorization = new("Bearer", registration.Text("registration_access_token"));
        using var response = await server.Client().SendAsync(request);

        var refusal = await response.RefusedAsync(HttpStatusCode.BadRequest, member?.StartsWith("redirect", StringComparison.Ordinal) == true ? "invalid_redirect_uri" : "invalid_client_metadata");
        if (member is not null)
            Assert.Contains($"({member})", refusal.Description, StringComparison.Ordinal);
        await server.OnlyARefusalSinceAsync(mark, before, AuditTypes.RegistrationRefused, refusal.Error);
        using var shown = await server.ManageRawAsync(HttpMethod.Get, registration);
        Assert.Equal(registration.GetRawText(), await shown.Content.ReadAsStringAsync());
    }

    [Fact]
    [Trait("Spec", "RFC7592-2.3")]
    public async Task Delete_EndsAllThatPeopleAllowedTheClient_AtOnce()
    {
        var s = await server.ScenarioAsync();
        var registration = await server.RegisterAsync();
        var id = registration.Text("client_id");
        var tokens = await s.TokensAsync(registration);
        var mark = await server.NowAsync();

        using var response = await server.ManageRawAsync(HttpMethod.Delete, registration);

        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
        var events = await server.SinceAsync(mark);
        Assert.Equal([AuditTypes.ClientDeleted, AuditTypes.TaskRevoked, AuditTypes.ConsentWithdrawn], events.Select(e => e.Type).Where(t => t != AuditTypes.GrantRevoked).ToList());
        Assert.All(events.Skip(1), e => Assert.NotNull(e.Cause));
        Assert.Equal(1, await server.ScalarAsync($"select count(*) from revocations where kind = 'client' and subject = '{id}' and op = 'deny'"));
        await server.SeeRegistryAsync();
        await (await s.RefreshRawAsync(registration, tokens.RefreshToken!)).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_client");
        Assert.Equal(HttpStatusCode.BadRequest, (await new TestBrowser(server).GetAsync("/authorize?" + s.QueryOf(registration))).Status);
        await (await server.ManageRawAsync(HttpMethod.Get, registration)).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_token");
        await (await server.ManageRawAsync(HttpMethod.Delete, registration)).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_token");
    }

    [Fact]
    [Trait("Spec", "RFC7592-2.3")]
    public async Task Delete_OfAClientThatNobodyAllowedAnything_LeavesNothingButTheRecord()
    {
        var registration = await server.RegisterAsync();
        var mark = await server.NowAsync();

        Assert.Equal(HttpStatusCode.NoContent, (await server.ManageRawAsync(HttpMethod.Delete, registration)).StatusCode);

        Assert.Equal(0, await server.ScalarAsync($"select count(*) from clients where id = '{registration.Text("client_id")}'"));
        Assert.Equal((AuditTypes.ClientDeleted, "deleted"), Assert.Single(await server.SinceAsync(mark)) is var e ? (e.Type, e.Reason) : default);
    }

    [Fact]
    [Trait("Spec", "RFC7592-2")]
    public async Task Call_ByAnotherMethod_IsRefused()
    {
        var registration = await server.RegisterAsync();
        using var response = await server.ManageRawAsync(HttpMethod.Post, registration, Registering.Public());
        await response.RefusedAsync(HttpStatusCode.MethodNotAllowed, "invalid_request");
        Assert.Equal(["DELETE", "GET", "PUT"], response.Content.Headers.Allow.Order());
    }

    [Fact]
    public async Task Client_ThatTheRegistryTakesOver_ManagesItselfNoMore()
    {
        var registration = await server.RegisterAsync();
        await server.ApplyAsync(new JsonObject
        {
            ["clients"] = new JsonArray(new JsonObject
            {
                ["id"] = registration.Text("client_id"), ["name"] = "Taken over", ["auth_method"] = "none", ["grant_types"] = new JsonArray("authorization_code"),
                ["redirect_uris"] = new JsonArray("https://registered.test/cb"),
            }),
        }.ToJsonString());

        await (await server.ManageRawAsync(HttpMethod.Get, registration)).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_token");
        await (await server.ManageRawAsync(HttpMethod.Delete, registration)).RefusedAsync(HttpStatusCode.Unauthorized, "invalid_token");
        var s = await server.ScenarioAsync();
        await new PersonFlow(s).CodeAsync(s.QueryOf(registration, new() { ["redirect_uri"] = "https://registered.test/cb" }));
    }

    private async Task<JsonElement> PutAsync(JsonElement registration, Action<JsonObject> change)
    {
        using var response = await server.ManageRawAsync(HttpMethod.Put, registration, Registering.Public(json =>
        {
            json["client_id"] = registration.Text("client_id");
            change(json);
        }));
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == HttpStatusCode.OK, text);
        return JsonElement.Parse(text);
    }

    private async Task<string?> SilentAsync(Scenario s, JsonElement registration)
    {
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        var answer = await browser.GetAsync("/authorize?" + s.QueryOf(registration, new() { ["prompt"] = "none" }));
        Assert.True(answer.Location is not null, answer.Text);
        return System.Web.HttpUtility.ParseQueryString(new Uri(answer.Location!).Query)["error"];
    }
}
