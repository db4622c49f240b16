using McpAuth.Testing;
using McpAuthServer.Storage;
using McpAuthServer.Storage.Postgres;
using Npgsql;

namespace McpAuthServer.Tests.Storage;

[NeedsPostgres]
public sealed class PostgresCommitLogTests : CommitLogTests
{
    private protected override int Writers => 4;

    private protected override Task<Action<StoreOptions>> NewDatabaseAsync() => Postgres(migrated: true);

    [PostgresFact]
    public async Task Commit_ConnectionLost_FailsItsUnitAndTheNextHasANewOne()
    {
        var node = await Node(o => o.Writers = 1);
        var process = await node.Do(tx => tx.First(new Sql("select pg_backend_pid()").With(), row => row.GetInt32(0)));
        await Store.Reads.First(new Sql("select pg_terminate_backend(cast(@pid as integer))").With(process), row => row.GetBoolean(0), default);
        await Assert.ThrowsAsync<CommitLogFailedException>(() => Insert(node, "lost").WaitAsync(Patience));
        Assert.False(node.Log.Ready);
        await Insert(node, "next").WaitAsync(Patience);
        Assert.True(node.Log.Ready);
        Assert.Equal(["next"], await node.Texts("select id from things"));
    }

    [PostgresFact]
    public async Task Commit_ConnectionLostInsideAUnit_NothingOfItStays()
    {
        await Assert.ThrowsAsync<CommitLogFailedException>(() => Store.Do(tx =>
        {
            tx.Run(new Sql("insert into things (id) values ('half')").With());
            return tx.First(new Sql("select pg_terminate_backend(pg_backend_pid())").With(), row => row.GetBoolean(0));
        }).WaitAsync(Patience));
        Assert.Equal(0, await Store.Number("select count(*) from things"));
    }

    /// <summary>Where a connection is given up in the middle of something, nothing of it stays, and the only writer goes on with another.</summary>
    [PostgresTheory]
    [InlineData("after a statement")]
    [InlineData("while a row is read")]
    [InlineData("while rows are to come")]
    [InlineData("after the connection broke")]
    [InlineData("and complains as it is closed")]
    public async Task Commit_ConnectionGivenUpInsideAUnit_TheThreadThatCommitsGoesOn(string when)
    {
        var node = await Node(o => o.Writers = 1);
        var failed = await Assert.ThrowsAsync<CommitLogFailedException>(() => node.Do<int>(tx =>
        {
            tx.Run(new Sql("insert into things (id) values ('half')").With());
            if (when == "while a row is read") tx.First<int>(new Sql("select 1").With(), _ => throw Broken());
            if (when == "while rows are to come") tx.All<int>(new Sql("select generate_series(1, 100000)").With(), _ => throw Broken());
            if (when == "after the connection broke") Assert.ThrowsAny<Exception>(() => tx.Run(new Sql("select pg_terminate_backend(pg_backend_pid())").With()));
            if (when == "and complains as it is closed") ((PostgresSession)tx).Connection.StateChange += (_, _) => throw new InvalidOperationException("It is closed already");
            throw Broken();
        }).WaitAsync(Patience));
        Assert.IsType<IOException>(failed.InnerException);
        await Insert(node, "next").WaitAsync(Patience);
        Assert.True(node.Log.Ready);
        Assert.Equal(["next"], await node.Texts("select id from things"));

        static IOException Broken() => new("Connection reset by peer");
    }

    [PostgresFact]
    public async Task Commit_TwoUnitsDeadlock_BothSucceedInTheEnd()
    {
        await Insert(Store, "a");
        await Insert(Store, "b");
        using var met = new Barrier(2);
        Task<int> Cross(string first, string second) => Store.Do(tx =>
        {
            var rows = tx.Run(new Sql("update things set used_at = 1 where id = @id").With(first));
            // Only in the first run; alone, it does not wait for the other.
            met.SignalAndWait(TimeSpan.FromMilliseconds(500));
            return rows + tx.Run(new Sql("update things set used_at = 1 where id = @id").With(second));
        });
        Assert.All(await Task.WhenAll(Cross("a", "b"), Cross("b", "a")).WaitAsync(Patience), rows => Assert.Equal(2, rows));
        Assert.True(Store.Log.Ready);
    }

    [PostgresFact]
    public async Task Read_PooledConnectionsDied_IsAnsweredByANewOne()
    {
        await Store.Number("select count(*) from things");
        var other = await Node();
        Assert.True(await other.Number(
            "with others as materialized (select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()) "
            + "select count(*) from others where pg_terminate_backend(pid)") > 0);
        Assert.Equal(0, await Store.Number("select count(*) from things"));
    }

    [PostgresFact]
    public async Task Commit_DatabaseDefaultsToAsynchronous_IsStillOnDiskBeforeItIsAnswered()
    {
        await Store.Do(tx => tx.Run(new Sql("do $$ begin execute format('alter database %I set synchronous_commit = off', current_database()); end $$").With()));
        var node = await Node();
        Assert.Equal("on", await node.Do(tx => tx.First(new Sql("select current_setting('synchronous_commit')").With(), row => row.GetString(0))));
    }

    [PostgresFact]
    public async Task Commit_LockHeldForTooLong_IsBusyAndDoesNothing()
    {
        var options = new StoreOptions();
        Database(options);
        await using var holder = new NpgsqlConnection(options.ConnectionString);
        await holder.OpenAsync();
        await using var hold = await holder.BeginTransactionAsync();
        await using (var take = new NpgsqlCommand($"select pg_advisory_xact_lock_shared({0x4d63_7041_7574_6801})", holder)) await take.ExecuteNonQueryAsync();
        // Shared units go on; an exclusive one waits as long as it may.
        await Insert(Store, "shared").WaitAsync(Patience);
        await Assert.ThrowsAsync<CommitLogBusyException>(() => Store.Do(tx => tx.Run(new Sql("delete from things").With()), StateLock.Exclusive).WaitAsync(Patience));
        Assert.True(Store.Log.Ready);
        Assert.Equal(1, await Store.Number("select count(*) from things"));
    }

    private static Task<int> Insert(TestStore store, string id) => store.Do(tx => tx.Run(new Sql("insert into things (id) values (@id)").With(id)));
}

[NeedsPostgres]
public sealed class PostgresOrderTests : OrderTests
{
    private protected override int Writers => 4;

    private protected override Task<Action<StoreOptions>> NewDatabaseAsync() => Postgres(migrated: true);
}
