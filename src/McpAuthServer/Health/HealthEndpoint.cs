using McpAuth.Protocol;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Health;

/// <summary>Liveness (the process answers) and readiness (it can read and durably write; without the log it must not serve).</summary>
internal static class HealthEndpoint
{
    public static void MapHealthEndpoint(this IEndpointRouteBuilder routes)
    {
        routes.MapGet(Names.Paths.HealthLive, () => Results.Json(new { status = "live" }));
        routes.MapGet(Names.Paths.HealthReady, ReadyAsync);
    }

    private static async Task<IResult> ReadyAsync(HttpContext context, ICommitLog log, RegistryReader registry, ServerOptions options)
    {
        try
        {
            await registry.Version(context.RequestAborted);
        }
        catch (System.Data.Common.DbException)
        {
            return NotReady("the database cannot be read");
        }
        if (!log.Ready)
            return NotReady("the commit log cannot write");
        return options.ClientDocuments.Loopback.Count == 0
            ? Results.Json(new { status = "ready" })
            : Results.Json(new { status = "ready", warning = "client documents are taken from this machine" });
    }

    private static IResult NotReady(string because) => Results.Json(new { status = "not ready", because }, statusCode: StatusCodes.Status503ServiceUnavailable);
}
