using System.Text;
using System.Text.Json;
using McpAuthServer.Storage;
using Microsoft.AspNetCore.Identity;
using Microsoft.AspNetCore.Identity.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.ChangeTracking;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;

namespace McpAuthServer.People;

/// <summary>
/// Identity's tables. It reads on connections that cannot write; what it saves is a unit of the commit log, with the event that
/// <see cref="Record"/> was given. Not thread-safe: one per request.
/// </summary>
internal sealed class PeopleContext(DbContextOptions<PeopleContext> options, ICommitLog log)
    : IdentityUserContext<Account, string, IdentityUserClaim<string>, IdentityUserLogin<string>, IdentityUserToken<string>, IdentityUserPasskey<string>>(options)
{
    private AccountChange? change;

    /// <summary>What the next save is recorded as. It serves one attempt, failed or not.</summary>
    public void Record(AccountChange next) => change = next;

    /// <exception cref="InvalidOperationException">Nothing was given to <see cref="Record"/>.</exception>
    /// <exception cref="DbUpdateConcurrencyException">A row is not what was read, or the change's precondition does not hold.</exception>
    public override async Task<int> SaveChangesAsync(bool acceptAllChangesOnSuccess, CancellationToken cancellationToken = default)
    {
        ChangeTracker.DetectChanges();
        var rows = AccountWrites.Of(ChangeTracker.Entries());
        if (change is not { } recorded)
            return rows.Count == 0 ? 0 : throw new InvalidOperationException("A change of accounts needs the event that tells of it.");
        change = null;
        await log.Commit(new AccountWrites(recorded, rows));
        if (acceptAllChangesOnSuccess)
            ChangeTracker.AcceptAllChanges();
        return rows.Count;
    }

    /// <exception cref="InvalidOperationException">Always: a commit is waited for without a thread.</exception>
    public override int SaveChanges(bool acceptAllChangesOnSuccess) => throw new InvalidOperationException("Accounts are saved asynchronously.");

    protected override void ConfigureConventions(ModelConfigurationBuilder configurationBuilder)
    {
        base.ConfigureConventions(configurationBuilder);
        // One form in both databases: whole numbers of 64 bits.
        configurationBuilder.Properties<bool>().HaveConversion<BoolToZeroOneConverter<long>>();
        configurationBuilder.Properties<int>().HaveConversion<long>();
        configurationBuilder.Properties<DateTimeOffset>().HaveConversion<Milliseconds>();
    }

    protected override void OnModelCreating(ModelBuilder builder)
    {
        base.OnModelCreating(builder);
        builder.Entity<Account>().ToTable("accounts");
        builder.Entity<IdentityUserClaim<string>>().ToTable("account_claims");
        builder.Entity<IdentityUserLogin<string>>().ToTable("account_logins");
        builder.Entity<IdentityUserToken<string>>().ToTable("account_tokens");
        builder.Entity<IdentityUserPasskey<string>>(passkey =>
        {
            passkey.ToTable("account_passkeys");
            passkey.Ignore(p => p.Data);
            passkey.Property(p => p.Data).HasConversion(
                data => JsonSerializer.Serialize(data, JsonSerializerOptions.Default), text => JsonSerializer.Deserialize<IdentityPasskeyData>(text, JsonSerializerOptions.Default)!,
                ValueComparer.CreateDefault<IdentityPasskeyData>(favorStructuralComparisons: false));
        });
        foreach (var property in builder.Model.GetEntityTypes().SelectMany(t => t.GetProperties()))
            property.SetColumnName(Snake(property.Name));
    }

    private static string Snake(string name)
    {
        var snake = new StringBuilder(name.Length + 4);
        foreach (var c in name)
        {
            if (char.IsAsciiLetterUpper(c) && snake.Length > 0)
                snake.Append('_');
            snake.Append(char.ToLowerInvariant(c));
        }
        return snake.ToString();
    }

    private sealed class Milliseconds() : ValueConverter<DateTimeOffset, long>(t => t.ToUnixTimeMilliseconds(), ms => DateTimeOffset.FromUnixTimeMilliseconds(ms));
}
