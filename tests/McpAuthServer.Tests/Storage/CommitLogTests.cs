using McpAuth.Protocol.Audit;
using McpAuth.Testing;
using McpAuthServer.Storage;
using Microsoft.Extensions.Logging;

namespace McpAuthServer.Tests.Storage;

/// <summary>What a unit may rely on, on both databases.</summary>
public abstract class CommitLogTests : StoreSuite
{
    private static readonly Sql Put = new("insert into things (id, used_at) values (@id, @used)"),
        Use = new("update things set used_at = @now where id = @id and used_at is null"),
        Once = new("insert into used_once (space, key, expires_at) values (@space, @key, @expires) on conflict do nothing");

    private protected override async Task Prepare()
    {
        await Store.Write("create table things (id text primary key, used_at bigint)");
        await Store.Write("create table owed (id text primary key, thing text references things deferrable initially deferred)");
    }

    private Task<int> PutThing(string id, long? used = null, TestStore? on = null) => (on ?? Store).Do(tx =>
    {
        var rows = tx.Run(Put.With(id, used));
        tx.Append(Events.Named("evt_" + id));
        return rows;
    });

    [SuiteFact]
    public async Task Commit_Completed_StateAndEventAreThere()
    {
        for (var i = 0; i < 50; i++)
        {
            Assert.Equal(1, await PutThing($"a{i}"));
            Assert.Equal(i + 1, await Store.Number("select count(*) from things"));
            Assert.Equal(i + 1, await Store.Number("select count(*) from audit_events"));
        }
    }

    [SuiteFact]
    public async Task Commit_UnitThrows_OnlyItsCallerFailsAndNothingOfItStays()
    {
        Task[] good, bad;
        await using (await Blockade.Of(Store, Writers))
        {
            good = [.. Enumerable.Range(0, 20).Select(i => PutThing($"good{i}"))];
            bad = [.. Enumerable.Range(0, 3).Select(i => Store.Do<int>(tx =>
            {
                tx.Run(Put.With($"bad{i}", null));
                tx.Append(Events.Named($"evt_bad{i}"));
                throw new FormatException("a bug");
            }))];
            // A statement that the database refuses is a unit that throws, too.
            bad = [.. bad, Store.Do(tx => tx.Run(Put.With("good0", 1L)) + tx.Run(Put.With("good0", 1L)))];
            good = [.. good, .. Enumerable.Range(20, 20).Select(i => PutThing($"good{i}"))];
        }
        await Task.WhenAll(good).WaitAsync(Patience);
        foreach (var task in bad[..3]) await Assert.ThrowsAsync<FormatException>(() => task.WaitAsync(Patience));
        await Assert.ThrowsAnyAsync<System.Data.Common.DbException>(() => bad[3].WaitAsync(Patience));
        Assert.True(Store.Log.Ready);
        Assert.Equal(40, await Store.Number("select count(*) from things"));
        Assert.Equal(40, await Store.Number("select count(*) from audit_events"));
        Assert.Equal(0, await Store.Number("select count(*) from audit_events where id like 'evt_bad%'"));
    }

    [SuiteFact]
    public async Task Commit_PreconditionChangesNoRow_TheRefusalAloneIsRecorded()
    {
        await PutThing("spent", used: 1);
        var used = await Store.Do(tx =>
        {
            if (tx.Run(Use.With(2L, "spent")) == 0)
            {
                tx.Append(Events.Named("evt_refused", type: AuditTypes.TokenRefused));
                return false;
            }
            tx.Append(Events.Named("evt_used"));
            return true;
        });
        Assert.False(used);
        Assert.Equal(["token.refused"], await Store.Texts("select type from audit_events where id <> 'evt_spent'"));
        Assert.Equal(1, await Store.Number("select used_at from things where id = 'spent'"));
    }

    [SuiteFact]
    [Trait("Spec", "Invariant-11")]
    public async Task SingleUse_FiftyParallelCallersOnTwoNodes_ExactlyOneSucceeds()
    {
        var other = await Node();
        await PutThing("code");
        for (var round = 0; round < 10; round++)
        {
            var key = $"jti{round}";
            var inserted = await Task.WhenAll(Enumerable.Range(0, 50).Select(i =>
                Task.Run(() => (i % 2 == 0 ? Store : other).Do(tx => tx.Run(Once.With("assertion", key, 5L)))))).WaitAsync(Patience);
            Assert.Equal(1, inserted.Sum());
        }
        var updated = await Task.WhenAll(Enumerable.Range(0, 50).Select(i =>
            Task.Run(() => (i % 2 == 0 ? Store : other).Do(tx => tx.Run(Use.With((long)i, "code")))))).WaitAsync(Patience);
        Assert.Equal(1, updated.Sum());
    }

