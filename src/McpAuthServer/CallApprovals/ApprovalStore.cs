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
        Waiting = new($"select {CallApproval.Columns} from approvals where state = 'waiting' and expires_at > @now order by asked_at, id limit @most"),
        Page = new(
            $"""
            select {CallApproval.Columns} from approvals where (@state = '' or state = @state) and (@task = '' or task_id = @task) and (@user = '' or user_id = @user)
              and (@after = '' or id < @after) order by id desc limit @limit
            """);

    public Task<CallApproval?> FindAsync(string id, CancellationToken cancel) => store.First(ById.With(id), CallApproval.Read, cancel);

    public async Task<IReadOnlyList<CallApproval>> WaitingAsync(DateTimeOffset now, CancellationToken cancel) =>
        [.. (await store.All(Waiting.With(now.ToUnixTimeMilliseconds(), Most), CallApproval.Read, cancel)).OfType<CallApproval>()];

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
