using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Admin;

/// <summary>What is registered, seen and changed over HTTP by the code that applies files.</summary>
public sealed class EntryTests(TestServer server) : IClassFixture<TestServer>
{
    private static readonly string[] Collections = ["agents", "clients", "identity-providers", "tool-servers", "workload-issuers"];

    [Fact]
    public async Task Entry_AsItIsShown_ChangesNothingWhenSentBack()
    {
        var (s, ops) = (await FullAsync(), await TestAdministrator.OfAsync(server));
        foreach (var path in new[]
                 {
                     $"/agents/{s.Agent.Id}", $"/clients/{s.Agent.ClientId}", $"/clients/{s.PublicClient}", $"/clients/workload-{s.Suffix}", $"/clients/{ops.Id}",
                     $"/clients/mtls-{s.Suffix}", $"/tool-servers/{s.ToolServer}", $"/workload-issuers/wli_{s.Suffix}", $"/identity-providers/idp_{s.Suffix}",
                 })
        {
            var shown = await ops.GetAsync(path);
            var mark = await server.NowAsync();
            var after = await ops.PutAsync(path, shown);
            Assert.True(JsonNode.DeepEquals(shown, after), $"{shown}\n{after}");
            // RFC 7517 members are kept as they were written; everything else is compared.
            Assert.All(await server.SinceAsync(mark), e => Assert.True(e.Type == AuditTypes.AdminApplied || Members(e) is ["jwks"], e.ToString()));
        }
    }

    [Fact]
    public async Task Entry_ThatIsNew_IsCreatedAndSaysWhoDidIt()
    {
        var (s, ops) = (await server.ScenarioAsync(), await TestAdministrator.OfAsync(server));
        var id = "agt_new_" + s.Suffix;
        var mark = await server.NowAsync();

        var created = await ops.PutAsync(
            $"/agents/{id}", new JsonObject { ["name"] = "New", ["owner"] = s.User, ["purpose"] = "testing", ["ceiling"] = s.Details(["read_file"]) }, HttpStatusCode.Created);

        Assert.Equal((id, "active", 86_400), ((string?)created["id"], (string?)created["state"], (int?)created["max_task_seconds"]));
        Assert.True(JsonNode.DeepEquals(created, await ops.GetAsync($"/agents/{id}")));
        var events = await server.SinceAsync(mark);
        Assert.Equal([AuditTypes.AdminChanged, AuditTypes.AdminApplied], events.Select(e => e.Type));
        Assert.All(events, e => Assert.Equal(ops.Id, e.Client));
        Assert.Equal((ops.Id, true, id), ((string?)events[0].Data!["by"], (bool?)events[0].Data!["created"], events[0].Agent));
        // The same by a file says nobody's name.
        mark = await server.NowAsync();
        created["purpose"] = "testing more";
        await server.ApplyAsync(new JsonObject { ["agents"] = new JsonArray(created) }.ToJsonString());
        events = await server.SinceAsync(mark);
        Assert.Equal([AuditTypes.AdminChanged, AuditTypes.AdminApplied], events.Select(e => e.Type));
        Assert.All(events, e => Assert.Null(e.Client));
        Assert.Null(events[0].Data!["by"]);
    }

    [Fact]
    public async Task Entry_OfAClient_IsRecordedUnderItsNameAndTheCallers()
    {
        var (s, ops) = (await server.ScenarioAsync(), await TestAdministrator.OfAsync(server));
        // An id with everything that a path escapes.
        var id = $"https://batch-{s.Suffix}.test/job~1";
        var mark = await server.NowAsync();

        var created = await ops.PutAsync(
            $"/clients/{Uri.EscapeDataString(id)}", new JsonObject { ["id"] = id, ["name"] = "Batch", ["auth_method"] = "none", ["grant_types"] = new JsonArray() }, HttpStatusCode.Created);

        Assert.Equal(id, (string?)created["id"]);
        var changed = (await server.SinceAsync(mark))[0];
        Assert.Equal((AuditTypes.AdminChanged, id, ops.Id), (changed.Type, changed.Client, (string?)changed.Data!["by"]));
        Assert.Equal(id, (string?)(await ops.GetAsync($"/clients/{Uri.EscapeDataString(id)}"))["id"]);
    }

    [Fact]
    [Trait("Invariant", "8")]
    public async Task Entry_NeverShowsASecretNorItsHash()
    {
        var (s, ops) = (await server.ScenarioAsync(), await TestAdministrator.OfAsync(server));
        var (client, tools) = (await ops.GetAsync($"/clients/{s.ServiceClient}"), await ops.GetAsync($"/tool-servers/{s.ToolServer}"));
        foreach (var secret in new[] { s.ServiceSecret, s.EnrolmentSecret })
            Assert.All(new[] { client, tools }, shown =>
            {
                Assert.DoesNotContain(secret, shown.ToJsonString(), StringComparison.Ordinal);
                Assert.DoesNotContain(McpAuth.Protocol.Jose.Base64Url.Sha256(secret), shown.ToJsonString(), StringComparison.Ordinal);
            });
    }

