using McpAuth.Testing;
using McpAuthServer.People;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Harness;
using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.People;

public sealed class SqlitePeopleContextTests(TestServer server) : PeopleContextTests, IClassFixture<TestServer>
{
    private protected override TestServer Server => server;
}

[NeedsPostgres]
public sealed class PostgresPeopleContextTests(PostgresServer postgres) : PeopleContextTests, IClassFixture<PostgresServer>
{
    private protected override TestServer Server => postgres.Server;
}

/// <summary>Identity's rows are written by the commit log alone, each with its event, and are what Identity takes them for.</summary>
public abstract class PeopleContextTests
{
    private protected abstract TestServer Server { get; }

    [SuiteFact]
    public async Task Account_EveryProperty_IsReadAsItWasWritten()
    {
        var s = await Server.ScenarioAsync();
        await using var scope = Server.Services.CreateAsyncScope();
        var (accounts, account) = await FindAsync(scope, s);
        (account.PhoneNumber, account.PhoneNumberConfirmed, account.EmailConfirmed, account.TwoFactorEnabled, account.AccessFailedCount) = ("1", true, true, true, 3);
        account.LockoutEnd = new DateTimeOffset(2030, 1, 2, 3, 4, 5, 678, TimeSpan.Zero);
        Record(scope);
        Assert.True(await accounts.SavedAsync(account));

        await using var another = Server.Services.CreateAsyncScope();
        var (_, read) = await FindAsync(another, s);
        foreach (var property in typeof(IdentityUser<string>).GetProperties())
            Assert.Equal(property.GetValue(account), property.GetValue(read));
        Assert.NotSame(account, read);
    }

    [SuiteFact]
    public async Task Account_ClaimsLoginsTokensAndPasskeys_AreAddedChangedAndRemoved()
    {
        var s = await Server.ScenarioAsync();
        await using var scope = Server.Services.CreateAsyncScope();
        var context = scope.ServiceProvider.GetRequiredService<PeopleContext>();
        context.Add(new IdentityUserClaim<string> { UserId = s.Person.Id, ClaimType = "a", ClaimValue = "1" });
        context.Add(new IdentityUserClaim<string> { UserId = s.Person.Id, ClaimType = "b", ClaimValue = null });
        context.Add(new IdentityUserLogin<string> { UserId = s.Person.Id, LoginProvider = "p", ProviderKey = s.Suffix, ProviderDisplayName = "P" });
        context.Add(new IdentityUserToken<string> { UserId = s.Person.Id, LoginProvider = "p", Name = "t", Value = "v" });
        context.Add(new IdentityUserPasskey<string>
        {
            UserId = s.Person.Id, CredentialId = [1, 2, 3, .. System.Text.Encoding.UTF8.GetBytes(s.Suffix)],
            Data = new IdentityPasskeyData { PublicKey = [4, 5], Name = "key", SignCount = 7, Transports = ["usb"], CreatedAt = Server.Time.GetUtcNow(), AttestationObject = [6], ClientDataJson = [7] },
        });
        Record(scope);
        Assert.Equal(5, await context.SaveChangesAsync());

        await using var another = Server.Services.CreateAsyncScope();
        var fresh = another.ServiceProvider.GetRequiredService<PeopleContext>();
        var passkey = Assert.Single(await fresh.UserPasskeys.Where(p => p.UserId == s.Person.Id).ToListAsync());
        Assert.Equal(("key", 7u, "usb", Server.Time.GetUtcNow()), (passkey.Data.Name, passkey.Data.SignCount, passkey.Data.Transports![0], passkey.Data.CreatedAt));
        var claims = await fresh.UserClaims.Where(c => c.UserId == s.Person.Id).OrderBy(c => c.Id).ToListAsync();
        Assert.Equal([("a", "1"), ("b", null)], claims.Select(c => (c.ClaimType!, c.ClaimValue)));
        Assert.All(claims, c => Assert.InRange(c.Id, 1, int.MaxValue));
        claims[1].ClaimValue = "2";
        fresh.Remove(claims[0]);
        fresh.Remove(passkey);
        fresh.RemoveRange(await fresh.UserLogins.Where(l => l.UserId == s.Person.Id).ToListAsync());
        fresh.RemoveRange(await fresh.UserTokens.Where(t => t.UserId == s.Person.Id).ToListAsync());
        Record(another);
        Assert.Equal(5, await fresh.SaveChangesAsync());

        Assert.Equal(1, await Server.ScalarAsync($"select count(*) from account_claims where user_id = '{s.Person.Id}' and claim_value = '2'"));
        foreach (var table in new[] { "account_logins", "account_tokens", "account_passkeys" })
            Assert.Equal(0, await Server.ScalarAsync($"select count(*) from {table} where user_id = '{s.Person.Id}'"));
    }

