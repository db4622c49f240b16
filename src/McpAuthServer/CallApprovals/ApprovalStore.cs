using McpAuth.Protocol.Audit;
using McpAuthServer.Keys;
using McpAuthServer.Storage;

namespace McpAuthServer.CallApprovals;

/// <summary>Reads approvals, and their arguments as long as they are there.</summary>
internal sealed class ApprovalStore(IReadStore store, ArgsKeys keys)
{
    /// <summary>More than these are nobody's to look through.</summary>
    private const int Most = 500;

    private static readonly Sql
        ById = new($"select {CallApproval.Columns} from approvals where id = @id"),
        // SQLite takes an index with a condition only where that condition stands.
        Waiting = new(
            $"""
            select {CallApproval.Columns} from approvals where state in ('waiting', 'approved') and state = 'waiting' and expires_at > @now
            order by case when user_id = @user then 0 else 1 end, asked_at desc, id desc limit @most
            """),
        Page = new(
            $"""
            select {CallApproval.Columns} from approvals where (@state = '' or state = @state) and (@task = '' or task_id = @task) and (@user = '' or user_id = @user)
              and (@after = '' or id < @after) order by id desc limit @limit
            """);

    public Task<CallApproval?> FindAsync(string id, CancellationToken cancel) => store.First(ById.With(id), CallApproval.Read, cancel);

    /// <summary>Those of the user's own work, of which so many at once are not asked, then others'; each newest first, so that nobody hides what comes later by asking much.</summary>
    /// <returns>And whether more wait than these.</returns>
    public async Task<(IReadOnlyList<CallApproval> Waiting, bool More)> WaitingAsync(string user, DateTimeOffset now, CancellationToken cancel)
    {
        var found = await store.All(Waiting.With(now.ToUnixTimeMilliseconds(), user, Most + 1), CallApproval.Read, cancel);
        return ([.. found.OfType<CallApproval>().Take(Most)], found.Count > Most);
    }

    /// <summary>Newest first; empty filters are none.</summary>
    public async Task<IReadOnlyList<CallApproval>> PageAsync(string state, string task, string user, string after, long limit, CancellationToken cancel) =>
        [.. (await store.All(Page.With(state, task, user, after, limit), CallApproval.Read, cancel)).OfType<CallApproval>()];

    /// <summary>The arguments' RFC 8785 form; null when they are gone, or are not those that the approval is bound to.</summary>
    public async Task<byte[]?> ArgumentsAsync(CallApproval approval, CancellationToken cancel) =>
        approval.Sealed is { } text ? await OpenAsync(approval.Call.ToolServer, approval.SealedFor, text, approval.Call.ArgsDigest, cancel) : null;

    /// <summary>Opens what a guard encrypted; null unless it has this digest.</summary>
    public async Task<byte[]?> OpenAsync(string toolServer, string decision, string sealedText, string digest, CancellationToken cancel)
    {
        var key = await keys.OfAsync(toolServer, cancel);
        return new SealedRequest(key, SealedRequest.ForApproval).Open(decision, sealedText) is { } arguments && new ArgumentDigest(key).Of(arguments) == digest ? arguments : null;
    }
}
