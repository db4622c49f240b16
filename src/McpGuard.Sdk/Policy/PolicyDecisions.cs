using System.Buffers;
using System.Text;
using System.Text.Json;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Mcp;
using McpAuth.Cedar.Values;
using McpAuth.Protocol.Audit;
using McpGuard.Sdk.Audit;
using McpGuard.Sdk.Calls;
using McpGuard.Sdk.Connection;
using Microsoft.Extensions.Options;

namespace McpGuard.Sdk.Policy;

/// <summary>What the policies said of one call.</summary>
/// <param name="Reason">Why they denied, for the audit alone; null when they allowed, or there are none.</param>
/// <param name="Unavailable">Why nothing could be decided; then nothing else is set.</param>
/// <param name="ApprovalHelps">They denied, and a person's approval of this call would change that.</param>
/// <param name="Record">What the audit event tells of it; null where there are no policies.</param>
/// <param name="Hash">Of the release that was asked, also where it has no policies.</param>
internal readonly record struct PolicyFinding(string? Reason, string? Unavailable = null, bool ApprovalHelps = false, PolicyRecord? Record = null, string? Hash = null);

/// <param name="Decision"><c>allow</c> or <c>deny</c>.</param>
/// <param name="Ids">The policies that decided.</param>
/// <param name="Shadow">The version that was asked beside, and what it said.</param>
/// <param name="Request">What was asked, encrypted; see <see cref="GuardEvent.Request"/>.</param>
internal sealed record PolicyRecord(string Hash, string Decision, IReadOnlyList<string> Ids, (long Version, string Decision)? Shadow, ReadOnlyMemory<byte> Request);

/// <summary>Decides calls by the policies in force, in memory and without waiting for anything.</summary>
internal sealed class PolicyDecisions(PolicySource source, GuardConnection connection, IOptions<McpGuardOptions> options, TimeProvider time)
{
    /// <summary>What a thread uses again for each of its decisions.</summary>
    private sealed class Scratch
    {
        private const int Largest = 64 * 1024;

        public readonly AuthorizationResponse Response = new();

        public ArrayBufferWriter<byte> Read { get; private set; } = new(512);
        public ArrayBufferWriter<byte> Request { get; private set; } = new(2048);

        /// <summary>Forgets what is in them, for arguments are confidential; what is very large is not kept.</summary>
        public void Clear()
        {
            if (Read.Capacity > Largest) Read = new(512);
            else Read.Clear();
            if (Request.Capacity > Largest) Request = new(2048);
            else Request.Clear();
        }
    }

    /// <summary>
    /// The most that is kept of one call. Its record must fit what the server takes at once, and all arguments that a call may have by default are kept; where more are
    /// allowed and read, the record has no request, and the decision cannot be made again.
    /// </summary>
    private const int MostKept = 2 << 20;

    [ThreadStatic]
    private static Scratch? scratch;

    private readonly EntityUid server = McpCaller.Server(options.Value.Resource);

