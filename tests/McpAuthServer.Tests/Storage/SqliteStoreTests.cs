using McpAuth.Testing;
using McpAuthServer.Audit;
using McpAuthServer.Storage;

namespace McpAuthServer.Tests.Storage;

public sealed class SqliteCommitLogTests : CommitLogTests
{
    private readonly TempDirectory directory = new();

    private protected override int Writers => 1;

    private protected override Task<Action<StoreOptions>> NewDatabaseAsync() => Task.FromResult(Sqlite(directory));

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        directory.Dispose();
    }

    [Fact]
    public async Task Commit_UnitsWaiting_ShareOneTransaction()
    {
        // Each looks, from outside, at how much is committed while it runs.
        Task<long>[] seen;
        await using (await Blockade.Of(Store, Writers))
        {
            seen = [.. Enumerable.Range(0, 300).Select(i => Store.Do(tx =>
            {
                tx.Run(new Sql("insert into things (id) values (@id)").With($"t{i}"));
                return Store.Number("select count(*) from things").GetAwaiter().GetResult();
            }))];
        }
        var counts = await Task.WhenAll(seen).WaitAsync(Patience);
        Assert.Equal(256, counts.Count(c => c == 0));
        Assert.Equal(44, counts.Count(c => c == 256));
    }

    [Fact]
    public async Task IssuedToken_IsFoundByItsIndex()
    {
        foreach (var sql in (Sql[])[IssuedTokens.ByJti, IssuedTokens.AnyByJti])
        {
            var plan = await Store.Do(tx => tx.First(new Sql("explain query plan " + sql.Text).With("at_1"), r => r.GetString(3)), StateLock.None);
            Assert.Contains("audit_by_issued (jti=?)", plan, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Commit_DiskFull_FailsAllOfTheBatchAndRecovers()
    {
        Task<int>[] batch;
        await using (await Blockade.Of(Store, Writers))
        {
            var pages = Store.Do(tx => tx.Run(new Sql("pragma max_page_count = 1").With()), StateLock.None);
            batch = [.. Enumerable.Range(0, 20).Select(i =>
                Store.Do(tx => tx.Run(new Sql("insert into settings (name, value) values (@n, @v)").With($"n{i}", new byte[50_000]))))];
        }
        foreach (var unit in batch) await Assert.ThrowsAsync<CommitLogFailedException>(() => unit.WaitAsync(Patience));
        Assert.False(Store.Log.Ready);
        Assert.Equal(0, await Store.Number("select count(*) from settings"));
        // Space again: the limit belonged to the connection that is gone.
        await Store.Do(tx => tx.Run(new Sql("insert into settings (name, value) values ('n', @v)").With(new byte[50_000])));
        Assert.True(Store.Log.Ready);
    }

    [Fact]
    public async Task Commit_OneFailsTheCommit_AllThatSharedItFail()
    {
        Task[] batch;
        await using (await Blockade.Of(Store, Writers))
        {
            batch = [
                Store.Do(tx => tx.Run(new Sql("insert into things (id) values ('innocent')").With())),
                Store.Do(tx => tx.Run(new Sql("insert into owed (id, thing) values ('o', 'nothing')").With()))];
        }
        foreach (var unit in batch) await Assert.ThrowsAsync<CommitLogFailedException>(() => unit.WaitAsync(Patience));
        Assert.Equal(0, await Store.Number("select count(*) from things"));
    }

    [Fact]
    public async Task DataFile_Made_IsItsOwnersAlone()
    {
        if (OperatingSystem.IsWindows()) return;
        await Store.Write("insert into used_once (space, key, expires_at) values ('a', 'b', 1)");
        foreach (var file in Directory.GetFiles(directory.Path, "mcpauth.db*"))
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
    }

    [Fact]
    public async Task ReadStore_AskedToWrite_Refuses() =>
        await Assert.ThrowsAsync<Microsoft.Data.Sqlite.SqliteException>(() => Store.Number("delete from things returning 1"));

    [Fact]
    public async Task Connection_OfTheWriter_SyncsAtEveryCommit()
    {
        // 2 is FULL; in WAL mode NORMAL would lose acknowledged commits with the power.
        Assert.Equal(2, await Store.Do(tx => tx.First(new Sql("pragma synchronous").With(), row => row.GetInt64(0))));
        Assert.Equal("wal", await Store.Do(tx => tx.First(new Sql("pragma journal_mode").With(), row => row.GetString(0))));
    }
}

public sealed class SqliteOrderTests : OrderTests
{
    private readonly TempDirectory directory = new();

    private protected override int Writers => 1;

    private protected override Task<Action<StoreOptions>> NewDatabaseAsync() => Task.FromResult(Sqlite(directory));

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        directory.Dispose();
    }
}
