using System.Text.Json.Nodes;
using McpAuthServer.Registry.Apply;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Federation;

/// <summary>What of a provider's entry depends on what is registered already.</summary>
public sealed class ProviderRegistrationTests(TestServer server) : IClassFixture<TestServer>
{
    [Theory]
    [InlineData("this server's own")]
    [InlineData("another provider's")]
    [InlineData("not the one it had")]
    public async Task Provider_WithAnIssuerThatCannotBe_IsRefused(string which)
    {
        var (first, second) = (new TestProvider(await server.ScenarioAsync()), new TestProvider(await server.ScenarioAsync()));
        await first.RegisterAsync();
        await second.RegisterAsync();
        var entry = second.Entry(e =>
        {
            (e["id"], e["issuer"]) = which switch
            {
                "this server's own" => ("idp_own", TestServer.Issuer), "another provider's" => ("idp_again", first.Issuer), _ => ((string)e["id"]!, "https://moved.test"),
            };
        });

        var outcome = await server.Services.GetRequiredService<RegistryApply>().Apply(System.Text.Encoding.UTF8.GetBytes(new JsonObject { ["identity_providers"] = new JsonArray(entry) }.ToJsonString()));

        Assert.Equal(("conflict", "$.identity_providers[0].issuer"), (Assert.Single(outcome.Faults).Code, outcome.Faults[0].Path));
    }

    /// <summary>A file that is applied again takes no link away that came by a rule, and no link that it still names.</summary>
    [Fact]
    public async Task Provider_AppliedAgain_KeepsWhoCameByItsRule()
    {
        var s = await server.ScenarioAsync();
        var provider = new TestProvider(s);
        void Rule(JsonObject e) => e["provision"] = new JsonObject { ["email_domains"] = new JsonArray($"corp{s.Suffix}.test") };
        await provider.RegisterAsync(Rule);
        void New(JsonObject c) => (c["sub"], c["email"], c["email_verified"]) = ("new", $"new@corp{s.Suffix}.test", true);
        var token = await provider.RedeemAsync(New);
        await provider.ApplyAsync(Rule);
        Assert.Equal(2, await server.ScalarAsync($"select count(*) from identities where provider_id = '{provider.Id}'"));
        Assert.True(await (await TestGuard.OfAsync(s)).IsActiveAsync(token.AccessToken));
    }
}
