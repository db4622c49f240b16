using McpAuth.Protocol;
using McpAuth.Protocol.Json;
using McpAuth.Protocol.Messages;
using McpAuthServer.Http;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.GuardFeed;

/// <summary><c>POST /guard/manifest</c>: the tools a guard serves, against what was approved.</summary>
internal static partial class ManifestEndpoint
{
    public static void MapManifestEndpoint(this IEndpointRouteBuilder routes) => routes.MapPost(Names.Paths.GuardManifest, HandleAsync);

    private static async Task<IResult> HandleAsync(HttpContext context, GuardCallers callers, RegistryCache registry, ICommitLog log, TimeProvider time, ILoggerFactory loggers)
    {
        var (caller, error) = await callers.AuthenticateAsync(context, Names.Paths.GuardManifest);
        if (caller is null)
            return error!;
        var (body, invalid) = await StrictBody.JsonAsync(context.Request, RequestJson.Default.ManifestRequest, Limits.GuardBody);
        if (body is null)
            return invalid!;
        if (body.Tools.Any(t => t is null))
            return OAuthError.InvalidRequest("A tool is an object.");
        if (body.Tools.DistinctBy(t => t.Name, StringComparer.Ordinal).Count() != body.Tools.Count || body.Tools.Count > ToolReportUnit.MaxTools)
            return OAuthError.InvalidRequest($"A tool may be reported once, and at most {ToolReportUnit.MaxTools} of them.");
        List<ReportedTool> reported = [.. body.Tools.Select(t => new ReportedTool(t.Name, t.Definition.GetRawText(), CanonicalJson.Digest(t.Definition)))];
        var answer = await log.Commit(new ToolReportUnit(caller.Server.Id, reported, time, caller.Guard.Id));
        registry.Invalidate(caller.Registry.Version);
        if (answer!.Development is { Count: > 0 } developed)
        {
            var logger = loggers.CreateLogger(typeof(ManifestEndpoint));
            foreach (var tool in answer.Tools.Where(t => developed.Contains(t.Name, StringComparer.Ordinal)))
                Log.Developed(logger, tool.Name, caller.Server.Id, tool.Sensitivity);
        }
        return Results.Json(answer, ProtocolJson.Default.ManifestResponse);
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Developer mode: the tool {Tool} of {ToolServer} is approved, and nobody has looked at it; by its own claim it is {Sensitivity}.")]
        public static partial void Developed(ILogger logger, string tool, string toolServer, string sensitivity);
    }
}