    [SuiteFact]
    public async Task Save_WithoutAnEvent_IsRefusedAndChangesNothing()
    {
        var s = await Server.ScenarioAsync();
        await using var scope = Server.Services.CreateAsyncScope();
        var (accounts, account) = await FindAsync(scope, s);
        account.AccessFailedCount = 4;

        await Assert.ThrowsAsync<InvalidOperationException>(() => accounts.UpdateAsync(account));
        Assert.Throws<InvalidOperationException>(() => scope.ServiceProvider.GetRequiredService<PeopleContext>().SaveChanges());
        Assert.Equal(0, await Server.ScalarAsync($"select access_failed_count from accounts where id = '{s.Person.Id}'"));

        // One event, one change.
        await using var another = Server.Services.CreateAsyncScope();
        (accounts, account) = await FindAsync(another, s);
        Record(another);
        account.AccessFailedCount = 3;
        Assert.True(await accounts.SavedAsync(account));
        account.AccessFailedCount = 2;
        await Assert.ThrowsAsync<InvalidOperationException>(() => accounts.UpdateAsync(account));
        Assert.Equal(3, await Server.ScalarAsync($"select access_failed_count from accounts where id = '{s.Person.Id}'"));
    }

    [SuiteFact]
    public async Task Save_RowChangedSinceItWasRead_IsAConcurrencyFailureAndRecordsNothing()
    {
        var s = await Server.ScenarioAsync();
        await using var first = Server.Services.CreateAsyncScope();
        await using var second = Server.Services.CreateAsyncScope();
        var ((accounts, account), (others, other)) = (await FindAsync(first, s), await FindAsync(second, s));
        Record(first);
        account.AccessFailedCount = 1;
        Assert.True(await accounts.SavedAsync(account));
        var mark = await Server.NowAsync();

        Record(second);
        other.AccessFailedCount = 2;
        var result = await others.UpdateAsync(other);

        Assert.Equal("ConcurrencyFailure", Assert.Single(result.Errors).Code);
        Assert.Equal(1, await Server.ScalarAsync($"select access_failed_count from accounts where id = '{s.Person.Id}'"));
        Assert.Empty(await Server.SinceAsync(mark));
    }

    [SuiteFact]
    public async Task Save_PreconditionThatDoesNotHold_WritesNothing()
    {
        var s = await Server.ScenarioAsync();
        await using var scope = Server.Services.CreateAsyncScope();
        var (accounts, account) = await FindAsync(scope, s);
        var mark = await Server.NowAsync();
        account.AccessFailedCount = 3;
        scope.ServiceProvider.GetRequiredService<PeopleContext>().Record(new AccountChange(AccountEvents.Some(Server))
        {
            First = tx =>
            {
                tx.Run(new Sql("update users set name = 'changed' where id = @id").With(s.Person.Id));
                return null;
            },
        });

        Assert.False(await accounts.SavedAsync(account));

        Assert.Equal(0, await Server.ScalarAsync($"select access_failed_count from accounts where id = '{s.Person.Id}'"));
        Assert.Equal(0, await Server.ScalarAsync($"select count(*) from users where id = '{s.Person.Id}' and name = 'changed'"));
        Assert.Empty(await Server.SinceAsync(mark));
    }

    [SuiteFact]
    public async Task Connection_OfTheContext_CannotWrite()
    {
        var s = await Server.ScenarioAsync();
        await using var scope = Server.Services.CreateAsyncScope();
        var context = scope.ServiceProvider.GetRequiredService<PeopleContext>();

        var write = await Assert.ThrowsAnyAsync<System.Data.Common.DbException>(() => context.Users.Where(a => a.Id == s.Person.Id).ExecuteDeleteAsync());

        Assert.Matches("readonly|read-only", write.Message);
        Assert.Equal(1, await Server.ScalarAsync($"select count(*) from accounts where id = '{s.Person.Id}'"));
    }

    private static async Task<(UserManager<Account> Accounts, Account Account)> FindAsync(AsyncServiceScope scope, Scenario s)
    {
        var accounts = scope.ServiceProvider.GetRequiredService<UserManager<Account>>();
        return (accounts, (await accounts.FindByIdAsync(s.Person.Id))!);
    }

    private void Record(AsyncServiceScope scope) => scope.ServiceProvider.GetRequiredService<PeopleContext>().Record(new AccountChange(AccountEvents.Some(Server)));
}
