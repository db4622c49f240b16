using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Attestation;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Attestation;

/// <summary>A platform's word as a grant: attested and given a task's token in one step.</summary>
[Trait("Spec", "RFC7523-2.1")]
public sealed class WorkloadGrantTests(OnTheInternet world) : IClassFixture<OnTheInternet>
{
    private TestServer Server => world.Server;

    private async Task<(Scenario, TestPlatform)> SceneAsync(string kind = "kubernetes")
    {
        var s = await Server.ScenarioAsync();
        var platform = TestPlatform.Of(kind, s, world.Internet);
        await platform.RegisterAsync();
        return (s, platform);
    }

    [Fact]
    public async Task Evidence_AsAGrant_AttestsAndGivesATasksToken()
    {
        var (s, platform) = await SceneAsync();
        var mark = await Server.NowAsync();

        var token = await (await platform.GrantAsync()).ReadAsync(ProtocolJson.Default.TokenResponse);

        var claims = Answers.Claims(token.AccessToken);
        var instance = claims.GetProperty("agent_ctx").GetProperty("instance").GetString();
        Assert.Equal((s.Agent.Id, platform.Client, s.Agent.Key.Public.Thumbprint),
            (claims.GetProperty("sub").GetString(), claims.GetProperty("client_id").GetString(), claims.GetProperty("cnf").GetProperty("jkt").GetString()));
        Assert.Equal(
            [(AuditTypes.InstanceAttested, instance), (AuditTypes.TaskCreated, instance), (AuditTypes.TokenIssued, instance)],
            (await Server.SinceAsync(mark)).Select(e => (e.Type, e.Instance)));

        // The same program again: the same instance, another task.
        var again = Answers.Claims((await (await platform.GrantAsync()).ReadAsync(ProtocolJson.Default.TokenResponse)).AccessToken);
        Assert.Equal(instance, again.GetProperty("agent_ctx").GetProperty("instance").GetString());
        Assert.NotEqual(claims.GetProperty("task").GetProperty("id").GetString(), again.GetProperty("task").GetProperty("id").GetString());
    }

