using System.Text.RegularExpressions;
using McpAuth.Protocol;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Consents;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace McpAuthServer.Tests.Approvals;

/// <summary>The account page lists no more than so many calls; which ones is not up to whoever asks first.</summary>
public sealed partial class ManyWaitingTests(TestServer server) : IClassFixture<TestServer>
{
    private const string More = "More calls wait than could be looked through";

    [Fact]
    public async Task Account_ShowsWhatIsTheirs_HoweverManyOthersWaitedBefore()
    {
        server.Time.Advance(TimeSpan.FromMinutes(11));
        var crowd = await ApprovalWorld.OfAsync(server);
        var other = await crowd.AskAsync();
        var w = await ApprovalWorld.OfAsync(server);
        await CrowdAsync(other, 600, 1);
        server.Time.Advance(TimeSpan.FromSeconds(2));
        var early = await w.AskAsync();
        server.Time.Advance(TimeSpan.FromSeconds(2));
        await CrowdAsync(other, 600, 3000);
        var late = await w.AskAsync("""{"path":"/late"}""");

        var page = await (await w.BrowserAsync()).GetAsync(Names.Paths.Account);

        Assert.Equal([late, early], Listed(page));
        Assert.Contains(More, page.Words(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Account_ShowsTheNewestFirst_AndSaysWhenThereAreMore()
    {
        server.Time.Advance(TimeSpan.FromMinutes(11));
        var w = await ApprovalWorld.OfAsync(server);
        var first = await w.AskAsync();
        var browser = await w.BrowserAsync();
        Assert.DoesNotContain(More, (await browser.GetAsync(Names.Paths.Account)).Words(), StringComparison.Ordinal);
        await CrowdAsync(first, 500, 1);

        var page = await browser.GetAsync(Names.Paths.Account);

        var listed = Listed(page);
        Assert.Equal((500, $"{first}_500"), (listed.Count, listed[0]));
        Assert.DoesNotContain(first, listed);
        Assert.Contains(More, page.Words(), StringComparison.Ordinal);
    }

    /// <summary>So many more like one that waits, each asked a millisecond after the one before.</summary>
    /// <param name="from">Milliseconds between it and the first of them.</param>
    private Task<int> CrowdAsync(string like, int count, int from) => server.Services.GetRequiredService<ICommitLog>().Commit(new Crowd(like, count, from));

    private static List<string> Listed(TestPage page) => [.. Address().Matches(page.Html).Select(m => m.Groups[1].Value)];

    [GeneratedRegex("href=\"/approvals/([^\"]+)\"")]
    private static partial Regex Address();

    private sealed class Crowd(string like, int count, int from) : Unit<int>
    {
        private static readonly Sql Insert = new(
            """
            with recursive n (i) as (select @from union all select i + 1 from n where i < @last)
            insert into approvals (id, state, binding, task_id, grant_id, user_id, agent_id, instance_id, client_id, chain, tool_server, tool, def_digest, args_digest, policy_hash, jti, sealed, sealed_for,
              asked_at, expires_at, asked_event)
            select id || '_' || i, state, binding || i, task_id, grant_id, user_id, agent_id, instance_id, client_id, chain, tool_server, tool, def_digest, args_digest, policy_hash, jti, sealed,
              sealed_for, asked_at + i, expires_at, asked_event from approvals, n where id = @like
            """);

        public override int Apply(WriteTx tx) => tx.Run(Insert.With((long)from, (long)from + count - 1, like));
    }
}
