using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Testing;
using McpAuthServer.Federation;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Federation;

/// <summary>Who a provider's subject is here: by a link, or by an explicit rule, and otherwise nobody.</summary>
public abstract class SubjectSuite
{
    private protected abstract TestServer Server { get; }

    private async Task<(Scenario, TestProvider)> SceneAsync(Action<JsonObject>? change = null)
    {
        var s = await Server.ScenarioAsync();
        await Server.ApplyAsync(new JsonObject
        {
            ["groups"] = new JsonArray(new JsonObject { ["id"] = "grp_eng_" + s.Suffix, ["name"] = "Engineers" }, new JsonObject { ["id"] = "grp_ops_" + s.Suffix, ["name"] = "Operators" }),
        }.ToJsonString());
        var provider = new TestProvider(s);
        await provider.RegisterAsync(e =>
        {
            e.Remove("links");
            change?.Invoke(e);
        });
        return (s, provider);
    }

    private static JsonObject Rule(Scenario s, bool domains = true, bool groups = false)
    {
        var rule = new JsonObject();
        if (domains)
            rule["email_domains"] = new JsonArray($"corp{s.Suffix}.test");
        if (groups)
            rule["groups"] = new JsonObject { ["CN=Eng,OU=Groups"] = "grp_eng_" + s.Suffix, ["ops"] = "grp_ops_" + s.Suffix };
        return rule;
    }

    /// <summary>Somebody whom the provider knows and this server does not.</summary>
    private static Action<JsonObject> Bob(Scenario s, Action<JsonObject>? change = null) => claims =>
    {
        (claims["sub"], claims["name"], claims["email"], claims["email_verified"]) = ("bob-" + s.Suffix, "Bob Bobson", $"Bob@corp{s.Suffix}.test", true);
        change?.Invoke(claims);
    };

    private async Task RefusedAsync(TestProvider provider, Action<JsonObject> claims, string reason)
    {
        var people = await TestProvider.PeopleAsync(Server);
        await Server.RefusedAsync(() => provider.RedeemRawAsync(provider.Assertion(claims)), HttpStatusCode.BadRequest, Names.Errors.InvalidGrant, reason, AuditTypes.TokenRefused, reason);
        Assert.Equal(people, await TestProvider.PeopleAsync(Server));
    }

    [SuiteFact]
    public async Task Subject_Unknown_WithoutARule_IsNobody()
    {
        var (s, provider) = await SceneAsync();
        await RefusedAsync(provider, Bob(s), Subjects.Unknown);
        // Also one whose address somebody here has: an address alone makes nobody anybody.
        await RefusedAsync(provider, Bob(s, c => c["email"] = s.Person.Email), Subjects.Unknown);
    }

    [SuiteFact]
    public async Task Subject_AdmittedByTheRule_BecomesAUserWithoutAPassword()
    {
        var (s, provider) = await SceneAsync();
        await provider.ApplyAsync(e => (e["links"], e["provision"]) = (new JsonArray(), Rule(s, groups: true)));
        var mark = await Server.NowAsync();

        var token = await provider.RedeemAsync(Bob(s, c => c["groups"] = new JsonArray("CN=Eng,OU=Groups", "others")));

        var claims = Answers.Claims(token.AccessToken);
        var id = claims.GetProperty("sub").GetString()!;
        Assert.StartsWith("usr_", id, StringComparison.Ordinal);
        Assert.Equal(["grp_eng_" + s.Suffix], claims.GetProperty("groups").EnumerateArray().Select(g => g.GetString()));
        var events = await Server.SinceAsync(mark);
        Assert.Equal([AuditTypes.PersonProvisioned, AuditTypes.ConsentGranted, AuditTypes.TaskCreated, AuditTypes.TokenIssued], events.Select(e => e.Type));
        Assert.Equal((id, provider.Id, "bob-" + s.Suffix, events[0].Id), (events[0].User, (string?)events[0].Data!["provider"], (string?)events[0].Data!["subject"], events[1].Cause));
        Assert.Equal(["Bob Bobson"], await Server.TextsAsync($"select name from users where id = '{id}' and enabled = 1 and administrator = 0 and email = 'Bob@corp{s.Suffix}.test'"));
        Assert.Equal(0, await Server.ScalarAsync($"select count(*) from accounts where id = '{id}'"));

        // The second time it is that person, and nothing is new.
        mark = await Server.NowAsync();
        Assert.Equal(id, Answers.Claims((await provider.RedeemAsync(Bob(s, c => c["groups"] = new JsonArray("CN=Eng,OU=Groups")))).AccessToken).GetProperty("sub").GetString());
        Assert.Equal([AuditTypes.TokenIssued], (await Server.SinceAsync(mark)).Select(e => e.Type));
    }

