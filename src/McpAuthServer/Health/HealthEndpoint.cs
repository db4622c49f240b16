using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuthServer.Keys;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Health;

/// <summary>
/// Liveness (the process answers) and readiness (it can read and durably write; without the log it must not serve). Readiness names the key this node signs
/// with, so that after an emergency whoever revoked one can see every node leave it; and how many agents are past their review date, if any.
/// </summary>
internal static class HealthEndpoint
{
    public static void MapHealthEndpoint(this IEndpointRouteBuilder routes)
    {
        routes.MapGet(Names.Paths.HealthLive, () => Results.Json(new { status = "live" }));
        routes.MapGet(Names.Paths.HealthReady, ReadyAsync);
    }

    private static async Task<IResult> ReadyAsync(HttpContext context, ICommitLog log, RegistryReader registry, SigningKeyRing keys, AgentReviews reviews, ServerOptions options)
    {
        long overdue;
        try
        {
            overdue = await reviews.CountAsync(context.RequestAborted);
            await registry.Version(context.RequestAborted);
            await keys.LookAsync(context.RequestAborted);
        }
        catch (System.Data.Common.DbException)
        {
            return NotReady("the database cannot be read");
        }
        catch (SigningKeyException)
        {
            return NotReady("the signing keys cannot be read");
        }
        if (!log.Ready)
            return NotReady("the commit log cannot write");
        var told = new JsonObject { ["status"] = "ready", ["signing_key"] = keys.Current.Active.KeyId };
        if (overdue > 0)
            told["overdue_reviews"] = overdue;
        if (options.ClientDocuments.Loopback.Count > 0)
            told["warning"] = "client documents are taken from this machine";
        return Results.Json(told, ProtocolJson.Default.JsonObject);
    }

    private static IResult NotReady(string because) => Results.Json(new { status = "not ready", because }, statusCode: StatusCodes.Status503ServiceUnavailable);
}
