using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Json;
using McpAuth.Testing;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Policies;

/// <summary>What guards are given, at every node the same.</summary>
public abstract class PolicyReleaseSuite
{
    private const string All = """@id("all") permit(principal, action, resource);""", Reads = """@id("reads") permit(principal, action in Mcp::Action::"sensitivity:read", resource);""";

    protected abstract TestServer Server { get; }

    private protected virtual Task<TestServer> AnotherAsync() => Task.FromResult(Server);

    [SuiteFact]
    public async Task Release_IsSignedForItsToolServer_ByTheKeyTheGuardPinned()
    {
        var w = await PolicyWorld.OfAsync(Server);
        var none = await w.FetchAsync();
        Assert.Null(none.Release.Policies);
        Assert.Empty(none.Release.Tools);

        await w.ActivateAsync(All);
        var got = await w.FetchAsync();
        Assert.True(VerificationKey.FromJwk(w.Guard.Enrolled.PolicyKey).Value.Verify(got.Jwt));
        Assert.Equal((TestServer.Issuer, w.S.Resource), (got.Jwt.Text("iss"), got.Jwt.Text("aud")));
        Assert.Equal(got.Hash, CanonicalJson.Digest(got.Answer.Release));
        Assert.Equal(TimeSpan.FromHours(24), got.Jwt.Time("exp") - got.Jwt.Time("iat"));
        Assert.Equal((1, All), (got.Release.Policies!.Version, got.Release.Policies.Text));
        Assert.Equal(["delete_file", "list_files", "read_file"], got.Release.Tools.Select(t => t.Name));
        Assert.Equal(["destructive", "read", "read"], got.Release.Tools.Select(t => t.Sensitivity));
        Assert.True(got.Version > none.Version && got.Manifest > none.Manifest);

        // The published keys are others: nobody who can change those can change what guards allow.
        Assert.DoesNotContain(got.Jwt.KeyId!, await Server.Client().GetStringAsync(Names.Paths.Jwks), StringComparison.Ordinal);
    }

    [SuiteFact]
    public async Task Release_ThatIsKnown_IsNotSentAgain()
    {
        var w = await PolicyWorld.OfAsync(Server);
        await w.ActivateAsync(All);
        var got = await w.FetchAsync();
        var again = await w.FetchRawAsync(got.Tag);
        Assert.Equal((HttpStatusCode.NotModified, got.Tag, ""), (again.StatusCode, again.Headers.ETag?.ToString(), await again.Content.ReadAsStringAsync()));
        await w.ActivateAsync(Reads);
        Assert.Equal(HttpStatusCode.OK, (await w.FetchRawAsync(got.Tag)).StatusCode);
    }

    [SuiteFact]
    public async Task Rollback_IsANewerRelease_OfTheSameHash()
    {
        var w = await PolicyWorld.OfAsync(Server);
        var first = await w.ActivateAsync(All);
        var one = await w.FetchAsync();
        await w.ActivateAsync(Reads);
        var two = await w.FetchAsync();
        Assert.True((await w.MoveAsync(first, "activate")).IsSuccessStatusCode);
        var three = await w.FetchAsync();
        Assert.Equal((one.Hash, one.Release.Policies!.Version), (three.Hash, three.Release.Policies!.Version));
        Assert.True(one.Version < two.Version && two.Version < three.Version && two.Manifest < three.Manifest);
        // Asking for what is there already changes nothing.
        Assert.True((await w.MoveAsync(first, "activate")).IsSuccessStatusCode);
        Assert.Equal((three.Version, three.Manifest), (await w.FetchAsync() is var four ? (four.Version, four.Manifest) : default));
    }

    [SuiteFact]
    public async Task Release_FollowsTheTools()
    {
        var w = await PolicyWorld.OfAsync(Server);
        await w.ActivateAsync(All);
        var before = await w.FetchAsync();
        var entry = await w.Ops.GetAsync($"/tool-servers/{w.S.ToolServer}");
        entry["tools"]!.AsArray().Single(t => (string?)t!["name"] == "read_file")!["sensitivity"] = "write";
        await w.Ops.PutAsync($"/tool-servers/{w.S.ToolServer}", entry);
        var after = await w.FetchAsync();
        Assert.NotEqual(before.Hash, after.Hash);
        Assert.Equal("write", after.Release.Tools.Single(t => t.Name == "read_file").Sensitivity);

        // A definition that changed is no longer approved; the one that was stays what it was.
        await w.Guard.CallAsync(Names.Paths.GuardManifest, new JsonObject
        {
            ["tools"] = new JsonArray(new JsonObject { ["name"] = "read_file", ["definition"] = new JsonObject { ["name"] = "read_file", ["inputSchema"] = new JsonObject { ["type"] = "object" } } }),
        });
        Assert.DoesNotContain((await w.FetchAsync()).Release.Tools, t => t.Name == "read_file");
    }

