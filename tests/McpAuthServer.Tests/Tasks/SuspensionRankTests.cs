using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Delegation;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Tasks;

/// <summary>Who suspends and who resumes: agent, then user, then administrator (invariant 12), for every pair of them.</summary>
public sealed class SuspensionRankTests(TestServer server) : IClassFixture<TestServer>
{
    public static TheoryData<int, int> Pairs
    {
        get
        {
            var pairs = new TheoryData<int, int>();
            foreach (var by in new[] { Rank.Agent, Rank.User, Rank.Administrator })
                foreach (var then in new[] { Rank.Agent, Rank.User, Rank.Administrator })
                    pairs.Add((int)by, (int)then);
            return pairs;
        }
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    [Trait("Invariant", "12")]
    public async Task Resume_ByEachRank_OfWhatEachSuspended_NeedsAtLeastTheSame(int by, int then)
    {
        var (s, task) = await SuspendedAsync((Rank)by);
        var resumed = await MoveAsync(s, task, suspend: false, (Rank)then);
        Assert.Equal((then >= by, then >= by ? null : Names.Reasons.ActorUnauthorized), (resumed.Applied, resumed.Reason));
        Assert.Equal((then >= by ? "active" : "suspended", then >= by ? 0 : by), await StateAsync(task));
        if (then < by)
            Assert.Equal(Names.Reasons.ActorUnauthorized, (await server.EventsAsync($"task = '{task}' and type = '{AuditTypes.TaskRefused}'"))[^1].Reason);
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    [Trait("Invariant", "12")]
    public async Task Suspend_ByEachRank_OfWhatEachSuspended_RaisesAndNeverLowers(int by, int then)
    {
        var (s, task) = await SuspendedAsync((Rank)by);
        Assert.Equal(then >= by, (await MoveAsync(s, task, suspend: true, (Rank)then)).Applied);
        Assert.Equal(("suspended", Math.Max(by, then)), await StateAsync(task));
    }

    [Theory]
    [InlineData((int)Rank.Agent)]
    [InlineData((int)Rank.User)]
    [InlineData((int)Rank.Administrator)]
    public async Task Deadline_OfASuspendedTask_EndsItWhoeverSuspended(int by)
    {
        var (s, task) = await SuspendedAsync((Rank)by);
        server.Time.Advance(TimeSpan.FromHours(1));
        // By whichever rank: its time is over.
        Assert.Equal(Names.Reasons.TaskEnded, (await MoveAsync(s, task, suspend: false, Rank.Administrator)).Reason);
        await server.NowAsync();
        Assert.Equal(AuditTypes.TaskExpired, Assert.Single(await server.EventsAsync($"task = '{task}' and type like 'task.%' and type not in ('task.created', 'task.suspended', 'task.refused')")).Type);
    }

    private async Task<(Scenario, string)> SuspendedAsync(Rank by)
    {
        var s = await server.ScenarioAsync();
        await s.Agent.AttestAsync();
        var task = await s.Agent.BeginTaskAsync("read_file");
        Assert.True((await MoveAsync(s, task, suspend: true, by)).Applied);
        return (s, task);
    }

    private Task<Transition> MoveAsync(Scenario s, string task, bool suspend, Rank rank) => server.Services.GetRequiredService<ICommitLog>().Commit(new SuspendOrResumeTask(
        task, suspend, null, rank switch
        {
            Rank.Agent => new Initiator(s.Agent.Id, s.Agent.Instance, s.Agent.ClientId, rank),
            Rank.User => new Initiator(null, null, null, rank, s.User),
            _ => new Initiator(null, null, null, rank) { Administrator = "ops" },
        }, null, server.Time.GetUtcNow(), "test"));

    private async Task<(string, int)> StateAsync(string task) =>
        ((await server.TextsAsync($"select state from tasks where id = '{task}'"))[0], (int)await server.ScalarAsync($"select suspended_by from tasks where id = '{task}'"));
}
