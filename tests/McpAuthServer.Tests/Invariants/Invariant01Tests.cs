using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuthServer.Registry.Apply;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Invariants;

/// <summary>1. One audience, one task, both principals.</summary>
public sealed class Invariant01Tests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    public async Task Invariant01_OneAudienceOneTaskBothPrincipals_HoldsForEveryTokenOfAToolServer()
    {
        var s = await server.ScenarioAsync(o =>
        {
            o.FurtherAgents = 2;
            o.Agent["client_credentials"] = true;
        });
        foreach (var agent in s.Agents)
            await agent.AttestAsync();
        var own = await s.Agent.TaskTokenAsync(await s.Agent.BeginTaskAsync("list_files", "read_file"), "list_files", "read_file");
        var continued = await (await s.Agent.ExchangeRawAsync(s.Agent.ExchangeForm(own.AccessToken))).ReadAsync(ProtocolJson.Default.TokenResponse);
        var second = await s.Agents[1].TakeOverAsync(own.AccessToken);
        var third = await s.Agents[2].TakeOverAsync(second.AccessToken);
        var form = s.Agent.AssertionForm();
        form["grant_type"] = "client_credentials";
        form["resource"] = s.Resource;
        form["authorization_details"] = s.Details(["read_file"], new JsonObject { ["purpose"] = "p" }).ToJsonString();
        var without = await (await s.Agent.ExchangeRawAsync(form, null)).ReadAsync(ProtocolJson.Default.TokenResponse);
        var byScope = await (await s.ServiceTokenAsync()).ReadAsync(ProtocolJson.Default.TokenResponse);
        var flow = new PersonFlow(s);
        var persons = await flow.TokenAsync();
        var refreshed = await flow.RefreshAsync(persons.RefreshToken!);
        var blended = await s.Agent.TakeOverAsync((await flow.DelegateAsync("p", "list_files", "read_file")).AccessToken);
        var handedOn = await s.Agents[1].TakeOverAsync(blended.AccessToken);

        foreach (var (token, subject, actor) in new[]
        {
            (own, s.Agent.Id, null), (continued, s.Agent.Id, null), (second, s.Agent.Id, s.Agents[1].Id), (third, s.Agent.Id, s.Agents[2].Id), (without, s.Agent.Id, null),
            (byScope, s.ServiceClient, (string?)null), (persons, s.User, null), (refreshed, s.User, null), (blended, s.User, s.Agent.Id), (handedOn, s.User, s.Agents[1].Id),
        })
        {
            var claims = Answers.Claims(token.AccessToken);
            // One audience: a string, not an array of one.
            Assert.Equal((JsonValueKind.String, s.Resource), (claims.GetProperty("aud").ValueKind, claims.GetProperty("aud").GetString()));
            Assert.StartsWith("tsk_", token.Task(), StringComparison.Ordinal);
            Assert.Equal(subject, claims.GetProperty("sub").GetString());
            Assert.Equal(actor, claims.TryGetProperty("act", out var act) ? act.GetProperty("sub").GetString() : null);
            var life = claims.GetProperty("exp").GetInt64() - claims.GetProperty("iat").GetInt64();
            Assert.InRange(life, 1, 300);
            Assert.Equal(life, token.ExpiresIn);
            // RFC 9068 §2.2: what every access token has.
            foreach (var name in new[] { "iss", "exp", "aud", "sub", "client_id", "iat", "jti" })
                Assert.True(claims.TryGetProperty(name, out _), name);
            if (claims.TryGetProperty("authorization_details", out var details))
                Assert.All(details.EnumerateArray(), d => Assert.Equal((s.Resource, token.Task()), (Assert.Single(d.GetProperty("locations").EnumerateArray()).GetString(), d.GetProperty("task").GetProperty("id").GetString())));
        }
    }

    [Fact]
    public async Task Invariant01_TokensOfTheServersOwnApis_HaveAudiencesOfTheirOwnAndAreAcceptedNowhereElse()
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var guard = await TestGuard.OfAsync(s);
        var tool = (await s.Agent.TaskTokenAsync(await s.Agent.BeginTaskAsync("read_file"), "read_file")).AccessToken;
        var delegation = (await new PersonFlow(s).DelegateAsync("p", "read_file")).AccessToken;
        Assert.Equal([TestServer.Issuer + "/token", TestServer.Issuer + "/token", TestServer.Issuer + "/guard", s.Resource], new[] { delegation, s.Agent.InstanceToken, guard.Token, tool }.Select(t => Answers.Claims(t).GetProperty("aud").GetString()!));
        foreach (var own in new[] { delegation, s.Agent.InstanceToken, guard.Token })
            Assert.False(await guard.IsActiveAsync(own));
        // A tool server's token opens no API of the server.
        await (await s.Agent.CallAsync(HttpMethod.Post, "/tasks", new JsonObject(), token: tool)).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidToken);
        await (await s.Agent.CallAsync(HttpMethod.Post, "/guard/streams", token: tool)).RefusedAsync(HttpStatusCode.Unauthorized, Names.Errors.InvalidToken);
        // And no tool server can be registered under an audience of the server's own.
        foreach (var audience in new[] { "/token", "/guard", "/userinfo" })
        {
            var impostor = new JsonObject { ["id"] = "srv_impostor", ["resource"] = TestServer.Issuer + audience, ["name"] = "Impostor", ["owner"] = s.User };
            var outcome = await server.Services.GetRequiredService<RegistryApply>().Apply(Encoding.UTF8.GetBytes(new JsonObject { ["tool_servers"] = new JsonArray(impostor) }.ToJsonString()));
            Assert.Equal(("conflict", "$.tool_servers[0].resource"), (Assert.Single(outcome.Faults).Code, outcome.Faults[0].Path));
        }
    }

    [Fact]
    public void Invariant01_FiveMinutesAtMost_IsNotForConfigurationToExceed()
    {
        static IEnumerable<string> Faults(TimeSpan life) => new ServerOptions { Issuer = "http://127.0.0.1:1", AccessTokenLifetime = life }.Faults();
        Assert.Empty(Faults(TimeSpan.FromMinutes(5)));
        Assert.NotEmpty(Faults(TimeSpan.FromMinutes(5) + TimeSpan.FromSeconds(1)));
        Assert.NotEmpty(Faults(TimeSpan.Zero));
    }
}
