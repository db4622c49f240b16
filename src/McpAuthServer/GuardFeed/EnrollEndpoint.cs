using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuthServer.Audit;
using McpAuthServer.Http;
using McpAuthServer.Keys;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.GuardFeed;

/// <summary><c>POST /guard/enroll</c>: a one-time secret of a tool server becomes one guard's own registered key.</summary>
internal static class EnrollEndpoint
{
    public static void MapEnrollEndpoint(this IEndpointRouteBuilder routes) => routes.MapPost(Names.Paths.GuardEnroll, HandleAsync);

    private static async Task<IResult> HandleAsync(
        HttpContext context, RegistryCache registry, ArgsKeys argsKeys, PolicyKey policyKey, ICommitLog log, AuditTrail audit, ServerOptions options, TimeProvider time)
    {
        var (body, error) = await StrictBody.JsonAsync(context.Request, RequestJson.Default.EnrollRequest, Limits.TokenBody);
        if (body is null)
            return await Refuse(error!);
        if (!VerificationKey.FromJwk(body.Jwk).TryGet(out var key, out var fault))
            return await Refuse(OAuthError.InvalidRequest(fault.Message, fault.Code));
        var snapshot = await registry.Current(context.RequestAborted);
        if (snapshot.ByResource(body.Resource) is not { Active: true } server)
            return await Refuse(Denied);

        var now = time.GetUtcNow();
        var unit = new EnrolGuard(server, Base64Url.Sha256(body.EnrolmentSecret), key, now, options.Node);
        if (!await log.Commit(unit))
        {
            RequestLimits.Failed(context);
            return Denied;
        }
        return Results.Json(
            new EnrollResponse(unit.GuardId, server.Id, server.Resource, await argsKeys.OfAsync(server.Id, context.RequestAborted), policyKey.Value.Public.Jwk),
            ProtocolJson.Default.EnrollResponse, statusCode: StatusCodes.Status201Created);

        async Task<IResult> Refuse(OAuthError e)
        {
            await audit.RefuseAsync(audit.Refusal(AuditTypes.GuardRefused, e.Reason ?? e.Code), []);
            return e;
        }
    }

    // One answer for an unknown resource, a wrong secret and a used one.
    private static OAuthError Denied => new(Names.Errors.InvalidClient, "The enrolment secret is wrong, used, or of another resource.", StatusCodes.Status401Unauthorized, "bad_secret");
}

/// <summary>Consumes the secret by one conditional write and registers the guard.</summary>
internal sealed class EnrolGuard(ToolServerRecord server, string secretHash, VerificationKey key, DateTimeOffset now, string node) : Unit<bool>
{
    private static readonly Sql
        Consume = new("update enrolment_secrets set used_at = @now, used_by = @guard where hash = @hash and tool_server = @server and used_at is null"),
        Insert = new("insert into guards (id, tool_server, jwk, state, enrolled_at, spool_seq, spool_hash) values (@id, @server, @jwk, 'active', @now, 0, @hash)");

    public string GuardId { get; } = Id.New(Id.Guard, now);

    public override bool Apply(WriteTx tx)
    {
        var ms = now.ToUnixTimeMilliseconds();
        var enrolled = tx.Run(Consume.With(ms, GuardId, secretHash, server.Id)) == 1;
        if (enrolled)
            tx.Run(Insert.With(GuardId, server.Id, key.Jwk.GetRawText(), ms, Base64Url.Sha256(GuardId)));
        tx.Append(new AuditEvent
        {
            Id = Id.New(Id.Event, now), Time = ms, Type = enrolled ? AuditTypes.GuardEnrolled : AuditTypes.GuardRefused, Outcome = enrolled ? "success" : "refused",
            Reason = enrolled ? null : "bad_secret", Client = enrolled ? GuardId : null, Resource = server.Resource, Node = node,
            Data = enrolled ? new() { ["jkt"] = key.Thumbprint, ["tool_server"] = server.Id } : null,
        });
        return enrolled;
    }
}
