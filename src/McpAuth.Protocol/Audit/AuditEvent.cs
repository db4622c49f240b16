using System.Text.Json.Serialization;
using System.Text.Json.Nodes;

namespace McpAuth.Protocol.Audit;

/// <summary>One immutable audit record, members as on the wire. Times are integer milliseconds since the epoch, UTC. Absent = null and not written.</summary>
public sealed record AuditEvent
{
    /// <summary>The place in the log; assigned by the store, not part of the leaf.</summary>
    [JsonPropertyName("seq")] public long? Seq { get; init; }
    [JsonPropertyName("id")] public required string Id { get; init; }
    [JsonPropertyName("time")] public required long Time { get; init; }
    [JsonPropertyName("type")] public required string Type { get; init; }
    /// <summary><c>success</c>, <c>refused</c>, <c>allow</c>, <c>deny</c>, <c>error</c>.</summary>
    [JsonPropertyName("outcome")] public required string Outcome { get; init; }
    [JsonPropertyName("user")] public string? User { get; init; }
    [JsonPropertyName("agent")] public string? Agent { get; init; }
    [JsonPropertyName("instance")] public string? Instance { get; init; }
    [JsonPropertyName("client")] public string? Client { get; init; }
    /// <summary>The <c>act</c> chain's subjects, outermost first.</summary>
    [JsonPropertyName("chain")] public IReadOnlyList<string>? Chain { get; init; }
    [JsonPropertyName("task")] public string? Task { get; init; }
    [JsonPropertyName("parent_task")] public string? ParentTask { get; init; }
    [JsonPropertyName("grant")] public string? Grant { get; init; }
    [JsonPropertyName("jti")] public string? Jti { get; init; }
    [JsonPropertyName("resource")] public string? Resource { get; init; }
    [JsonPropertyName("tool")] public string? Tool { get; init; }
    [JsonPropertyName("args_digest")] public string? ArgsDigest { get; init; }
    [JsonPropertyName("decision")] public string? Decision { get; init; }
    [JsonPropertyName("reason")] public string? Reason { get; init; }
    [JsonPropertyName("policy_hash")] public string? PolicyHash { get; init; }
    [JsonPropertyName("policy_ids")] public IReadOnlyList<string>? PolicyIds { get; init; }
    [JsonPropertyName("approval")] public string? Approval { get; init; }
    [JsonPropertyName("trace_id")] public string? TraceId { get; init; }
    [JsonPropertyName("span_id")] public string? SpanId { get; init; }
    /// <summary>The id of the event or decision that led to this one.</summary>
    [JsonPropertyName("cause")] public string? Cause { get; init; }
    /// <summary>The server node or guard that recorded it.</summary>
    [JsonPropertyName("node")] public string? Node { get; init; }
    [JsonPropertyName("data")] public JsonObject? Data { get; init; }
}

/// <summary>Types of audit events.</summary>
public static class AuditTypes
{
    public const string TokenIssued = "token.issued", TokenRefused = "token.refused", TokenRevoked = "token.revoked", DownstreamExchanged = "downstream.exchanged", DownstreamUsed = "downstream.used",
        InstanceAttested = "instance.attested", InstanceRefused = "instance.refused", InstanceRenewed = "instance.renewed", InstanceEnded = "instance.ended",
        TaskCreated = "task.created", TaskRefused = "task.refused", TaskCompleted = "task.completed", TaskFailed = "task.failed", TaskSuspended = "task.suspended",
        TaskResumed = "task.resumed", TaskRevoked = "task.revoked", TaskExpired = "task.expired", GrantRevoked = "grant.revoked",
        CallDecided = "call.decided", CallFinished = "call.finished", CallRefused = "call.refused", ReplayDetected = "replay.detected",
        ClientRefused = "client.refused", GuardEnrolled = "guard.enrolled", GuardRefused = "guard.refused", GuardGap = "guard.gap", ManifestReported = "tool.reported",
        AdminApplied = "admin.applied", AdminRevoked = "admin.revoked", AdminRefused = "admin.refused", AdminChanged = "admin.changed", AgentSuspended = "admin.agent_suspended", AgentResumed = "admin.agent_resumed",
        AgentRetired = "admin.agent_retired", ReviewDue = "admin.review_due", ClientSuspended = "admin.client_suspended", ClientResumed = "admin.client_resumed",
        ClientRetired = "admin.client_retired", UserDisabled = "admin.user_disabled", UserEnabled = "admin.user_enabled", KeyCreated = "key.created",
        KeyActivated = "key.activated", KeyRetired = "key.retired", KeyRemoved = "key.removed", KeyRevoked = "key.revoked",
        SignedIn = "signin.succeeded", SignInFailed = "signin.failed", SignedOut = "signin.ended", AccountCreated = "account.created", AccountChanged = "account.changed",
        SetupLinkMade = "account.setup_link_made", SetupRefused = "account.setup_refused", ConsentGranted = "consent.granted", ConsentRefused = "consent.refused",
        ConsentWithdrawn = "consent.withdrawn", ConsentLifted = "consent.lifted", AuthorizationRefused = "authorization.refused", CodeIssued = "code.issued", RequestPushed = "authorization.pushed",
        ClientRegistered = "client.registered", ClientChanged = "client.changed", ClientDeleted = "client.deleted", RegistrationRefused = "client.registration_refused",
        LoopbackOpened = "server.loopback_documents", DevelopmentOpened = "server.development", DeviceBegun = "device.begun", DeviceRefused = "device.refused",
        PersonProvisioned = "person.provisioned", PersonLinked = "person.linked", PersonGroupsChanged = "person.groups_changed",
        PersonAsked = "person.asked", AskingRefused = "person.asking_refused", AskingExpired = "person.asking_expired",
        PolicyDrafted = "policy.drafted", PolicyShadowed = "policy.shadowed", PolicyActivated = "policy.activated", PolicyWithdrawn = "policy.withdrawn",
        PolicyReplayed = "policy.replayed", ApprovalAsked = "approval.asked", ApprovalNotAsked = "approval.not_asked", ApprovalApproved = "approval.approved",
        ApprovalRefused = "approval.refused", ApprovalExpired = "approval.expired", ApprovalEnded = "approval.ended", ApprovalUsed = "approval.used",
        ApprovalDenied = "approval.answer_refused", AbuseLimited = "abuse.limited", UserInfoRefused = "userinfo.refused", IntrospectionRefused = "introspection.refused",
        EvaluationRefused = "evaluation.refused";
}
