using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Federation;

/// <summary>docs/federation.md as a reader follows it: its files are applied, and its assertion is redeemed by its form.</summary>
public sealed class FederationGuideTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    public async Task EveryFileOfTheGuide_IsApplied_AndItsAssertionGivesAToken()
    {
        string guide = await File.ReadAllTextAsync(Path.Combine(RepositoryRoot.Path, "docs", "federation.md"));
        List<string> Blocks(string language) => [.. Regex.Matches(guide, $"```{language}\n(.*?)```", RegexOptions.Singleline).Select(m => m.Groups[1].Value)];
        using var key = SigningKey.Create();
        var files = Blocks("json");
        Assert.Equal(3, files.Count);
        foreach (var text in files.Take(2))
        {
            // The keys of somebody who has the private one; and this test's server is called otherwise.
            var file = JsonNode.Parse(text)!;
            if (file["identity_providers"]?[0] is { } provider)
            {
                provider.AsObject().Remove("jwks_uri");
                provider["jwks"] = TestProvider.Keys(key);
            }
            await server.ApplyAsync(file.ToJsonString());
        }

        var claims = JsonNode.Parse(files[2])!.AsObject();
        var now = server.Time.GetUtcNow();
        (claims["aud"], claims["iat"], claims["exp"]) = (TestServer.Issuer, now.ToUnixTimeSeconds(), now.AddMinutes(5).ToUnixTimeSeconds());
        var assertion = key.Sign(Names.IdJag.Type, json =>
        {
            foreach (var (name, value) in claims)
            {
                json.WritePropertyName(name);
                value!.WriteTo(json);
            }
        });
        var request = Blocks("http")[0].Split("\n\n");
        using var message = new HttpRequestMessage(HttpMethod.Post, request[0].Split(' ')[1]);
        message.Headers.TryAddWithoutValidation("Authorization", Regex.Match(request[0], "Authorization: (.*)").Groups[1].Value);
        message.Content = new FormUrlEncodedContent(request[1].Trim().Replace("\n", "", StringComparison.Ordinal).Split('&').Select(p => p.Split('=', 2))
            .Select(p => KeyValuePair.Create(p[0], p[0] == "assertion" ? assertion : Uri.UnescapeDataString(p[1]))));

        var token = await (await server.Client().SendAsync(message)).ReadAsync(ProtocolJson.Default.TokenResponse);

        Assert.Equal(("tools:read", "https://files.example/mcp"), (token.Scope, Answers.Claims(token.AccessToken).GetProperty("aud").GetString()));
        Assert.Equal(1, await server.ScalarAsync("select count(*) from identities where origin = 'provisioned'"));
    }
}
