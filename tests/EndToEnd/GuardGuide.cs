using System.ComponentModel;
using System.Text.Json;
using McpGuard.Sdk;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using ModelContextProtocol.Server;

namespace McpAuth.EndToEnd;

/// <summary>The code of docs/guard.md: it stands there as it stands here, and is run from here.</summary>
internal static class GuardGuide
{
    public static WebApplication Hosted(WebApplicationBuilder builder)
    {
        builder.Services.AddMcpServer().WithTools<MarkTools>();
        builder.Services.AddMcpGuard(options =>
        {
            options.AuthorizationServer = builder.Configuration["Guard:AuthorizationServer"]!;
            options.Resource = builder.Configuration["Guard:Resource"]!;
            options.EnrolmentSecret = builder.Configuration["Guard:EnrolmentSecret"]; // once; then the guard has a key of its own
        });
        WebApplication app = builder.Build();
        app.MapGuardedMcp("/mcp");
        app.MapMcpGuardHealth();
        return app;
    }

    public static WebApplication InFront(WebApplicationBuilder builder, RequestDelegate serve)
    {
        builder.Services.AddMcpGuard(options =>
        {
            options.AuthorizationServer = builder.Configuration["Guard:AuthorizationServer"]!;
            options.Resource = builder.Configuration["Guard:Resource"]!;
            options.EnrolmentSecret = builder.Configuration["Guard:EnrolmentSecret"];
            options.Tools.Add(JsonElement.Parse("""{"name": "mark", "description": "Marks, and tells everybody.", "inputSchema": {"type": "object"}}"""));
        });
        WebApplication app = builder.Build();
        app.UseMcpGuard("/mcp");
        app.MapPost("/mcp", serve);
        app.MapMcpGuardHealth();
        return app;
    }
}

[McpServerToolType]
internal sealed class MarkTools
{
    [McpServerTool(Name = "mark", Destructive = false), Description("Marks.")]
    public static string Mark() => "marked";
}
