using McpAuth.Protocol.Jose;
using McpAuth.Testing;
using McpAuthServer.Keys;
using McpAuthServer.Storage;

namespace McpAuthServer.Tests.Storage;

/// <summary>Migrations, on both databases.</summary>
public abstract class MigratorTests : StoreSuite
{
    private static readonly Migration One = Migration.Of("0001_one.sql", "create table one (id text primary key);\ninsert into one (id) values ('x');\n"),
        Two = Migration.Of("0002_two.sql", "create table two (id text primary key);"),
        Broken = Migration.Of("0002_broken.sql", "create table two (id text primary key);\ninsert into nowhere (id) values ('x');");

    private protected override bool Migrated => false;

    private protected abstract bool OnPostgres { get; }

    private Task<IReadOnlyList<int>> Apply(params Migration[] known) => new Migrator(Store.Target, known, TimeProvider.System).Apply(default);

    [SuiteFact]
    public async Task Apply_Twice_AppliesOnce()
    {
        Assert.Equal([1, 2], await Apply(One, Two));
        Assert.Empty(await Apply(One, Two));
        Assert.Equal(["one", "two"], await Store.Texts("select name from schema_migrations order by number"));
        Assert.Equal(1, await Store.Number("select count(*) from one"));
    }

    [SuiteFact]
    public async Task Apply_ByManyAtOnce_EachMigrationRunsOnce()
    {
        var applied = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => Apply(One, Two)))).WaitAsync(Patience);
        Assert.Equal([1, 2], applied.SelectMany(a => a).Order());
    }

    [SuiteFact]
    public async Task Apply_OneFails_NothingOfTheRunStays()
    {
        await Assert.ThrowsAnyAsync<System.Data.Common.DbException>(() => Apply(One, Broken));
        Assert.Equal([1, 2], await Apply(One, Two).WaitAsync(Patience));
    }

    [SuiteFact]
    public async Task Apply_ConnectionGoneHalfWay_LeavesNeitherSchemaNorLock()
    {
        await using (var crashed = await Store.Target.Lock(default))
        {
            await crashed.Execute(One.Text, default);
            // Disposed without a commit: what the end of a process does to its connection.
        }
        Assert.Equal([1, 2], await Apply(One, Two).WaitAsync(Patience));
    }

    [SuiteFact]
    public async Task Apply_TextChangedAfterwards_RefusesToStart()
    {
        await Apply(One);
        var changed = Migration.Of("0001_one.sql", One.Text + "-- harmless");
        var refused = await Assert.ThrowsAsync<MigrationRefusedException>(() => Apply(changed, Two));
        Assert.Contains("0001_one", refused.Message, StringComparison.Ordinal);
        Assert.Equal(["one"], await Store.Texts("select name from schema_migrations"));
    }

    [SuiteFact]
    public async Task Apply_DatabaseOfANewerServer_RefusesToStart()
    {
        await Apply(One, Two);
        var refused = await Assert.ThrowsAsync<MigrationRefusedException>(() => Apply(One));
        Assert.Contains("0002_two", refused.Message, StringComparison.Ordinal);
    }

    [SuiteFact]
    public async Task Apply_MigrationSlippedInBelow_RefusesToStart()
    {
        await Apply(Two);
        await Assert.ThrowsAsync<MigrationRefusedException>(() => Apply(One, Two));
    }

    [SuiteFact]
    public void Checksum_LineEndsOfAnotherSystem_AreTheSame() =>
        Assert.Equal(One.Checksum, Migration.Of("0001_one.sql", One.Text.Replace("\n", "\r\n", StringComparison.Ordinal)).Checksum);

    [SuiteFact]
    public async Task Embedded_SigningKeyFromBeforeKeysHadALife_GoesOnSigning()
    {
        var all = Migration.Embedded(OnPostgres ? StoreOptions.Postgres : StoreOptions.Sqlite);
        await Apply([.. all.Where(m => m.Number < 4)]);
        using var encryption = new KeyEncryption(new byte[KeyEncryption.KeySize]);
        using var key = SigningKey.Create();
        await Store.Do(tx => tx.Run(new Sql("insert into signing_keys (kid, alg, state, created_at, private_wrapped, public_jwk) values (@kid, 'ES256', 'active', 7000, @wrapped, '{}')")
            .With(key.KeyId, SigningKeyRow.Wrap(key, encryption))));

        await Apply([.. all]);

        var keys = await new SigningKeyReader(Store.Reads, encryption).LoadAsync(null, default);
        Assert.Equal((key.KeyId, DateTimeOffset.UnixEpoch.AddSeconds(7)), (keys.Active.KeyId, keys.ActiveFrom));
    }

    [SuiteFact]
    public async Task Embedded_OnAnEmptyDatabase_MakesTheSameTablesAsTheOther()
    {
        Assert.Equal(Migration.Embedded("sqlite").Select(m => (m.Number, m.Name)), Migration.Embedded("postgres").Select(m => (m.Number, m.Name)));
        await Store.Migrator.Apply(default);
        foreach (var table in new[] { "tasks", "grants", "used_once", "revocations", "audit_events", "registry" })
            Assert.InRange(await Store.Number($"select count(*) from {table}"), 0, 1);
    }
}
