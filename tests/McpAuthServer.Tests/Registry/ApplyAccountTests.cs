using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Testing;
using McpAuthServer.People;
using Microsoft.AspNetCore.Identity;

namespace McpAuthServer.Tests.Registry;

/// <summary>How a registry file lets people sign in.</summary>
public abstract class ApplyAccountTests : RegistrySuite
{
    private const string Password = "the first password";

    [SuiteFact]
    public async Task Apply_UserWithAddressAndPassword_GetsAnAccountWithItsHash()
    {
        await Registry.File($$"""{"users": [{"id": "usr_a", "name": "A", "email": "A@x.test", "password": "{{Password}}", "administrator": true}, {"id": "usr_b", "name": "B"}]}""");

        Assert.Equal(["usr_a|A@x.test|A@X.TEST|A@x.test|A@X.TEST|1|0"],
            await Registry.Query("select id, user_name, normalized_user_name, email, normalized_email, lockout_enabled, access_failed_count from accounts"));
        Assert.Equal(["usr_a|1", "usr_b|0"], await Registry.Query("select id, administrator from users order by id"));
        await AssertPasswordAsync("usr_a", Password);
        Assert.DoesNotContain(Password, await Registry.Dump(), StringComparison.Ordinal);
        Assert.DoesNotContain(Password, string.Join('\n', (await Registry.Events()).Select(e => e.ToString())), StringComparison.Ordinal);
    }

    [SuiteFact]
    public async Task Apply_PasswordOnceSet_IsNeverResetByTheFile()
    {
        string File(string password) => $$"""{"users": [{"id": "usr_a", "name": "A", "email": "a@x.test", "password": "{{password}}"}]}""";
        await Registry.File("""{"users": [{"id": "usr_a", "name": "A", "email": "a@x.test"}]}""");
        Assert.Equal(["null"], await Registry.Query("select password_hash from accounts"));

        Assert.Equal(1, (await Registry.File(File(Password))).Changed);
        var row = await Registry.Rows("accounts");
        Assert.Equal(0, (await Registry.File(File(Password))).Changed);
        Assert.Equal(0, (await Registry.File(File("another password"))).Changed);

        Assert.Equal(row, await Registry.Rows("accounts"));
    }

    [SuiteFact]
    public async Task Apply_AdministratorLeftOut_KeepsWhatIs()
    {
        string File(string member) => $$"""{"users": [{"id": "usr_a", "name": "A"{{member}}}]}""";
        foreach (var (member, expected) in new[] { ("", 0), (", \"administrator\": true", 1), ("", 1), (", \"administrator\": false", 0), ("", 0) })
        {
            await Registry.File(File(member));
            Assert.Equal([$"{expected}"], await Registry.Query("select administrator from users"));
        }
    }

    [SuiteFact]
    public async Task Apply_AddressChanged_ChangesTheSignInNameAlone()
    {
        await Registry.File($$"""{"users": [{"id": "usr_a", "name": "A", "email": "a@x.test", "password": "{{Password}}"}]}""");
        var before = await Registry.Query("select password_hash, security_stamp from accounts");

        Assert.Equal(1, (await Registry.File("""{"users": [{"id": "usr_a", "name": "A", "email": "b@x.test"}]}""")).Changed);
        Assert.Equal(["b@x.test|B@X.TEST|B@X.TEST"], await Registry.Query("select user_name, normalized_user_name, normalized_email from accounts"));
        Assert.Equal(before, await Registry.Query("select password_hash, security_stamp from accounts"));
        Assert.Equal(1, (await Registry.File("""{"users": [{"id": "usr_a", "name": "A", "email": "B@x.test"}]}""")).Changed);
        Assert.Equal(["B@x.test|B@X.TEST"], await Registry.Query("select user_name, normalized_user_name from accounts"));
    }

    [SuiteFact]
    public async Task Apply_AddressesExchanged_AreExchanged()
    {
        await Registry.File("""{"users": [{"id": "usr_a", "name": "A", "email": "a@x.test"}, {"id": "usr_b", "name": "B", "email": "b@x.test"}]}""");

        Assert.Empty((await Registry.File("""{"users": [{"id": "usr_a", "name": "A", "email": "b@x.test"}, {"id": "usr_b", "name": "B", "email": "a@x.test"}]}""")).Faults);

        Assert.Equal(["usr_a|B@X.TEST", "usr_b|A@X.TEST"], await Registry.Query("select id, normalized_user_name from accounts order by id"));
    }

    [SuiteFact]
    public async Task Apply_AddressOfAnother_IsRefusedWhateverItsCase()
    {
        await Registry.File("""{"users": [{"id": "usr_a", "name": "A", "email": "a@x.test"}]}""");
        var before = await Registry.Dump();

        foreach (var (file, code, path) in new[]
        {
            ("""{"users": [{"id": "usr_b", "name": "B", "email": "A@X.test"}]}""", "conflict", "$.users[0].email"),
            ("""{"users": [{"id": "usr_b", "name": "B", "email": "n@x.test"}, {"id": "usr_c", "name": "C", "email": "N@X.TEST"}]}""", "duplicate", "$.users[1].email"),
            ("""{"users": [{"id": "usr_a", "name": "A", "email": "A@x.test"}, {"id": "usr_b", "name": "B", "email": "a@X.test"}]}""", "duplicate", "$.users[1].email"),
        })
        {
            var faults = (await Registry.File(file)).Faults;
            Assert.Contains(faults, f => f.Code == code && f.Path == path);
            Assert.Equal(before, await Registry.Dump());
        }
    }

