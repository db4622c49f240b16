using System.Data.Common;
using System.Text.Json;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;

namespace McpAuthServer.CallApprovals;

/// <summary>States of an approval; all but the first two are final.</summary>
internal static class ApprovalState
{
    public const string Waiting = "waiting", Approved = "approved", Refused = "refused", Used = "used", Expired = "expired", Ended = "ended";

    public static readonly IReadOnlyList<string> All = [Waiting, Approved, Refused, Used, Expired, Ended];
}

/// <summary>
/// One exact call: all that a person's yes is bound to. Whose it is comes from what was issued, never from a guard. Token and grant are not in the binding: the retry may come
/// with a fresh token of the same work.
/// </summary>
/// <param name="ArgsDigest">Keyed, over the arguments' RFC 8785 form; made by this server.</param>
internal sealed record BoundCall(
    string Task, string? User, string? Agent, string? Instance, string ToolServer, string Tool, string DefDigest, string ArgsDigest, string PolicyHash)
{
    /// <summary>The same for the same call only.</summary>
    public string Binding => Base64Url.Sha256(JsonSerializer.Serialize(
        [Task, User ?? "", Agent ?? "", Instance ?? "", ToolServer, Tool, DefDigest, ArgsDigest, PolicyHash], ApprovalJson.Default.IReadOnlyListString));
}

/// <summary>A call that a guard holds, with what its token was issued for.</summary>
/// <param name="Decision">The guard's decision that waits.</param>
/// <param name="Sealed">The arguments, encrypted for the decision.</param>
internal sealed record HeldCall(BoundCall Bound, string Decision, string Sealed, AuditEvent Issued);

/// <summary>A person's yes or no to one exact call, as stored.</summary>
/// <param name="Sealed">Null once the arguments are not needed any more.</param>
/// <param name="SealedFor">The decision that they are encrypted for.</param>
/// <param name="AnsweredBy">The user who answered, or the client that administers.</param>
/// <param name="UsedBy">The decision that used it up.</param>
internal sealed record CallApproval(
    string Id, string State, BoundCall Call, string Grant, string Client, IReadOnlyList<string> Chain, string Jti, string? Sealed, string SealedFor,
    DateTimeOffset Asked, DateTimeOffset Expires, string AskedEvent, DateTimeOffset? Answered, string? AnsweredBy, string? UsedBy)
{
    public const string Columns =
        "id, state, task_id, user_id, agent_id, instance_id, tool_server, tool, def_digest, args_digest, policy_hash, grant_id, client_id, chain, jti, sealed, sealed_for, " +
        "asked_at, expires_at, asked_event, answered_at, answered_by, used_by";

    public static CallApproval? Read(DbDataReader r)
    {
        return new(
            r.GetString(0), r.GetString(1),
            new(r.GetString(2), Text(3), Text(4), Text(5), r.GetString(6), r.GetString(7), r.GetString(8), r.GetString(9), r.GetString(10)),
            r.GetString(11), r.GetString(12), JsonSerializer.Deserialize(r.GetString(13), ApprovalJson.Default.IReadOnlyListString)!, r.GetString(14), Text(15), r.GetString(16),
            Time(17), Time(18), r.GetString(19), r.IsDBNull(20) ? null : Time(20), Text(21), Text(22));

        string? Text(int at) => r.IsDBNull(at) ? null : r.GetString(at);
        DateTimeOffset Time(int at) => DateTimeOffset.FromUnixTimeMilliseconds(r.GetInt64(at));
    }

    /// <summary>An event about it, without the arguments.</summary>
    public AuditEvent Event(AuditEvent e, string resource, string? cause) => e with
    {
        Approval = Id, User = Call.User, Agent = Call.Agent, Instance = Call.Instance, Client = Client, Chain = Chain.Count > 0 ? Chain : null, Task = Call.Task, Grant = Grant, Jti = Jti,
        Resource = resource, Tool = Call.Tool, ArgsDigest = Call.ArgsDigest, PolicyHash = Call.PolicyHash, Cause = cause,
    };
}

[System.Text.Json.Serialization.JsonSerializable(typeof(IReadOnlyList<string>))]
internal sealed partial class ApprovalJson : System.Text.Json.Serialization.JsonSerializerContext;