    [SuiteFact]
    public async Task Rule_WhereAllOfItDoesNotHold_AdmitsNobody()
    {
        var (s, provider) = await SceneAsync();
        await provider.ApplyAsync(e => (e["links"], e["provision"]) = (new JsonArray(), Rule(s, groups: true)));
        var member = new JsonArray("ops");
        foreach (var change in new Action<JsonObject>[]
                 {
                     c => c["groups"] = new JsonArray("others"), c => c.Remove("groups"), c => (c["groups"], c["email"]) = (member.DeepClone(), "bob@other.test"),
                     c => (c["groups"], c["email"]) = (member.DeepClone(), $"bob@evil.corp{s.Suffix}.test"), c => (c["groups"], c["email_verified"]) = (member.DeepClone(), false),
                     c => (c["groups"], c["email_verified"]) = (member.DeepClone(), "true"), c => (c["groups"], c["email"]) = (member.DeepClone(), $"bob@x@corp{s.Suffix}.test"),
                 })
            await RefusedAsync(provider, Bob(s, change), Subjects.NotAdmitted);
        var silent = Bob(s, c =>
        {
            c["groups"] = member.DeepClone();
            c.Remove("email_verified");
        });
        await RefusedAsync(provider, silent, Subjects.NotAdmitted);
        Assert.Equal(HttpStatusCode.OK, (await provider.RedeemRawAsync(provider.Assertion(Bob(s, c => c["groups"] = member.DeepClone())))).StatusCode);
    }

    [SuiteFact]
    public async Task Groups_OfAProvisionedPerson_FollowWhatTheProviderSays()
    {
        var (s, provider) = await SceneAsync();
        await provider.ApplyAsync(e => (e["links"], e["provision"]) = (new JsonArray(), Rule(s, domains: false, groups: true)));
        async Task<string[]> GroupsAsync(params string[] groups) =>
            [.. Answers.Claims((await provider.RedeemAsync(Bob(s, c => c["groups"] = new JsonArray([.. groups.Select(g => (JsonNode?)g)])))).AccessToken).GetProperty("groups").EnumerateArray().Select(g => g.GetString()!)];
        Assert.Equal(["grp_eng_" + s.Suffix], await GroupsAsync("CN=Eng,OU=Groups"));
        var mark = await Server.NowAsync();
        Assert.Equal(["grp_ops_" + s.Suffix], await GroupsAsync("ops"));
        var changed = (await Server.SinceAsync(mark))[0];
        Assert.Equal((AuditTypes.PersonGroupsChanged, "grp_ops_" + s.Suffix, "grp_eng_" + s.Suffix), (changed.Type, (string?)changed.Data!["joined"]![0], (string?)changed.Data!["left"]![0]));
        // Of no group any more, they are let in by nothing.
        await RefusedAsync(provider, Bob(s, c => c["groups"] = new JsonArray("others")), Subjects.NotAdmitted);
    }

    [SuiteFact]
    public async Task Address_OfSomebodyHere_IsNotTakenOverByTheRuleForNewPeople()
    {
        var (s, provider) = await SceneAsync();
        await Server.ApplyAsync(new JsonObject { ["users"] = new JsonArray(new JsonObject { ["id"] = "usr_bob_" + s.Suffix, ["name"] = "Bob", ["email"] = $"bOB@corp{s.Suffix}.test" }) }.ToJsonString());
        await provider.ApplyAsync(e => (e["links"], e["provision"]) = (new JsonArray(), Rule(s)));
        await RefusedAsync(provider, Bob(s), Subjects.AddressTaken);
        // An administrator says who it is.
        await provider.ApplyAsync(e => e["links"] = new JsonArray(new JsonObject { ["subject"] = "bob-" + s.Suffix, ["user"] = "usr_bob_" + s.Suffix }));
        Assert.Equal("usr_bob_" + s.Suffix, Answers.Claims((await provider.RedeemAsync(Bob(s))).AccessToken).GetProperty("sub").GetString());
    }

