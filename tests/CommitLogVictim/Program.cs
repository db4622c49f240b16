using System.Globalization;
using System.Text;
using McpAuth.Protocol.Audit;
using McpAuthServer.Storage;
using Microsoft.Extensions.DependencyInjection;

// CommitLogVictim <sqlite|postgres> <path|connection string> <run>
// Commits units as fast as it can and writes the id of each to standard output once it was acknowledged, until it is killed.
var (provider, where, run) = (args[0], args[1], args[2]);
await using var services = new ServiceCollection().AddLogging().AddStore(o =>
{
    (o.Provider, o.Path, o.ConnectionString) = (provider, where, where);
    o.Writers = 4;
}).BuildServiceProvider();
await services.GetRequiredService<Migrator>().Apply(default);
var log = services.GetRequiredService<ICommitLog>();
var sequence = services.GetRequiredService<IEventSequence>();
using var output = Console.OpenStandardOutput();
Report("ready");
var writers = Enumerable.Range(0, 16).Select(worker => Task.Run(async () =>
{
    for (var i = 0; ; i++)
    {
        var id = string.Create(CultureInfo.InvariantCulture, $"{run}.{worker}.{i}");
        // Every fifth repeats the one before: it must be refused, with an event and without a state.
        var repeats = i % 5 == 4;
        var outcome = await log.Commit(new VictimUnit(id, repeats ? string.Create(CultureInfo.InvariantCulture, $"{run}.{worker}.{i - 1}") : id));
        Report($"{(outcome ? "done" : "refused")} {id}");
        if (outcome == repeats) Report($"wrong {id}");
    }
}));
// Numbering goes on meanwhile, so that it is killed too.
var numbering = Task.Run(async () =>
{
    while (true) await sequence.SequenceNow(default);
});
await await Task.WhenAny([.. writers, numbering]);

// One write for a line, so that a kill cannot cut another's.
void Report(string line)
{
    var bytes = Encoding.ASCII.GetBytes(line + "\n");
    lock (output) output.Write(bytes);
}

/// <summary>A state and its event, or the refusal's event alone.</summary>
internal sealed class VictimUnit(string id, string key) : Unit<bool>
{
    private static readonly Sql Insert = new("insert into used_once (space, key, expires_at) values ('victim', @key, 1) on conflict do nothing"),
        Spend = new(
            "insert into budgets (task_id, tool_server, tool, spent) values (@run, 's', 't', 1) "
            + "on conflict (task_id, tool_server, tool) do update set spent = budgets.spent + 1");

    public override bool Apply(WriteTx tx)
    {
        var fresh = tx.Run(Insert.With(key)) == 1;
        if (fresh) tx.Run(Spend.With(id[..id.LastIndexOf('.')]));
        tx.Append(new AuditEvent
        {
            Id = id, Time = 1, Type = fresh ? AuditTypes.TokenIssued : AuditTypes.TokenRefused, Outcome = fresh ? "success" : "refused", Jti = key,
        });
        return fresh;
    }
}
