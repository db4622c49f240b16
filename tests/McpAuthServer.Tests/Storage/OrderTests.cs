using System.Collections.Concurrent;
using McpAuth.Testing;
using McpAuthServer.Storage;

namespace McpAuthServer.Tests.Storage;

/// <summary>What two nodes that write at once may rely on, on both databases.</summary>
public abstract class OrderTests : StoreSuite
{
    private static readonly Sql Issue = new(
            "insert into issued (id, task) select @id, t.id from states t where t.id = @task and t.state = 'active'"),
        End = new("update states set state = 'revoked' where id = @task and state = 'active'"),
        Count = new("select count(*) from issued where task = @task"),
        Deny = new(
            "insert into revocations (kind, subject, op, reason, before, at, until) values ('task', @task, 'deny', 'test', @count, 0, 0)");

    private protected override async Task Prepare()
    {
        await Store.Write("create table states (id text primary key, state text not null)");
        await Store.Write("create table issued (id text primary key, task text not null)");
    }

    [SuiteFact]
    public async Task Seq_CausesAndEffectsOnTwoNodes_CauseIsBeforeEffectAndPlacesAreDense()
    {
        var other = await Node();
        // Both number in the background, too, while others commit.
        await Task.WhenAll(Store.StartAsync(), other.StartAsync());
        const int Chains = 16, Length = 40;
        await Task.WhenAll(Enumerable.Range(0, Chains).Select(async chain =>
        {
            string? cause = null;
            for (var i = 0; i < Length; i++)
            {
                var e = Events.Named($"evt_{chain}_{i}", cause);
                await (((chain + i) & 1) == 0 ? Store : other).Do(
                    tx =>
                    {
                        tx.Append(e);
                        return 0;
                    },
                    chain % 8 == 0 ? StateLock.Exclusive : StateLock.Shared);
                cause = e.Id;
            }
        })).WaitAsync(Patience);
        var early = await Numbered();
        await Store.Sequence.SequenceNow(default);
        var seq = await Numbered();
        Assert.Equal(Enumerable.Range(1, Chains * Length).Select(i => (long)i), seq.Values.Order());
        Assert.All(early, e => Assert.Equal(e.Value, seq[e.Key]));
        for (var chain = 0; chain < Chains; chain++)
            for (var i = 1; i < Length; i++)
                Assert.True(seq[$"evt_{chain}_{i - 1}"] < seq[$"evt_{chain}_{i}"], $"evt_{chain}_{i} stands before its cause");
    }

    [SuiteFact]
    public async Task Seq_EventsOfOneUnit_StandInTheOrderOfTheirAppends()
    {
        await Store.Do(tx =>
        {
            for (var i = 0; i < 10; i++) tx.Append(Events.Named($"evt_{i}"));
            return 0;
        });
        await Store.Sequence.SequenceNow(default);
        Assert.Equal(Enumerable.Range(0, 10).Select(i => $"evt_{i}"), await Store.Texts("select id from audit_events order by seq"));
    }

    [SuiteFact]
    public async Task Seq_NodeRunning_IsGivenWithoutBeingAskedFor()
    {
        await Store.StartAsync();
        await Store.Do(tx =>
        {
            tx.Append(Events.New());
            return 0;
        });
        for (var i = 0; i < 500 && await Store.Number("select count(*) from audit_events where seq = 1") == 0; i++) await Task.Delay(20);
        Assert.Equal(1, await Store.Number("select count(*) from audit_events where seq = 1"));
    }

    [SuiteFact]
    [Trait("Spec", "Invariant-3")]
    public async Task Issuance_AgainstRevocationOnTwoNodes_NothingIsIssuedPastIt()
    {
        var other = await Node();
        for (var round = 0; round < 15; round++)
        {
            var task = $"tsk_{round}";
            await Store.Do(tx => tx.Run(new Sql("insert into states (id, state) values (@id, 'active')").With(task)));
            var issued = Enumerable.Range(0, 60).Select(i => Task.Run(() => (i % 2 == 0 ? Store : other).Do(
                tx => tx.Run(Issue.With($"at_{round}_{i}", task))))).ToList();
            var ended = Task.Run(() => other.Do(
                tx =>
                {
                    Assert.Equal(1, tx.Run(End.With(task)));
                    var count = tx.First(Count.With(task), row => row.GetInt64(0));
                    tx.Run(Deny.With(task, count));
                    return count;
                },
                StateLock.Exclusive));
            var succeeded = (await Task.WhenAll(issued).WaitAsync(Patience)).Sum();
            // What the revocation saw is all there ever is.
            Assert.Equal(await ended.WaitAsync(Patience), succeeded);
            Assert.Equal(succeeded, await Store.Reads.First(Count.With(task), row => row.GetInt64(0), default));
        }
    }

    [SuiteFact]
    [Trait("Spec", "Invariant-6")]
    public async Task Revocations_WrittenByTwoNodes_AFollowerMissesNone()
    {
        var other = await Node();
        const int Each = 120;
        var done = false;
        var seen = new ConcurrentBag<string>();
        var follower = Task.Run(async () =>
        {
            for (var last = 0L; ;)
            {
                var ending = Volatile.Read(ref done);
                var rows = await Store.Reads.All(
                    new Sql("select seq, subject from revocations where seq > @last order by seq").With(last),
                    row => (Seq: row.GetInt64(0), Subject: row.GetString(1)), default);
                foreach (var row in rows) seen.Add(row.Subject);
                if (rows.Count > 0) last = rows[^1].Seq;
                if (ending) return;
            }
        });
        await Task.WhenAll(Enumerable.Range(0, 8).SelectMany(w => Enumerable.Range(0, Each / 8).Select(i => Task.Run(() =>
            (w % 2 == 0 ? Store : other).Do(tx => tx.Run(Deny.With($"{w}/{i}", 0L)), StateLock.Exclusive))))).WaitAsync(Patience);
        Volatile.Write(ref done, true);
        await follower.WaitAsync(Patience);
        Assert.Equal(Each, seen.Count);
        Assert.Equal(Each, seen.Distinct().Count());
    }

    private async Task<Dictionary<string, long>> Numbered() => (await Store.Reads.All(
        new Sql("select id, seq from audit_events where seq is not null").With(), row => (row.GetString(0), row.GetInt64(1)), default)).ToDictionary();
}