    [SuiteFact]
    public async Task Address_WithAnExplicitRule_LinksToWhoHasIt()
    {
        var (s, provider) = await SceneAsync();
        await Server.ApplyAsync(new JsonObject { ["users"] = new JsonArray(new JsonObject { ["id"] = "usr_bob_" + s.Suffix, ["name"] = "Bob", ["email"] = $"bOB@corp{s.Suffix}.test" }) }.ToJsonString());
        await provider.ApplyAsync(e => (e["links"], e["link_by_email"]) = (new JsonArray(), new JsonArray($"corp{s.Suffix}.test")));
        foreach (var change in new Action<JsonObject>[] { c => c["email_verified"] = false, c => c["email"] = s.Person.Email, c => c["email"] = $"nobody@corp{s.Suffix}.test" })
            await RefusedAsync(provider, Bob(s, change), Subjects.Unknown);
        var mark = await Server.NowAsync();

        Assert.Equal("usr_bob_" + s.Suffix, Answers.Claims((await provider.RedeemAsync(Bob(s))).AccessToken).GetProperty("sub").GetString());

        Assert.Equal([AuditTypes.PersonLinked, AuditTypes.ConsentGranted, AuditTypes.TaskCreated, AuditTypes.TokenIssued], (await Server.SinceAsync(mark)).Select(e => e.Type));
        // From then on it is the subject that counts, and no address.
        Assert.Equal("usr_bob_" + s.Suffix, Answers.Claims((await provider.RedeemAsync(Bob(s, c => c["email"] = s.Person.Email))).AccessToken).GetProperty("sub").GetString());
    }

    [SuiteFact]
    public async Task Person_WhoWasProvisionedAndIsDisabled_IsRefused()
    {
        var (s, provider) = await SceneAsync();
        await provider.ApplyAsync(e => (e["links"], e["provision"]) = (new JsonArray(), Rule(s)));
        var token = await provider.RedeemAsync(Bob(s));
        var id = Answers.Claims(token.AccessToken).GetProperty("sub").GetString()!;
        var (ops, guard) = (await TestAdministrator.OfAsync(Server), await TestGuard.OfAsync(s));
        Assert.True(await guard.IsActiveAsync(token.AccessToken));

        await ops.RevokeAsync("user", id);

        Assert.False(await guard.IsActiveAsync(token.AccessToken));
        await RefusedAsync(provider, Bob(s), Names.Reasons.UserDisabled);
    }

    [SuiteFact]
    public async Task Subject_OfAnotherProvider_IsSomebodyElse()
    {
        var (s, provider) = await SceneAsync();
        var other = new TestProvider(await Server.ScenarioAsync());
        await other.RegisterAsync();
        await RefusedAsync(provider, c => c["sub"] = other.Subject, Subjects.Unknown);
    }

    /// <summary>However many come at once, the first makes the person and the others find them.</summary>
    [SuiteFact]
    public async Task Subject_ComingTenTimesAtOnce_IsOnePerson()
    {
        var (s, provider) = await SceneAsync();
        await provider.ApplyAsync(e => (e["links"], e["provision"]) = (new JsonArray(), Rule(s)));
        var answers = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => provider.RedeemRawAsync(provider.Assertion(Bob(s))))).WaitAsync(TimeSpan.FromSeconds(120));
        Assert.All(answers, a => Assert.Equal(HttpStatusCode.OK, a.StatusCode));
        Assert.Equal((1, 1), (await Server.ScalarAsync($"select count(*) from identities where subject = 'bob-{s.Suffix}'"), await Server.ScalarAsync($"select count(*) from users where email = 'Bob@corp{s.Suffix}.test'")));
        Assert.Equal(1, await Server.ScalarAsync($"select count(*) from tasks where client_id = '{provider.Desk}'"));
        Assert.Equal(1, await Server.ScalarAsync($"select count(*) from consents where client_id = '{provider.Desk}'"));
    }
}

public sealed class SubjectTests(TestServer server) : SubjectSuite, IClassFixture<TestServer>
{
    private protected override TestServer Server => server;
}

[NeedsPostgres]
public sealed class SubjectOnPostgresTests(PostgresServer postgres) : SubjectSuite, IClassFixture<PostgresServer>
{
    private protected override TestServer Server => postgres.Server;
}