    [Fact]
    public async Task Evidence_TwentyAtOnceWithOneKey_MakeOneInstance()
    {
        var (s, platform) = await SceneAsync();
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => platform.GrantAsync())).WaitAsync(TimeSpan.FromSeconds(60));
        Assert.All(answers, a => Assert.Equal(HttpStatusCode.OK, a.StatusCode));
        Assert.Equal(1, await Server.ScalarAsync($"select count(*) from instances where agent_id = '{s.Agent.Id}'"));
    }

    public static TheoryData<string, HttpStatusCode, string, string?> Refused => new()
    {
        { "no assertion", HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, null },
        { "bad evidence", HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, EvidenceVerifier.WrongAudience },
        { "with a client's credential", HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.WrongType },
        { "as another client", HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, Names.Reasons.Revoked },
        { "without a proof", HttpStatusCode.BadRequest, Names.Errors.InvalidDpopProof, null },
        { "without details", HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails, null },
        { "beyond the ceiling", HttpStatusCode.BadRequest, Names.Errors.InvalidAuthorizationDetails, null },
        { "for a strange resource", HttpStatusCode.BadRequest, Names.Errors.InvalidTarget, null },
    };

    /// <summary>Nothing is left behind, no instance either.</summary>
    [Theory]
    [MemberData(nameof(Refused))]
    public async Task Grant_ThatIsWrongInOneThing_IsRefusedAndAttestsNobody(string how, HttpStatusCode status, string error, string? reason)
    {
        var (s, platform) = await SceneAsync();
        var client = s.File["clients"]!.AsArray().First(c => (string?)c!["id"] == s.Agent.ClientId)!.DeepClone();
        client["grant_types"]!.AsArray().Add(Names.Assertions.JwtBearer);
        await Server.ApplyAsync(new JsonObject { ["clients"] = new JsonArray(client) }.ToJsonString());
        var (mark, before) = (await Server.NowAsync(), await Footprint.OfAsync(Server));

        var answer = await platform.GrantAsync(how == "bad evidence" ? platform.Token(c => c["aud"] = "https://other.test") : null, proven: how != "without a proof", change: form =>
        {
            switch (how)
            {
                case "no assertion": form.Remove("assertion"); break;
                // Then it is a client that says something of a person.
                case "with a client's credential": foreach (var (name, value) in s.Agent.AssertionForm()) form[name] = value; break;
                case "as another client": form["client_id"] = s.Agent.ClientId; break;
                case "without details": form.Remove("authorization_details"); break;
                case "beyond the ceiling": form["authorization_details"] = s.Details(["format_disk"], new JsonObject { ["purpose"] = "p" }).ToJsonString(); break;
                case "for a strange resource": form["resource"] = "https://strange.test/mcp"; break;
            }
        });

        await answer.RefusedAsync(status, error, reason);
        await Server.OnlyARefusalSinceAsync(mark, before, AuditTypes.TokenRefused, null);
        Assert.Equal(0, await Server.ScalarAsync($"select count(*) from instances where agent_id = '{s.Agent.Id}'"));
    }

    [Fact]
    public async Task Grant_OfAClientThatIsNotRegisteredForIt_IsRefused()
    {
        var (s, platform) = await SceneAsync();
        await Server.ApplyAsync(new JsonObject
        {
            ["clients"] = new JsonArray(new JsonObject { ["id"] = platform.Client, ["name"] = "W", ["agent"] = s.Agent.Id, ["auth_method"] = "instance_key", ["grant_types"] = new JsonArray() }),
        }.ToJsonString());
        await Server.RefusedAsync(() => platform.GrantAsync(), HttpStatusCode.BadRequest, Names.Errors.UnauthorizedClient, null, AuditTypes.TokenRefused, Names.Errors.UnauthorizedClient);
    }

    [Fact]
    public async Task Key_OfAnInstanceThatWasEnded_IsRefused()
    {
        var (s, platform) = await SceneAsync();
        var instance = await (await platform.AttestAsync()).ReadAsync(ProtocolJson.Default.InstanceResponse);
        Assert.Equal(HttpStatusCode.NoContent, (await s.Agent.CallAsync(HttpMethod.Delete, $"/agents/instances/{instance.Instance}", token: instance.AccessToken)).StatusCode);
        await Server.RefusedAsync(() => platform.GrantAsync(), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.InstanceEnded,
            AuditTypes.InstanceRefused, Names.Reasons.InstanceEnded);
    }

    [Fact]
    public async Task Key_OfAnotherAgentsInstance_IsRefused()
    {
        var (s, platform) = await SceneAsync();
        var other = await Server.ScenarioAsync();
        other.Agent.Key = s.Agent.Key;
        await other.Agent.AttestAsync();
        await Server.RefusedAsync(() => platform.GrantAsync(), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Names.Reasons.ActorUnauthorized,
            AuditTypes.InstanceRefused, Names.Reasons.ActorUnauthorized);
    }

    [Fact]
    public async Task Evidence_OfAnotherKey_IsRefusedAndGivesNoToken()
    {
        var (_, platform) = await SceneAsync();
        var evidence = platform.Token();
        Assert.Equal(HttpStatusCode.OK, (await platform.GrantAsync(evidence)).StatusCode);
        using var thief = SigningKey.Create();
        await Server.RefusedAsync(() => platform.GrantAsync(evidence, thief), HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, Attesting.OtherKey,
            AuditTypes.InstanceRefused, Attesting.OtherKey);
    }
}

/// <summary>Evidence stolen and presented at the same moment at two nodes: one key has it.</summary>
public sealed class WorkloadRaceTests(OnTheInternet world) : IClassFixture<OnTheInternet>
{
    [PostgresFact]
    public async Task Evidence_AtTwoNodesWithTwoKeys_BelongsToOne()
    {
        await using var nodes = await Nodes.OnPostgresAsync();
        var first = await nodes.StartAsync(replace: world.Server.Replace);
        var second = await nodes.StartAsync(first.Time.GetUtcNow(), replace: world.Server.Replace);
        var s = await first.ScenarioAsync();
        var platform = TestPlatform.Of("oidc", s, world.Internet);
        await platform.RegisterAsync();
        for (var round = 0; round < 10; round++)
        {
            var evidence = platform.Token();
            using var a = SigningKey.Create();
            using var b = SigningKey.Create();
            var answers = await Task.WhenAll(platform.GrantAsync(evidence, a, node: first.Client()), platform.GrantAsync(evidence, b, node: second.Client()));
            Assert.Single(answers, r => r.StatusCode == HttpStatusCode.OK);
        }
        Assert.Equal(10, await first.ScalarAsync($"select count(*) from instances where agent_id = '{s.Agent.Id}'"));
    }
}
