using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Grants;

/// <summary><c>authorization_details</c> in requests for tokens and in the answers (RFC 9396 §6 to §8): never passed over.</summary>
public class AuthorizationDetailsTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Spec", "RFC9396-8")]
    public async Task Refresh_OfATokenByScope_AskedForDetails_IsRefusedAndTheTokenStaysGood()
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var token = await flow.TokenAsync();

        await server.RefusedAsync(
            () => flow.RefreshRawAsync(token.RefreshToken!, new() { ["authorization_details"] = s.Details(["read_file"]).ToJsonString() }),
            HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails, null, AuditTypes.TokenRefused, Names.Errors.InvalidAuthorizationDetails);

        Assert.NotNull((await flow.RefreshAsync(token.RefreshToken!)).AccessToken);
    }

    [Fact]
    [Trait("Spec", "RFC9396-8")]
    public async Task CodeForIdentityAlone_AskedForDetails_IsRefusedAndStaysGood()
    {
        var s = await server.ScenarioAsync();
        var (site, flow) = (await RelyingParty.OfAsync(s), new PersonFlow(s));
        var code = await flow.CodeAsync(site.Query());

        await (await site.RedeemRawAsync(code, new() { ["authorization_details"] = s.Details(["read_file"]).ToJsonString() }))
            .RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails);

        Assert.NotNull((await site.RedeemAsync(code)).IdToken);
    }

    [Fact]
    [Trait("Spec", "RFC9396-6")]
    [Trait("Spec", "RFC9396-7")]
    public async Task DelegationCode_AskedForLess_IsWorthThatAndSaysSo()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var code = await new PersonFlow(s).CodeAsync(s.AuthorizeQuery("tidy up", "read_file", "list_files"));
        var until = DateTimeOffset.FromUnixTimeSeconds(server.Time.GetUtcNow().AddMinutes(2).ToUnixTimeSeconds());

        var token = await (await RedeemAsync(s, code, s.Details(["read_file"], new JsonObject { ["purpose"] = "tidy up", ["expires_at"] = until.ToString("O") })))
            .ReadAsync(ProtocolJson.Default.TokenResponse);

        Assert.Equal(["read_file"], Tools(token.AuthorizationDetails!.Value));
        Assert.Equal(["read_file"], Tools(Answers.Claims(token.AccessToken).GetProperty("authorization_details")));
        Assert.Equal(until.ToUnixTimeSeconds(), Answers.Claims(token.AccessToken).GetProperty("exp").GetInt64());
        await (await s.Agent.TakeOverRawAsync(token.AccessToken, s.Details(["list_files"]))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails);
        var work = await s.Agent.TakeOverAsync(token.AccessToken);
        Assert.Equal(("tool:read_file", until.ToUnixTimeSeconds()), (work.Scope, Answers.Claims(work.AccessToken).GetProperty("task").GetProperty("expires_at").GetInt64()));
    }

    [Theory]
    [InlineData("more tools")]
    [InlineData("another purpose")]
    [InlineData("a running task")]
    [InlineData("another type")]
    [InlineData("no JSON")]
    [Trait("Spec", "RFC9396-6")]
    [Trait("Spec", "RFC9396-8")]
    public async Task DelegationCode_AskedForWhatThePersonDidNotGive_IsRefusedAndStaysGood(string what)
    {
        var s = await server.ScenarioAsync();
        var flow = new PersonFlow(s);
        var code = await flow.CodeAsync(s.AuthorizeQuery("tidy up", "read_file"));
        var details = what switch
        {
            "more tools" => s.Details(["read_file", "delete_file"]),
            "another purpose" => s.Details(["read_file"], new JsonObject { ["purpose"] = "make a mess" }),
            "a running task" => s.Details(["read_file"], new JsonObject { ["id"] = "tsk_1" }),
            "another type" => new JsonArray(new JsonObject { ["type"] = "payment_initiation" }),
            _ => null,
        };

        await (await RedeemAsync(s, code, details)).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails);

        Assert.NotNull((await (await flow.DelegateRawAsync(code)).ReadAsync(ProtocolJson.Default.TokenResponse)).AccessToken);
    }

    [Fact]
    [Trait("Spec", "RFC9396-7")]
    public async Task Answer_ToAnAgent_TellsWhatThePersonGrantedAndTheTokenHolds()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var flow = new PersonFlow(s);
        var code = await flow.CodeAsync(s.AuthorizeQuery("tidy up", "read_file", "delete_file"), $"{s.Resource} tool:delete_file");

        var delegation = await (await flow.DelegateRawAsync(code)).ReadAsync(ProtocolJson.Default.TokenResponse);
        var exchanged = await s.Agent.TakeOverAsync(delegation.AccessToken);
        var refreshed = await (await RefreshAsync(s, exchanged.RefreshToken!)).ReadAsync(ProtocolJson.Default.TokenResponse);

        foreach (var answer in new[] { delegation, exchanged, refreshed })
        {
            Assert.Equal(["read_file"], Tools(answer.AuthorizationDetails!.Value));
            Assert.True(JsonElement.DeepEquals(answer.AuthorizationDetails.Value, Answers.Claims(answer.AccessToken).GetProperty("authorization_details")));
        }
    }

    [Fact]
    [Trait("Spec", "RFC9396-6")]
    [Trait("Spec", "RFC9396-8")]
    public async Task Refresh_OfAnAgent_AskedForDetails_IsWorthThoseOrRefused()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var work = await s.Agent.TakeOverAsync((await new PersonFlow(s).DelegateAsync("tidy up", "read_file", "list_files")).AccessToken);

        await (await RefreshAsync(s, work.RefreshToken!, s.Details(["delete_file"]))).RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails);
        await (await RefreshAsync(s, work.RefreshToken!, new JsonArray(new JsonObject { ["type"] = "payment_initiation" })))
            .RefusedAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails);
        var less = await (await RefreshAsync(s, work.RefreshToken!, s.Details(["read_file"]))).ReadAsync(ProtocolJson.Default.TokenResponse);

        Assert.Equal(["read_file"], Tools(less.AuthorizationDetails!.Value));
        Assert.Equal(["read_file"], Tools(Answers.Claims(less.AccessToken).GetProperty("authorization_details")));
    }

    /// <summary>Both are read together: what a scope asks of a tool server beyond the details is not passed over.</summary>
    [Theory]
    [InlineData("tool:delete_file")]
    [InlineData("tool:read_file tool:delete_file")]
    [InlineData("tool:unheard_of")]
    [InlineData("tools:read")]
    [InlineData("resources:read")]
    [InlineData("openid prompts:read")]
    [Trait("Spec", "RFC9396-3.1")]
    public async Task Scope_BesideDetailsThatAsksForMore_IsRefusedBeforeThePersonIsAsked(string scope)
    {
        var s = await server.ScenarioAsync();

        Assert.Equal(Names.Errors.InvalidScope, (await server.RefusedAuthorizationAsync(s, Query(s, scope))).Error);
    }

    /// <summary>One form of authority decides; the other can only be its projection. Words that no tool server knows are dropped, as they always are.</summary>
    [Theory]
    [InlineData("tool:read_file")]
    [InlineData("openid profile email offline_access")]
    [InlineData("unheard_of tool:read_file")]
    [Trait("Spec", "RFC9396-3.1")]
    public async Task Scope_BesideDetails_AddsNothing(string scope)
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();

        var delegation = await new PersonFlow(s).DelegateAsync(Query(s, scope));
        var work = await s.Agent.TakeOverAsync(delegation.AccessToken);

        Assert.Equal(["read_file"], Tools(delegation.AuthorizationDetails!.Value));
        Assert.Equal(("tool:read_file", "tool:read_file"), (work.Scope, Answers.Claims(work.AccessToken).GetProperty("scope").GetString()));
    }

    private static string Query(Scenario s, string scope) => s.AuthorizeQuery(s.Agent, s.Details(["read_file"], new JsonObject { ["purpose"] = "tidy up" }), new() { ["scope"] = scope });

    private static IEnumerable<string> Tools(JsonElement details) => Assert.Single(details.EnumerateArray()).GetProperty("tools").EnumerateObject().Select(tool => tool.Name);

    private static Task<HttpResponseMessage> RefreshAsync(Scenario s, string refreshToken, JsonArray? details = null)
    {
        var form = s.Agent.AssertionForm();
        (form["grant_type"], form["refresh_token"]) = ("refresh_token", refreshToken);
        if (details is not null)
            form["authorization_details"] = details.ToJsonString();
        return s.Agent.PostFormAsync(Names.Paths.Token, form);
    }

    private static Task<HttpResponseMessage> RedeemAsync(Scenario s, string code, JsonArray? details)
    {
        var form = s.Agent.AssertionForm();
        (form["grant_type"], form["code"], form["code_verifier"], form["authorization_details"]) = ("authorization_code", code, s.Verifier, details?.ToJsonString() ?? "[{");
        return s.Agent.PostFormAsync(Names.Paths.Token, form, proof: null);
    }
}
