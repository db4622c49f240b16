using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;
using McpAuth.Testing;

namespace McpAuth.EndToEnd;

/// <summary>
/// Libraries that web sites sign people in with, unchanged, and a person in a real browser: discovery, sign-in and consent, the ID token with its
/// signature, <c>/userinfo</c>, the answer of introspection signed, and signing out.
/// </summary>
[Collection(People.Name)]
public sealed class OpenIdTests(People people)
{
    private const string Site = "report-site", ToolServer = "hosted-tool-server";
    private readonly string secret = Guid.NewGuid().ToString("N");

    [InteropFact]
    [Trait("Spec", "OIDC-Core-3.1.3.7")]
    public async Task OpenIdClientAndOAuth4WebApi_SignAPersonInAndOutAgain()
    {
        var port = FreePort.Next();
        // One of its own: elsewhere people's tokens live for seconds.
        await using Deployment deployment = await Deployment.StartAsync(postgres: null, nodes: 1, [], registry => Register(registry, port));
        await using Visitor ann = await people.NewVisitorAsync();
        var plan = new JsonObject
        {
            ["issuer"] = deployment.Issuer, ["port"] = port, ["client_id"] = Site, ["client_secret"] = secret, ["resource"] = deployment.HostedResource,
            ["resource_server"] = new JsonObject { ["client_id"] = ToolServer, ["client_secret"] = secret + "-of-another" },
        };
        await using ChildProcess site = ChildProcess.Start(InteropClients.Node!, [Path.Combine(InteropClients.Folder, "openid.mjs"), plan.ToJsonString()]);

        await ann.GoAsync(await AddressAsync(1));
        await ann.SignInAsync(People.Email, People.Password);
        await ann.Page.GetByText("What it learns about you").WaitForAsync();
        await ann.AssertPageIsCleanAsync("consent-identity");
        await ann.PressAsync("Allow");
        Assert.Equal(200, await ann.GoAsync(await AddressAsync(2)));
        foreach (var number in new[] { 3, 4 })
        {
            await ann.GoAsync(await AddressAsync(number));
            if (number == 3) await ann.SignInAsync(People.Email, People.Password);
            await ann.PressAsync("Allow");
        }
        string last = await AddressAsync(5);
        Assert.Equal(200, await ann.GoAsync(deployment.Issuer + Names.Paths.Logout));
        await ann.AssertPageIsCleanAsync("sign-out");
        Assert.Equal(200, await ann.GoAsync(last));
        Assert.True(await site.WaitForExitAsync(3 * Deployment.Patience) == 0, site.Text);

        string person = """ "sub":"usr_ann","name":"Ann Example","email":"ann@example.com" """.Trim(), told = person + ""","nonce":true,"auth_time":true,"acr":"pwd" """.Trim();
        string everything = "email openid profile";
        Assert.Equal(
            [
                Event("discovered", $""" "issuer":"{deployment.Issuer}","alg":["ES256"] """), Event("tokens", $""" "type":"bearer","scope":"{everything}","refreshable":false,{told} """),
                Event("userinfo", person), Event("signed out", """ "path":"/bye","state":true """),
            ],
            Said("openid-client"));
        Assert.Equal(
            [
                Event("discovered", $""" "issuer":"{deployment.Issuer}","alg":["ES256"] """), Event("tokens", $""" "type":"dpop","scope":"{everything}","refreshable":false,{told} """),
                Event("userinfo", person), Event("tokens", $""" "type":"dpop","scope":"{everything} tools:read","refreshable":true,{told} """),
                Event("introspected", $""" "signed":"application/token-introspection+jwt","active":true,"aud":"{deployment.HostedResource}","scope":"tools:read","sub":"usr_ann" """),
                Event("refused", """ "code":"OAUTH_INVALID_RESPONSE" """), Event("signed out", """ "path":"/bye","state":true """),
            ],
            Said("oauth4webapi"));
        Assert.Empty(ann.Complaints);

        IEnumerable<JsonNode> Events() => site.Output.Where(l => l.StartsWith('{')).Select(l => JsonNode.Parse(l)!);

        string[] Said(string library) => [.. Events().Where(e => (string?)e["library"] == library && (string?)e["event"] != "browse").Select(e =>
        {
            e.AsObject().Remove("library");
            return e.ToJsonString();
        })];

        static string Event(string name, string members) => JsonNode.Parse($$"""{"event":"{{name}}",{{members.Trim()}}}""")!.ToJsonString();

        async Task<string> AddressAsync(int number)
        {
            var seen = 0;
            string line = await site.WaitForLineAsync(l => l.StartsWith("""{"event":"browse",""", StringComparison.Ordinal) && ++seen == number, Deployment.Patience);
            return JsonDocument.Parse(line).RootElement.GetProperty("url").GetString()!;
        }
    }

    private void Register(JsonObject registry, int port)
    {
        registry["users"]![0]!["password"] = People.Password;
        JsonArray clients = registry["clients"]!.AsArray();
        clients.Add(new JsonObject
        {
            ["id"] = Site, ["name"] = "Report site", ["auth_method"] = Names.ClientAssertion.SecretBasic, ["secret"] = secret, ["redirect_uris"] = new JsonArray("http://127.0.0.1/callback"),
            ["post_logout_redirect_uris"] = new JsonArray($"http://127.0.0.1:{port}/bye"), ["grant_types"] = new JsonArray(Names.OAuth.AuthorizationCode, Names.OAuth.RefreshToken),
        });
        clients.Add(new JsonObject
        {
            ["id"] = ToolServer, ["name"] = "The hosted tool server", ["auth_method"] = Names.ClientAssertion.SecretBasic, ["secret"] = secret + "-of-another", ["grant_types"] = new JsonArray(),
            ["introspects"] = "srv_hosted",
        });
    }
}