    [SuiteFact]
    public async Task Commit_QueueFull_RefusesAtOnceAndLosesNothing()
    {
        var node = await Node(o => o.QueueLength = 4);
        Task<int>[] queued;
        await using (await Blockade.Of(node, Writers))
        {
            queued = [.. Enumerable.Range(0, 4).Select(i => PutThing($"queued{i}", on: node))];
            await Assert.ThrowsAsync<CommitLogBusyException>(() => PutThing("refused", on: node));
            Assert.All(queued, t => Assert.False(t.IsCompleted));
        }
        Assert.Equal(4, (await Task.WhenAll(queued).WaitAsync(Patience)).Sum());
        Assert.Equal(1, await PutThing("later", on: node));
        Assert.Equal(0, await node.Number("select count(*) from things where id = 'refused'"));
    }

    [SuiteFact]
    public async Task Commit_CommitItselfFails_NotReadyUntilOneSucceeds()
    {
        // The deferred reference is broken, which the database says at the commit.
        var failed = await Assert.ThrowsAsync<CommitLogFailedException>(() => Store.Do(tx =>
        {
            tx.Append(Events.Named("evt_lost"));
            return tx.Run(new Sql("insert into owed (id, thing) values ('o', 'nothing')").With());
        }).WaitAsync(Patience));
        Assert.NotNull(failed.InnerException);
        Assert.False(Store.Log.Ready);
        Assert.Equal(0, await Store.Number("select count(*) from audit_events"));
        await PutThing("next");
        Assert.True(Store.Log.Ready);
    }

