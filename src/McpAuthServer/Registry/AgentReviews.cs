using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Storage;

namespace McpAuthServer.Registry;

/// <summary>
/// Tells that an agent's review date has passed: once for each date, as an event and a line in the log. It refuses nothing: whether the agent goes on is for its
/// owner to say, and a date that nobody kept must not stop work at midnight.
/// </summary>
internal sealed partial class AgentReviews(ICommitLog log, IReadStore store, ServerOptions options, TimeProvider time, ILogger<AgentReviews> logger) : RecurringWork(TimeSpan.FromMinutes(1), time, first: true)
{
    private static readonly Sql
        Due = new(
            $"select id, owner, review_at from agents where {Overdue} and (review_told is null or review_told <> review_at) order by id limit 256"),
        Count = new($"select count(*) from agents where {Overdue}");

    private const string Overdue = "review_at <= @now and state <> 'retired'";

    /// <summary>How many agents are past their review date.</summary>
    public Task<long> CountAsync(CancellationToken cancel) => store.First(Count.With(Time.GetUtcNow().ToUnixTimeMilliseconds()), r => r.GetInt64(0), cancel);

    protected override Task RunAsync(CancellationToken cancel) => TellAsync(cancel);

    protected override void Failed(Exception e) => Log.Failed(logger, e);

    public async Task TellAsync(CancellationToken cancel)
    {
        var now = Time.GetUtcNow();
        foreach (var (agent, owner, date) in await store.All(Due.With(now.ToUnixTimeMilliseconds()), r => (r.GetString(0), r.GetString(1), r.GetInt64(2)), cancel))
            if (await log.Commit(new TellReview(agent, owner, date, now, options.Node)))
                Log.Overdue(logger, agent, DateTimeOffset.FromUnixTimeMilliseconds(date), owner);
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "The agent {Agent} should have been reviewed by {Date:u}; its owner is {Owner}.")]
        public static partial void Overdue(ILogger logger, string agent, DateTimeOffset date, string owner);

        [LoggerMessage(Level = LogLevel.Warning, Message = "Review dates could not be looked at; they are tried again.")]
        public static partial void Failed(ILogger logger, Exception e);
    }
}

/// <summary>One agent's date; false when another node told it, or the date was moved.</summary>
internal sealed class TellReview(string agent, string owner, long date, DateTimeOffset now, string node) : Unit<bool>
{
    private static readonly Sql Told = new("update agents set review_told = review_at where id = @id and review_at = @date and (review_told is null or review_told <> review_at)");

    public override bool Apply(WriteTx tx)
    {
        if (tx.Run(Told.With(agent, date)) == 0)
            return false;
        tx.Append(new AuditEvent
        {
            Id = Id.New(Id.Event, now), Time = now.ToUnixTimeMilliseconds(), Type = AuditTypes.ReviewDue, Outcome = "success", Agent = agent, Node = node,
            Data = new() { ["owner"] = owner, ["review_at"] = date },
        });
        return true;
    }
}
