using System.Text.Json.Serialization;
using McpAuth.Protocol.Audit;

namespace McpAuth.Protocol.Messages;

/// <summary>Generated serializers of every body: absent members are not written, unknown members are ignored on the reader's side of an answer.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, PropertyNameCaseInsensitive = false)]
[JsonSerializable(typeof(EnrollRequest)), JsonSerializable(typeof(EnrollResponse)), JsonSerializable(typeof(StreamResponse))]
[JsonSerializable(typeof(RevocationsRequest)), JsonSerializable(typeof(RevocationsResponse))]
[JsonSerializable(typeof(ManifestRequest)), JsonSerializable(typeof(ManifestResponse))]
[JsonSerializable(typeof(GuardAuditRequest)), JsonSerializable(typeof(GuardAuditResponse)), JsonSerializable(typeof(SpoolEntry))]
[JsonSerializable(typeof(PolicyResponse)), JsonSerializable(typeof(PolicyRelease))]
[JsonSerializable(typeof(BudgetRequest)), JsonSerializable(typeof(BudgetResponse)), JsonSerializable(typeof(BudgetReturnsRequest)), JsonSerializable(typeof(BudgetReturnsResponse)), JsonSerializable(typeof(IntrospectionResponse))]
[JsonSerializable(typeof(ApprovalRequest)), JsonSerializable(typeof(ApprovalResponse))]
[JsonSerializable(typeof(CreateTaskRequest)), JsonSerializable(typeof(TaskView)), JsonSerializable(typeof(TaskTransitionRequest)), JsonSerializable(typeof(TaskStory)), JsonSerializable(typeof(HandOffMessage))]
[JsonSerializable(typeof(UserInfoResponse)), JsonSerializable(typeof(InstanceResponse)), JsonSerializable(typeof(PushedResponse)), JsonSerializable(typeof(DeviceResponse)), JsonSerializable(typeof(BackchannelResponse))]
[JsonSerializable(typeof(TokenResponse)), JsonSerializable(typeof(ErrorResponse)), JsonSerializable(typeof(AuditEvent))]
public sealed partial class ProtocolJson : JsonSerializerContext;