    [SuiteFact]
    public async Task Apply_AddressTakenAway_TakesTheAccountAndItsSessions()
    {
        await Registry.File($$"""{"users": [{"id": "usr_a", "name": "A", "email": "a@x.test", "password": "{{Password}}"}]}""");
        await Registry.Execute("insert into account_claims (user_id, claim_type) values ('usr_a', 'x')");
        await SessionAsync("ses_1", "usr_a");

        var events = await Registry.EventsOf(() => Registry.File("""{"users": [{"id": "usr_a", "name": "A"}]}"""));

        Assert.Empty(await Registry.Query("select id from accounts"));
        Assert.Equal(["0"], await Registry.Query("select count(*) from sessions where ended_at is null"));
        Assert.Contains(events, e => e.Type == AuditTypes.SignedOut && e.Reason == "sign_in_name_removed");
        // It can be given again, and the file's password with it.
        await Registry.File($$"""{"users": [{"id": "usr_a", "name": "A", "email": "a@x.test", "password": "the second password"}]}""");
        await AssertPasswordAsync("usr_a", "the second password");
    }

    [SuiteFact]
    public async Task Apply_UserDisabled_EndsTheirSessionsAndNobodyElses()
    {
        await Registry.File("""{"users": [{"id": "usr_a", "name": "A"}, {"id": "usr_b", "name": "B"}]}""");
        foreach (var (id, user) in new[] { ("ses_1", "usr_a"), ("ses_2", "usr_a"), ("ses_3", "usr_b") })
            await SessionAsync(id, user);

        var events = await Registry.EventsOf(() => Registry.File("""{"users": [{"id": "usr_a", "name": "A", "enabled": false}]}"""));

        Assert.Equal(["ses_3"], await Registry.Query("select id from sessions where ended_at is null"));
        Assert.Equal([(Names.Reasons.UserDisabled, "usr_a"), (Names.Reasons.UserDisabled, "usr_a")],
            events.Where(e => e.Type == AuditTypes.SignedOut).Select(e => (e.Reason!, e.User!)));
    }

    private async Task AssertPasswordAsync(string user, string password)
    {
        var hash = Assert.Single(await Registry.Query($"select password_hash from accounts where id = '{user}'"));
        Assert.NotEqual(PasswordVerificationResult.Failed, RegistryHarness.Hasher.VerifyHashedPassword(new Account(), hash, password));
    }

    private Task SessionAsync(string id, string user) => Registry.Execute(
        "insert into sessions (id, user_id, auth_time, acr, expires_at) values (@id, @user, 1, 'pwd', 9999999999999)", id, user);
}

public sealed class SqliteApplyAccountTests : ApplyAccountTests
{
    private protected override bool OnPostgres => false;
}

[NeedsPostgres]
public sealed class PostgresApplyAccountTests : ApplyAccountTests
{
    private protected override bool OnPostgres => true;
}

/// <summary>What a file may say of passwords.</summary>
public sealed class ApplyPasswordTests
{
    [Theory]
    [InlineData("users[0].password", "\"twelve chars\"", null)]
    [InlineData("users[0].password", "\"elevenchars\"", "invalid_value")]
    [InlineData("users[1].password", "\"a password beside a hash\"", "conflict")]
    [InlineData("users[1].password_hash", "\"AQAAAAIAAYagAAAAEEsDvDswDQKDiQL/ulxFAvQzOcXpH80gRDkukCLYc9mDKnuR0MP7HjBTTo4J2WWRMA==\"", null)]
    [InlineData("users[1].password_hash", "\"AQAAAAIAAYafAAAAEEsDvDswDQKDiQL/ulxFAvQzOcXpH80gRDkukCLYc9mDKnuR0MP7HjBTTo4J2WWRMA==\"", "invalid_value")]
    [InlineData("users[1].password_hash", "\"AQAAAAIA////AAAAEEsDvDswDQKDiQL/ulxFAvQzOcXpH80gRDkukCLYc9mDKnuR0MP7HjBTTo4J2WWRMA==\"", "invalid_value")]
    [InlineData("users[1].password_hash", "\"AQAAAAEAAzRQAAAAEEsDvDswDQKDiQL/ulxFAvQzOcXpH80gRDkukCLYc9mDKnuR0MP7HjBTTo4J2WWRMA==\"", "invalid_value")]
    [InlineData("users[1].password_hash", "\"AQAAAAIAAzRQAAAAEEsDvDswDQKDiQL/ulxFAvQzOcXpH80gRDkukCLYc9mDKnuR0MP7HjBTTo4J2WWRMA==\\n\"", "invalid_value")]
    [InlineData("users[1].email", null, "missing_member")]
    public void Parse_PasswordOrHash_IsJudged(string place, string? json, string? code)
    {
        var faults = McpAuthServer.Registry.Apply.ApplyParser.Parse(System.Text.Encoding.UTF8.GetBytes(ApplyFile.With(place, json).ToJsonString())).Faults;

        Assert.Equal(code is null ? [] : [code], faults.Select(f => f.Code));
        Assert.All(faults, f => Assert.DoesNotContain("AQAAAA", f.ToString(), StringComparison.Ordinal));
    }

    [Fact]
    public void Hash_OfTheServer_IsWhatFilesMayHold()
    {
        Assert.True(Passwords.IsHash(Passwords.Hash("some long password")));
        Assert.True(Passwords.IsHash(Passwords.NobodysHash()));
    }
}
