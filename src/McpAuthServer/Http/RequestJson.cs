using System.Text.Json.Serialization;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;

namespace McpAuthServer.Http;

/// <summary>
/// Readers of the bodies that callers send: what a body must have is there and is not null, so that no handler meets a hole. (The same
/// types are answered with <see cref="ProtocolJson"/>, whose readers let absent members be null.)
/// </summary>
[JsonSourceGenerationOptions(RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true, PropertyNameCaseInsensitive = false)]
[JsonSerializable(typeof(EnrollRequest)), JsonSerializable(typeof(RevocationsRequest)), JsonSerializable(typeof(ManifestRequest)), JsonSerializable(typeof(BudgetRequest)), JsonSerializable(typeof(BudgetReturnsRequest)), JsonSerializable(typeof(ApprovalRequest))]
[JsonSerializable(typeof(CreateTaskRequest)), JsonSerializable(typeof(TaskTransitionRequest)), JsonSerializable(typeof(AuditEvent))]
internal sealed partial class RequestJson : JsonSerializerContext;