    /// <summary>A guard believes about the manifest what one node says, and asks another.</summary>
    [SuiteFact]
    public async Task Release_OfAChangeAtAnotherNode_IsThereAtOnce()
    {
        var (w, other) = (await PolicyWorld.OfAsync(Server), await AnotherAsync());
        await w.FetchAsync(other);
        for (var i = 0; i < 5; i++)
        {
            await w.ActivateAsync($"@id(\"p{i}\") permit(principal, action, resource);", at: Server);
            var there = await w.FetchAsync(other);
            Assert.Equal(i + 1, there.Release.Policies!.Version);
            var here = await w.FetchAsync();
            Assert.Equal((there.Version, there.Hash), (here.Version, here.Hash));
        }
    }

    [SuiteFact]
    public async Task Policies_OfOneToolServer_AreNotAnothers()
    {
        PolicyWorld w = await PolicyWorld.OfAsync(Server), other = await PolicyWorld.OfAsync(Server);
        await w.ActivateAsync(All);
        Assert.Null((await other.FetchAsync()).Release.Policies);
        Assert.Equal(other.S.Resource, (await other.FetchAsync()).Jwt.Text("aud"));
    }

    [SuiteFact]
    public async Task ActivationsAtOnce_LeaveOneActive_AndEveryoneAgrees()
    {
        var (w, other) = (await PolicyWorld.OfAsync(Server), await AnotherAsync());
        var drafts = new List<JsonObject>();
        for (var i = 0; i < 8; i++)
            drafts.Add(await w.DraftAsync($"@id(\"p{i}\") permit(principal, action, resource);"));
        var moves = await Task.WhenAll(drafts.Select((d, i) => w.MoveAsync(d, i % 3 == 0 ? "shadow" : "activate", i % 2 == 0 ? Server : other)));
        Assert.All(moves, m => Assert.Equal(HttpStatusCode.OK, m.StatusCode));
        var states = (await w.GetAsync("")).AsObject()["items"]!.AsArray().Select(v => (string)v!["state"]!).ToList();
        Assert.Equal((1, 1, 6), (states.Count(s => s == "active"), states.Count(s => s == "shadow"), states.Count(s => s == "retired")));
        Assert.Equal((await w.FetchAsync()).Hash, (await w.FetchAsync(other)).Hash);
    }

    [SuiteFact]
    public async Task Event_OfEachStep_SaysWhoDidIt()
    {
        var w = await PolicyWorld.OfAsync(Server);
        var mark = await Server.NowAsync();
        var version = await w.DraftAsync(All);
        foreach (var verb in new[] { "shadow", "activate", "withdraw" })
            await w.MoveAsync(version, verb);
        var told = (await Server.SinceAsync(mark)).Where(e => e.Type.StartsWith("policy.", StringComparison.Ordinal)).ToList();
        Assert.Equal([AuditTypes.PolicyDrafted, AuditTypes.PolicyShadowed, AuditTypes.PolicyActivated, AuditTypes.PolicyWithdrawn], told.Select(e => e.Type));
        Assert.All(told, e => Assert.Equal((w.Ops.Id, w.S.ToolServer, 1), (e.Client, (string?)e.Data!["tool_server"], (long?)e.Data["version"])));
    }
}

public sealed class PolicyReleaseOnSqliteTests(TestServer server) : PolicyReleaseSuite, IClassFixture<TestServer>
{
    protected override TestServer Server => server;
}

[NeedsPostgres]
public sealed class PolicyReleaseOnPostgresTests(PostgresServer postgres) : PolicyReleaseSuite, IClassFixture<PostgresServer>
{
    protected override TestServer Server => postgres.Server;

    private protected override Task<TestServer> AnotherAsync() => postgres.AnotherAsync();
}