    /// <summary>A store taken for broken would be thrown away, and everybody refused for one unit's mistake.</summary>
    [SuiteFact]
    public async Task Commit_UnitUsesWhatIsDisposedOf_IsTheUnitsFaultAndNotTheStores()
    {
        var gone = new MemoryStream();
        await gone.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => Store.Do(tx => tx.Run(Put.With("bad", null)) + gone.ReadByte()).WaitAsync(Patience));
        Assert.True(Store.Log.Ready);
        await PutThing("next").WaitAsync(Patience);
        Assert.Equal(["next"], await Store.Texts("select id from things"));
    }

    /// <summary>Whatever goes wrong beside the store, the thread that all wait for goes on.</summary>
    [SuiteFact]
    public async Task Commit_FailureThatCannotBeLogged_IsToldToTheCallerAndTheNextIsServed()
    {
        var node = await Node(o => o.Writers = 1, logs: new FullDisk());
        await Assert.ThrowsAsync<CommitLogFailedException>(() =>
            node.Do(tx => tx.Run(new Sql("insert into owed (id, thing) values ('o', 'nothing')").With())).WaitAsync(Patience));
        Assert.Equal(1, await PutThing("next", on: node).WaitAsync(Patience));
        Assert.True(node.Log.Ready);
    }

    [SuiteFact]
    public async Task Upkeep_LogNotReady_TriesUntilACommitSucceeds()
    {
        var time = new ManualTime();
        var node = await Node(time: time);
        await node.StartAsync();
        await Assert.ThrowsAsync<CommitLogFailedException>(() =>
            node.Do(tx => tx.Run(new Sql("insert into owed (id, thing) values ('o', 'nothing')").With())).WaitAsync(Patience));
        Assert.False(node.Log.Ready);
        for (var i = 0; i < 300 && !node.Log.Ready; i++)
        {
            time.Advance(TimeSpan.FromSeconds(1));
            await Task.Delay(20);
        }
        Assert.True(node.Log.Ready);
    }

    [SuiteFact]
    public async Task Statement_RunAgainWithOtherKindsOfValues_KeepsItsTypes()
    {
        Sql put = new("insert into settings (name, value) values (@name, @value)"),
            thing = new("insert into things (id, used_at) values (@id, @used)"),
            twice = new("select count(*) from things where used_at >= @at or used_at < @at - 1 or id = @id");
        await Store.Do(tx => tx.Run(thing.With("null", null)) + tx.Run(thing.With("long", long.MaxValue)) + tx.Run(thing.With("int", 7))
            + tx.Run(thing.With("true", true)) + tx.Run(thing.With("false", false)) + tx.Run(put.With("bytes", new byte[] { 0, 255 }))
            + tx.Run(put.With("", Array.Empty<byte>())) + tx.Run(thing.With("täxt ✓ '--@x", null)));
        var things = await Store.Reads.All(new Sql("select id, used_at from things order by id").With(),
            row => (row.GetString(0), row.IsDBNull(1) ? (long?)null : row.GetInt64(1)), default);
        Assert.Equal([("false", 0), ("int", 7), ("long", long.MaxValue), ("null", null), ("true", 1), ("täxt ✓ '--@x", null)],
            things.OrderBy(t => t.Item1, StringComparer.Ordinal));
        var bytes = await Store.Reads.All(new Sql("select value from settings order by name").With(), row => row.GetFieldValue<byte[]>(0), default);
        Assert.Equal([[], [0, 255]], bytes);
        Assert.Equal(4, await Store.Reads.First(twice.With(7L, "true"), row => row.GetInt64(0), default));
        Assert.Equal(0, await Store.Do(tx => tx.First(new Sql("select used_at from things where id = @id").With("nobody"), row => row.GetInt64(0))));
    }

    [SuiteFact]
    public async Task Statement_ThousandsMadeAtRunTime_AreNotKept()
    {
        var sum = await Store.Do(tx => Enumerable.Range(0, 3000).Sum(i =>
            tx.First(new Sql($"select id from registry where version <> -{i}").With(), row => row.GetInt64(0))));
        Assert.Equal(3000, sum);
    }

    [SuiteFact]
    public void Statement_WrongNumberOfValues_IsRefusedWhereItIsMade()
    {
        Assert.Throws<ArgumentException>(() => Put.With("id"));
        Assert.Throws<ArgumentException>(() => Put.With("id", 1L, 2L));
        Assert.Equal(1, new Sql("select '@no', \"@no\" -- @no\n /* @no */ , @yes, @yes").Parameters);
    }

    [SuiteFact]
    public async Task Commit_HeldExclusive_WakesWhoWaitsForChanges()
    {
        var next = Store.Changes.Next;
        await PutThing("shared");
        Assert.False(next.IsCompleted);
        await Store.Do(tx => tx.Run(Use.With(1L, "shared")), StateLock.Exclusive);
        await next.WaitAsync(Patience);
        Assert.False(Store.Changes.Next.IsCompleted);
    }

    [SuiteFact]
    public async Task Dispose_UnitsQueued_RunsThemAndRefusesOthers()
    {
        var node = await Node();
        var blockade = await Blockade.Of(node, Writers);
        var queued = Enumerable.Range(0, 30).Select(i => PutThing($"last{i}", on: node)).ToList();
        var stopping = node.Log.DisposeAsync();
        await Assert.ThrowsAsync<CommitLogBusyException>(() => PutThing("late", on: node));
        await blockade.Lift();
        await stopping;
        Assert.All(queued, t => Assert.True(t.IsCompletedSuccessfully));
        Assert.Equal(30, await Store.Number("select count(*) from things"));
    }

    [SuiteFact]
    public async Task Purge_ExpiredRows_GoAndOthersStay()
    {
        var now = new DateTimeOffset(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);
        var node = await Node(time: new ManualTime(now));
        var ms = now.ToUnixTimeMilliseconds();
        const long Hour = 3_600_000;
        await node.Do(tx =>
        {
            for (var i = 0; i < 1203; i++) tx.Run(Once.With("old", $"k{i}", ms - 60_001));
            tx.Run(Once.With("fresh", "k", ms - 59_999));
            Revocation(tx, "gone", ms - Hour - 1);
            return Revocation(tx, "kept", ms - Hour + 1);
        });
        await node.Upkeep.Purge(default);
        Assert.Equal(["fresh"], await node.Texts("select space from used_once"));
        Assert.Equal(["kept"], await node.Texts("select subject from revocations"));
        // The feed's places are never given twice, however much of it was removed.
        await node.Write("delete from revocations");
        await node.Do(tx => Revocation(tx, "next", ms));
        Assert.Equal(3, await node.Number("select max(seq) from revocations"));
    }

    private static int Revocation(WriteTx tx, string subject, long until) => tx.Run(new Sql(
        "insert into revocations (kind, subject, op, reason, at, until) values ('task', @subject, 'deny', 'test', 0, @until)").With(subject, until));

    /// <summary>A log with no room left.</summary>
    private sealed class FullDisk : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel == LogLevel.Critical;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            throw new IOException("No space left on device");

        public void Dispose()
        {
        }
    }
}
