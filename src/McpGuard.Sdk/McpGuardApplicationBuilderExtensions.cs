using System.Text.Json;
using McpAuth.Protocol;
using McpGuard.Sdk.Calls;
using McpGuard.Sdk.Downstream;
using McpGuard.Sdk.Hosting;
using McpGuard.Sdk.Http;
using McpGuard.Sdk.Revocation;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using ModelContextProtocol.Server;

namespace McpGuard.Sdk;

/// <summary>Puts endpoints behind the guard.</summary>
public static class McpGuardApplicationBuilderExtensions
{
    /// <summary>
    /// Guards an MCP endpoint that something else serves (JSON-RPC by POST) at <paramref name="path"/> and everything below it, and serves the
    /// resource's metadata (RFC 9728). Put it before the endpoint. The endpoint gets the message rebuilt, and no token.
    /// </summary>
    public static IApplicationBuilder UseMcpGuard(this IApplicationBuilder app, string path)
    {
        ArgumentNullException.ThrowIfNull(app);
        IServiceProvider services = Services(app.ApplicationServices);
        return app.UseMiddleware<GuardMiddleware>(
            new PathString(path.TrimEnd('/')), services.GetRequiredService<GuardGate>(), services.GetRequiredService<MetadataEndpoint>(),
            services.GetRequiredService<CallDecider>(), services.GetRequiredService<ListRules>(), services.GetRequiredService<RunningCalls>(), services.GetRequiredService<LiveCalls>(),
            services.GetRequiredService<IOptions<McpGuardOptions>>().Value.Limits);
    }

    /// <summary>
    /// Hosts the tools of <c>AddMcpServer()</c> behind the guard: stateless Streamable HTTP (MCP 2026-07-28, 2025-11-25, 2025-06-18) at
    /// <paramref name="pattern"/>, and the resource's metadata (RFC 9728).
    /// </summary>
    /// <exception cref="InvalidOperationException"><c>AddMcpGuard</c> or <c>AddMcpServer</c> was not called.</exception>
    public static IEndpointConventionBuilder MapGuardedMcp(this IEndpointRouteBuilder endpoints, string pattern)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        IServiceProvider services = Services(endpoints.ServiceProvider);
        if (services.GetService<Microsoft.Extensions.Options.IConfigureOptions<McpServerOptions>>() is null)
            throw new InvalidOperationException("Call services.AddMcpServer() before MapGuardedMcp.");
        GuardedMcpHost host = services.GetRequiredService<GuardedMcpHost>();
        MetadataEndpoint metadata = services.GetRequiredService<MetadataEndpoint>();
        foreach (string path in metadata.Paths) endpoints.Map(path, metadata.Handle).AllowAnonymous();
        // The guard authenticates; a fallback policy of the application must not do it a second time.
        return endpoints.Map(pattern, host.Handle).AllowAnonymous();
    }

    /// <summary>
    /// Maps <c>/health/live</c> (200 while the process runs) and <c>/health/ready</c>: 200, or 503 with the reasons when calls cannot be
    /// decided or recorded. In developer mode it says <c>development</c>.
    /// </summary>
    public static IEndpointRouteBuilder MapMcpGuardHealth(this IEndpointRouteBuilder endpoints)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        GuardReadiness readiness = Services(endpoints.ServiceProvider).GetRequiredService<GuardReadiness>();
        endpoints.MapGet(Names.Paths.HealthLive, static () => Microsoft.AspNetCore.Http.Results.Ok()).AllowAnonymous();
        endpoints.MapGet(Names.Paths.HealthReady, async context =>
        {
            IReadOnlyList<string> problems = readiness.Problems();
            context.Response.StatusCode = problems.Count == 0 ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
            context.Response.ContentType = "application/json";
            context.Response.Headers.CacheControl = "no-store";
            await using var writer = new Utf8JsonWriter(context.Response.Body);
            writer.WriteStartObject();
            writer.WriteBoolean("ready", problems.Count == 0);
            if (readiness.Development) writer.WriteBoolean("development", true);
            writer.WriteStartArray("problems");
            foreach (string problem in problems) writer.WriteStringValue(problem);
            writer.WriteEndArray();
            writer.WriteEndObject();
        }).AllowAnonymous();
        return endpoints;
    }

    /// <summary>What keeps calls from being decided or recorded right now, in stable words; empty = ready. For a readiness answer of one's own.</summary>
    public static IReadOnlyList<string> GetMcpGuardProblems(this IServiceProvider services)
    {
        ArgumentNullException.ThrowIfNull(services);
        return Services(services).GetRequiredService<GuardReadiness>().Problems();
    }

    /// <summary>Whether the tool server is registered for developer mode: its tools are approved as they are reported, and nobody looks at them.</summary>
    public static bool IsMcpGuardInDevelopment(this IServiceProvider services)
    {
        ArgumentNullException.ThrowIfNull(services);
        return Services(services).GetRequiredService<GuardReadiness>().Development;
    }

    private static IServiceProvider Services(IServiceProvider services) => services.GetService<GuardGate>() is null
        ? throw new InvalidOperationException("Call services.AddMcpGuard() first.") : services;
}