    [Fact]
    public async Task Entry_ThatSuspends_TakesEffectAtOnce()
    {
        var (s, ops) = (await server.ScenarioAsync(), await TestAdministrator.OfAsync(server));
        await s.Agent.AttestAsync();
        var token = await s.Agent.TaskTokenAsync(await s.Agent.BeginTaskAsync("read_file"), "read_file");
        var guard = await TestGuard.OfAsync(s);
        var entry = await ops.GetAsync($"/agents/{s.Agent.Id}");
        entry["state"] = "suspended";
        await ops.PutAsync($"/agents/{s.Agent.Id}", entry);
        Assert.False(await guard.IsActiveAsync(token.AccessToken));
        Assert.Equal(ops.Id, Assert.Single(await server.EventsAsync($"type = 'admin.agent_suspended' and agent = '{s.Agent.Id}'")).Client);
    }

    [Fact]
    [Trait("Spec", "RFC9457-3.2")]
    public async Task Entry_WithFaults_ChangesNothingAndTellsAllOfThemWhereTheyStandInIt()
    {
        var (s, ops) = (await server.ScenarioAsync(), await TestAdministrator.OfAsync(server));
        var before = await ops.GetAsync($"/agents/{s.Agent.Id}");
        var entry = before.DeepClone().AsObject();
        (entry["owner"], entry["purpose"], entry["nonsense"]) = ("usr_nobody", 7, true);
        var mark = await server.NowAsync();

        var problem = await (await ops.SendAsync(HttpMethod.Put, $"/agents/{s.Agent.Id}", entry)).ProblemAsync(HttpStatusCode.UnprocessableEntity, "faults");

        Assert.Equal(
            [("unknown_member", "$.nonsense"), ("unknown_reference", "$.owner"), ("wrong_type", "$.purpose")],
            problem["faults"]!.AsArray().Select(f => ((string)f!["code"]!, (string)f["path"]!)).Order());
        Assert.All(problem["faults"]!.AsArray(), f => Assert.NotEmpty((string)f!["message"]!));
        Assert.True(JsonNode.DeepEquals(before, await ops.GetAsync($"/agents/{s.Agent.Id}")));
        var refused = Assert.Single(await server.SinceAsync(mark));
        Assert.Equal((AuditTypes.AdminApplied, "refused", ops.Id), (refused.Type, refused.Outcome, refused.Client));
    }

    [Theory]
    [InlineData("agents", "agt_none")]
    [InlineData("clients", "none")]
    [InlineData("tool-servers", "srv_none")]
    [InlineData("workload-issuers", "wli_none")]
    public async Task Entry_ThatIsNotThere_Is404(string collection, string id)
    {
        var ops = await TestAdministrator.OfAsync(server);
        var mark = await server.NowAsync();
        await (await ops.SendAsync(HttpMethod.Get, $"/{collection}/{id}")).ProblemAsync(HttpStatusCode.NotFound, "not_found");
        var refused = Assert.Single(await server.SinceAsync(mark));
        Assert.Equal((AuditTypes.AdminRefused, ops.Id, "not_found"), (refused.Type, refused.Client, refused.Reason));
        // Whatever an entry lacks is a fault of it, here everything.
        await (await ops.SendAsync(HttpMethod.Put, $"/{collection}/{id}", new JsonObject())).ProblemAsync(HttpStatusCode.UnprocessableEntity, "faults");
    }

