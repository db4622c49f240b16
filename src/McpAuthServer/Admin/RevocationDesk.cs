using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using McpAuth.Protocol;
using McpAuthServer.Authorizations;
using McpAuthServer.Delegation.Levels;
using McpAuthServer.Http;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Admin;

/// <param name="Level">One of <see cref="RevocationLevel"/>.</param>
/// <param name="Id">Of the subject; absent for everything.</param>
/// <param name="Reason">Why, for those who read the record.</param>
internal sealed record RevocationRequest(
    [property: JsonPropertyName("level")] string Level, [property: JsonPropertyName("reason")] string Reason, [property: JsonPropertyName("id")] string? Id = null);

/// <summary>Pulls the plug: one operation at any level.</summary>
internal sealed class RevocationDesk(AdminCallers callers, RegistryCache registry, ICommitLog log, ServerOptions options, TimeProvider time)
{
    private const int MostReason = 500;

    /// <summary>What is wrong with a reason; null when it is one.</summary>
    public static string? WrongReason(string? reason) =>
        !string.IsNullOrWhiteSpace(reason) && reason.Length <= MostReason && !reason.Any(char.IsControl)
            ? null
            : $"reason must say why, in one line of 1 to {MostReason} characters.";

    public async Task<IResult> RevokeAsync(AdminCall call)
    {
        var (body, unread) = await StrictBody.JsonAsync(call.Context.Request, AdminJson.Default.RevocationRequest, Limits.TokenBody);
        var invalid = body is null ? Problem.Of(unread!) : Wrong(body) is { } wrong ? Problem.Invalid(wrong) : null;
        if (invalid is not null)
            return await callers.RefuseAsync(call.Caller, invalid);
        var revoked = await log.Commit(new RevokeAtLevel(body!.Level, body.Id, body.Reason, call.Caller.Initiator, time.GetUtcNow(), options.Node));
        if (!revoked.Known)
            return Problem.NotFound($"There is no such subject at the level {body.Level}.");
        if (!revoked.Revocable)
            return new Problem(
                StatusCodes.Status409Conflict, Problem.ConflictCode,
                "The token stands on nothing but a registration, and ends by itself within minutes: revoke its client, or suspend its tool server.");
        if (registry.Latest is { } seen)
            registry.Invalidate(seen.Version);
        var answer = new JsonObject { ["level"] = body.Level, ["grants"] = revoked.Grants };
        if (body.Id is not null)
            answer["id"] = body.Id;
        return AdminAnswer.One(answer);
    }

    /// <summary>Lets an enterprise allow again what a person or an administrator had stopped.</summary>
    public async Task<IResult> LiftAsync(AdminCall call)
    {
        var (body, unread) = await StrictBody.JsonAsync(call.Context.Request, RequestJson.Default.TaskTransitionRequest, Limits.TokenBody);
        var invalid = body is null ? Problem.Of(unread!) : WrongReason(body.Reason) is { } wrong ? Problem.Invalid(wrong) : null;
        if (invalid is not null)
            return await callers.RefuseAsync(call.Caller, invalid);
        return await log.Commit(new LiftConsent(call.Id, user: null, call.Caller.Initiator, body!.Reason, time.GetUtcNow(), options.Node))
            ? AdminAnswer.One(new() { ["id"] = call.Id, ["stopped"] = false })
            : await callers.RefuseAsync(call.Caller, Problem.NotFound("There is no such consent that is stopped."));
    }

    private static string? Wrong(RevocationRequest body)
    {
        if (!RevocationLevel.All.Contains(body.Level, StringComparer.Ordinal))
            return $"level is one of {string.Join(", ", RevocationLevel.All)}.";
        if (body.Level == RevocationLevel.Everything ? body.Id is not null : string.IsNullOrEmpty(body.Id))
            return body.Id is null ? "id is missing." : "Everything has no id.";
        return WrongReason(body.Reason);
    }
}

/// <summary>Readers of the bodies that administrators send: what must be there is there, and nothing else.</summary>
[JsonSourceGenerationOptions(
    RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true, PropertyNameCaseInsensitive = false, UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow)]
[JsonSerializable(typeof(RevocationRequest)), JsonSerializable(typeof(DraftRequest)), JsonSerializable(typeof(ToolApproval))]
internal sealed partial class AdminJson : JsonSerializerContext;