    /// <param name="what">A tool's name, <see cref="ToolServerModel.ReadResource"/> or <see cref="ToolServerModel.GetPrompt"/>.</param>
    /// <param name="arguments">A JSON object: exactly what the handler gets.</param>
    /// <param name="decision">Its id.</param>
    public PolicyFinding Decide(Caller caller, string what, ReadOnlySpan<byte> arguments, string decision, McpApproval? approval = null)
    {
        (PolicySnapshot? snapshot, string? problem) = source.Current;
        if (snapshot is null) return new(null, problem);
        if (snapshot.Policies is null && snapshot.Shadow is null) return new(null, Hash: snapshot.Hash);

        PolicyCaller asked = caller.Token.PolicyCaller;
        DateTimeOffset second = Second();
        CedarRecord session = asked.Session(second, caller.Address, approval);
        var call = new ToolCall { Principal = asked.Principal, Tool = what, Resource = server, Session = session, Arguments = arguments };
        AuthorizationResponse response = (scratch ??= new()).Response;
        (long, string)? shadow = null;
        if (snapshot.Shadow is { } candidate) shadow = (candidate.Version, Word(candidate.Policies.Authorize(call, asked.Entities, response)));
        if (snapshot.Policies is not { } policies) return new(null, Record: new(snapshot.Hash, "allow", [], shadow, default), Hash: snapshot.Hash);

        bool allowed = policies.Authorize(call, asked.Entities, response) == Decision.Allow;
        string[] ids = snapshot.Keep(response.Reasons);
        DenialCause cause = response.Cause;
        bool helps = !allowed && approval is null && cause is DenialCause.NothingPermits or DenialCause.Forbidden && policies.MayAllowApproved(call, asked.Entities);

        ReadOnlyMemory<byte> request = connection.Sealing is { } sealing ? Sealed(sealing, policies, caller, what, arguments, second, decision, approval) : default;
        return new(allowed ? null : Why(cause), ApprovalHelps: helps, Record: new(snapshot.Hash, allowed ? "allow" : "deny", ids, shadow, request), Hash: snapshot.Hash);
    }

    private ReadOnlyMemory<byte> Sealed(
        SealedRequest sealing, ToolCallAuthorizer policies, Caller caller, string what, ReadOnlySpan<byte> arguments, DateTimeOffset second, string decision, McpApproval? approval)
    {
        Scratch kept = scratch!;
        try
        {
            policies.CopyRead(what, arguments, kept.Read);
            RecordedCall.Write(kept.Request, caller.Token.PolicyCaller.Json, second, options.Value.Resource, what, kept.Read.WrittenSpan, approval, caller.Address);
            return kept.Request.WrittenCount <= MostKept ? sealing.SealToUtf8(decision, kept.Request.WrittenSpan) : default;
        }
        finally
        {
            kept.Clear();
        }
    }

    /// <summary>Whether a list may show it: some call of it could be allowed.</summary>
    public bool MayAllow(Caller caller, string what)
    {
        (PolicySnapshot? snapshot, _) = source.Current;
        if (snapshot is null) return false;
        PolicyCaller asked = caller.Token.PolicyCaller;
        return snapshot.Policies is not { } policies
            || policies.MayAllow(new ToolCall { Principal = asked.Principal, Tool = what, Resource = server, Session = asked.Session(Second(), caller.Address, null) }, asked.Entities);
    }

    /// <summary>Whether this resource or prompt, which has no other arguments, may be read: for lists.</summary>
    public bool Allows(Caller caller, string what, string member, string value)
    {
        (PolicySnapshot? snapshot, _) = source.Current;
        if (snapshot?.Policies is not { } policies) return snapshot is not null;
        PolicyCaller asked = caller.Token.PolicyCaller;
        byte[] arguments = Item(member, value);
        var call = new ToolCall { Principal = asked.Principal, Tool = what, Resource = server, Session = asked.Session(Second(), caller.Address, null), Arguments = arguments };
        return policies.Authorize(call, asked.Entities, (scratch ??= new()).Response) == Decision.Allow;
    }

    /// <summary>The arguments of reading a resource or getting a prompt.</summary>
    public static byte[] Item(string member, string value) => Encoding.UTF8.GetBytes($"{{\"{member}\":{JsonSerializer.Serialize(value, TextJson.Default.String)}}}");

    /// <summary>Whole seconds, so that what is made of it serves all calls of one.</summary>
    private DateTimeOffset Second() => DateTimeOffset.FromUnixTimeSeconds(time.GetUtcNow().ToUnixTimeSeconds());

    private static string Word(Decision decision) => decision == Decision.Allow ? "allow" : "deny";

    private static string Why(DenialCause cause) => cause switch
    {
        DenialCause.Forbidden => "forbidden",
        DenialCause.ForbidFailed or DenialCause.PolicyFailed => "policy_error",
        DenialCause.RequestInvalid => "request_invalid",
        _ => "not_permitted",
    };
}