    [Fact]
    public async Task Body_ThatIsNoEntry_IsRefused()
    {
        var (s, ops) = (await server.ScenarioAsync(), await TestAdministrator.OfAsync(server));
        var path = $"/agents/{s.Agent.Id}";
        await (await ops.SendAsync(HttpMethod.Put, path)).ProblemAsync(HttpStatusCode.UnsupportedMediaType, Names.Errors.InvalidRequest);
        await (await ops.SendAsync(HttpMethod.Put, path, new JsonArray())).ProblemAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
        await (await ops.SendAsync(HttpMethod.Put, path, new JsonObject { ["id"] = s.Agent.Id + "x" })).ProblemAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
        await (await ops.SendAsync(HttpMethod.Put, path, new JsonObject { ["name"] = "a", ["NAME"] = "b" }))
            .ProblemAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest, "duplicate_member");
    }

    [Fact]
    public async Task List_InPages_ShowsEveryEntryOnceWithAnOpaqueCursor()
    {
        var (s, ops) = (await FullAsync(), await TestAdministrator.OfAsync(server));
        foreach (var collection in Collections)
        {
            var seen = new List<string>();
            var query = "?limit=1";
            while (query.Length > 0)
            {
                var page = await ops.GetAsync($"/{collection}{query}");
                seen.AddRange(page["items"]!.AsArray().Select(item => (string)item!["id"]!));
                query = page["next"] is { } next ? $"?limit=1&after={next}" : "";
            }
            Assert.Equal(seen.Distinct(), seen);
            var all = await ops.GetAsync($"/{collection}?limit=200");
            Assert.Equal(all["items"]!.AsArray().Select(item => (string)item!["id"]!), seen);
            Assert.Null(all["next"]);
            Assert.Contains(seen, id => id.EndsWith(s.Suffix, StringComparison.Ordinal));
        }
    }

    [Theory]
    [InlineData("limit=0")]
    [InlineData("limit=201")]
    [InlineData("limit=x")]
    [InlineData("limit=1&limit=2")]
    [InlineData("after=*")]
    [InlineData("after=")]
    [InlineData("page=2")]
    public async Task List_WithAnotherQuery_IsRefused(string query)
    {
        var ops = await TestAdministrator.OfAsync(server);
        foreach (var collection in Collections.Append("instances").Append("tasks"))
            await (await ops.SendAsync(HttpMethod.Get, $"/{collection}?{query}")).ProblemAsync(HttpStatusCode.BadRequest, Names.Errors.InvalidRequest);
    }

    [Fact]
    public async Task Apply_AWholeFile_AnswersHowManyChanged()
    {
        var (s, ops) = (await server.ScenarioAsync(), await TestAdministrator.OfAsync(server));
        var file = new JsonObject
        {
            ["groups"] = new JsonArray(new JsonObject { ["id"] = "grp_" + s.Suffix, ["name"] = "All" }),
            ["users"] = new JsonArray(new JsonObject { ["id"] = "usr_more_" + s.Suffix, ["name"] = "Bob", ["groups"] = new JsonArray("grp_" + s.Suffix) }),
        };
        var mark = await server.NowAsync();
        Assert.Equal(2, (int?)(await ops.PostAsync("/apply", file))["changed"]);
        Assert.All(await server.SinceAsync(mark), e => Assert.Equal(ops.Id, e.Client));
        Assert.Equal(0, (int?)(await ops.PostAsync("/apply", file))["changed"]);

        file["users"]![0]!["groups"]![0] = "grp_none";
        var problem = await (await ops.SendAsync(HttpMethod.Post, "/apply", file)).ProblemAsync(HttpStatusCode.UnprocessableEntity, "faults");
        Assert.Equal("$.users[0].groups[0]", (string?)Assert.Single(problem["faults"]!.AsArray())!["path"]);
        await (await ops.SendAsync(HttpMethod.Post, "/apply")).ProblemAsync(HttpStatusCode.UnsupportedMediaType, Names.Errors.InvalidRequest);
    }

    private static string[] Members(AuditEvent e) => [.. e.Data!["members"]?.AsArray().Select(m => (string)m!) ?? []];

    /// <summary>A scenario with an entry of every kind, and members of every kind.</summary>
    private async Task<Scenario> FullAsync()
    {
        var s = await server.ScenarioAsync(o => (o.Agent["tool_class"], o.Agent["review_at"], o.Agent["require_dpop"]) = ("files", "2027-01-01T00:00:00.5Z", true));
        var agent = s.File["agents"]![0]!.DeepClone().AsObject();
        agent["trust"] = new JsonArray(new JsonObject
        {
            ["issuer"] = "wli_" + s.Suffix, ["client"] = "workload-" + s.Suffix, ["select"] = new JsonObject { ["namespace"] = "prod", ["service_account_uid"] = "a087" },
        });
        await server.ApplyAsync(new JsonObject
        {
            ["groups"] = new JsonArray(new JsonObject { ["id"] = "grp_" + s.Suffix, ["name"] = "All" }),
            ["identity_providers"] = new JsonArray(new JsonObject
            {
                ["id"] = "idp_" + s.Suffix, ["name"] = "Corporate identity", ["issuer"] = $"https://idp-{s.Suffix}.test", ["clients"] = new JsonArray(s.ServiceClient),
                ["links"] = new JsonArray(new JsonObject { ["subject"] = "00u1", ["user"] = s.User }), ["link_by_email"] = new JsonArray("example.com"),
                ["provision"] = new JsonObject { ["email_domains"] = new JsonArray("example.com"), ["groups"] = new JsonObject { ["All=everybody"] = "grp_" + s.Suffix } },
            }),
            ["workload_issuers"] = new JsonArray(new JsonObject { ["id"] = "wli_" + s.Suffix, ["name"] = "Cluster", ["kind"] = "kubernetes", ["issuer"] = $"https://cluster-{s.Suffix}.test" }),
            ["clients"] = new JsonArray(
                new JsonObject { ["id"] = "workload-" + s.Suffix, ["name"] = "Workload", ["agent"] = s.Agent.Id, ["auth_method"] = "instance_key", ["grant_types"] = new JsonArray() },
                new JsonObject
                {
                    ["id"] = "mtls-" + s.Suffix, ["name"] = "By certificate", ["auth_method"] = "tls_client_auth", ["grant_types"] = new JsonArray(),
                    ["tls_client_auth_subject_dn"] = "CN=agent,O=Example", ["tls_client_certificate_bound_access_tokens"] = true, ["tool_servers"] = new JsonArray(s.ToolServer),
                    ["introspects"] = s.ToolServer, ["post_logout_redirect_uris"] = new JsonArray("https://mtls.test/bye"),
                }),
            ["agents"] = new JsonArray(agent),
        }.ToJsonString());
        return s;
    }
}
