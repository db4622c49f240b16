using System.Text.Json;
using System.Text.Json.Serialization;
using McpAuth.Protocol.Audit;

namespace McpAuth.Protocol.Messages;

/// <summary><c>POST /tasks</c> with an instance token (DPoP): an autonomous agent's own task, or a child of <see cref="ParentTask"/>.</summary>
/// <param name="ExpiresAt">RFC 3339; default 1 h, at most 24 h, never beyond the parent.</param>
/// <param name="Resumable">Whether it outlives the instance that works on it: suspended when that ends, until another of the same agent resumes it. Otherwise it fails.</param>
public sealed record CreateTaskRequest(
    [property: JsonPropertyName("purpose")] string Purpose,
    [property: JsonPropertyName("authorization_details")] JsonElement AuthorizationDetails,
    [property: JsonPropertyName("expires_at")] DateTimeOffset? ExpiresAt = null,
    [property: JsonPropertyName("parent_task")] string? ParentTask = null,
    [property: JsonPropertyName("resumable")] bool Resumable = false);

/// <summary>A task as its agent sees it (<c>GET /tasks/{id}</c>, and the answer to create and to every transition).</summary>
/// <param name="State"><c>active</c>, <c>suspended</c>, <c>completed</c>, <c>failed</c>, <c>expired</c>, <c>revoked</c>.</param>
/// <param name="ResidualAccessMs">How long the longest-lived token of the task would still have been valid when it ended.</param>
public sealed record TaskView(
    [property: JsonPropertyName("id")] string Id,
    [property: JsonPropertyName("state")] string State,
    [property: JsonPropertyName("purpose")] string Purpose,
    [property: JsonPropertyName("agent")] string? Agent,
    [property: JsonPropertyName("user")] string? User,
    [property: JsonPropertyName("parent_task")] string? ParentTask,
    [property: JsonPropertyName("created_at")] DateTimeOffset CreatedAt,
    [property: JsonPropertyName("expires_at")] DateTimeOffset ExpiresAt,
    [property: JsonPropertyName("ended_at")] DateTimeOffset? EndedAt,
    [property: JsonPropertyName("authorization_details")] JsonElement AuthorizationDetails,
    [property: JsonPropertyName("residual_access_ms")] long? ResidualAccessMs,
    [property: JsonPropertyName("resumable")] bool Resumable = false);

/// <summary>The optional body of a transition (<c>/tasks/{id}/complete|fail|suspend|resume|revoke</c>).</summary>
public sealed record TaskTransitionRequest([property: JsonPropertyName("reason")] string? Reason = null);

/// <summary><c>GET /tasks/{id}/story</c>: every event of the task and its descendants, in order.</summary>
public sealed record TaskStory(
    [property: JsonPropertyName("task")] TaskView Task,
    [property: JsonPropertyName("events")] IReadOnlyList<AuditEvent> Events);

/// <summary>The answer of <c>POST /agents/instances</c> (form: evidence, or client_assertion_type and client_assertion; header DPoP = the instance's key).</summary>
/// <param name="ClientId">As which client the instance authenticates from now on: a program that is known by its platform is told so here.</param>
public sealed record InstanceResponse(
    [property: JsonPropertyName("instance")] string Instance,
    [property: JsonPropertyName("agent")] string Agent,
    [property: JsonPropertyName("access_token")] string AccessToken,
    [property: JsonPropertyName("token_type")] string TokenType,
    [property: JsonPropertyName("expires_in")] int ExpiresIn,
    [property: JsonPropertyName(Names.Claims.ClientId)] string? ClientId = null);

/// <summary>What one agent sends another to hand over a part of its task; no endpoint sees it.</summary>
/// <param name="SubjectToken">The giver's token, bound to the giver's key, to be exchanged with the taker's instance token as actor.</param>
/// <param name="TakeUpBefore">When that token expires.</param>
/// <param name="ExpiresAt">When the taker's task ends at the latest; absent = with the giver's.</param>
public sealed record HandOffMessage(
    [property: JsonPropertyName("issuer")] string Issuer,
    [property: JsonPropertyName(Names.Resources.Resource)] string Resource,
    [property: JsonPropertyName("purpose")] string Purpose,
    [property: JsonPropertyName(Names.Resources.AuthorizationDetails)] JsonElement AuthorizationDetails,
    [property: JsonPropertyName(Names.Exchange.SubjectToken)] string SubjectToken,
    [property: JsonPropertyName("take_up_before")] DateTimeOffset TakeUpBefore,
    [property: JsonPropertyName("expires_at")] DateTimeOffset? ExpiresAt = null);

/// <summary>The answer of <c>/token</c> (RFC 6749 §5.1, RFC 8693 §2.2.1).</summary>
public sealed record TokenResponse(
    [property: JsonPropertyName("access_token")] string AccessToken,
    [property: JsonPropertyName("token_type")] string TokenType,
    [property: JsonPropertyName("expires_in")] int ExpiresIn,
    [property: JsonPropertyName("scope")] string? Scope = null,
    [property: JsonPropertyName("issued_token_type")] string? IssuedTokenType = null,
    [property: JsonPropertyName("authorization_details")] JsonElement? AuthorizationDetails = null,
    [property: JsonPropertyName("refresh_token")] string? RefreshToken = null,
    [property: JsonPropertyName("id_token")] string? IdToken = null);

/// <summary>The answer of <c>/device_authorization</c> (RFC 8628 §3.2).</summary>
public sealed record DeviceResponse(
    [property: JsonPropertyName("device_code")] string DeviceCode,
    [property: JsonPropertyName("user_code")] string UserCode,
    [property: JsonPropertyName("verification_uri")] string VerificationUri,
    [property: JsonPropertyName("verification_uri_complete")] string VerificationUriComplete,
    [property: JsonPropertyName("expires_in")] int ExpiresIn,
    [property: JsonPropertyName("interval")] int Interval);

/// <summary>The answer of <c>/bc-authorize</c> (CIBA §7.3).</summary>
public sealed record BackchannelResponse(
    [property: JsonPropertyName(Names.Ciba.RequestId)] string RequestId,
    [property: JsonPropertyName("expires_in")] int ExpiresIn,
    [property: JsonPropertyName("interval")] int Interval);

/// <summary>The answer of <c>/userinfo</c> (OpenID Connect Core §5.3.2): what was not granted is absent.</summary>
public sealed record UserInfoResponse(
    [property: JsonPropertyName(Names.Claims.Sub)] string Subject,
    [property: JsonPropertyName(Names.Claims.Name)] string? Name = null,
    [property: JsonPropertyName(Names.Claims.Email)] string? Email = null);

/// <summary>The answer of <c>/par</c> (RFC 9126 §2.2).</summary>
public sealed record PushedResponse(
    [property: JsonPropertyName("request_uri")] string RequestUri,
    [property: JsonPropertyName("expires_in")] int ExpiresIn);

/// <summary>An OAuth error body (RFC 6749 §5.2).</summary>
public sealed record ErrorResponse(
    [property: JsonPropertyName("error")] string Error,
    [property: JsonPropertyName("error_description")] string? Description = null,
    [property: JsonPropertyName(Names.Errors.ReasonMember)] string? Reason = null);
