using McpAuth.Protocol;
using McpAuthServer.Keys;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Health;

/// <summary>
/// Liveness (the process answers) and readiness (it can read and durably write; without the log it must not serve). Readiness names the key this node signs
/// with, so that after an emergency whoever revoked one can see every node leave it.
/// </summary>
internal static class HealthEndpoint
{
    public static void MapHealthEndpoint(this IEndpointRouteBuilder routes)
    {
        routes.MapGet(Names.Paths.HealthLive, () => Results.Json(new { status = "live" }));
        routes.MapGet(Names.Paths.HealthReady, ReadyAsync);
    }

    private static async Task<IResult> ReadyAsync(HttpContext context, ICommitLog log, RegistryReader registry, SigningKeyRing keys, ServerOptions options)
    {
        try
        {
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
        var key = keys.Current.Active.KeyId;
        return options.ClientDocuments.Loopback.Count == 0
            ? Results.Json(new { status = "ready", signing_key = key })
            : Results.Json(new { status = "ready", signing_key = key, warning = "client documents are taken from this machine" });
    }

    private static IResult NotReady(string because) => Results.Json(new { status = "not ready", because }, statusCode: StatusCodes.Status503ServiceUnavailable);
}
