using System.ComponentModel;
using System.Net;
using System.Text.Json;
using McpAuth.Protocol;
using McpGuard.Sdk;
using Microsoft.Extensions.Options;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace McpAuth.Bench;

/// <summary>A tool server with one tool that gives back what it got: bare, or guarded with or without delivery of its record.</summary>
internal static class EchoServer
{
    /// <summary>How the echo tool is hosted.</summary>
    internal sealed record Setup(string Address, string Mode, string Issuer, string Secret, string Directory);

    public static async Task RunAsync(Setup setup)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.WebHost.UseUrls(setup.Address);
        builder.Services.AddMcpServer().WithTools<EchoTool>();
        if (setup.Mode != "bare")
            builder.Services.AddMcpGuard(options =>
            {
                options.AuthorizationServer = setup.Issuer;
                options.Resource = setup.Address + "/mcp";
                options.EnrolmentSecret = setup.Secret;
                options.StateDirectory = setup.Directory;
                if (setup.Mode == "spool")
                    options.Backchannel = new WithoutAudit();
            });
        await using var app = builder.Build();
        if (setup.Mode == "bare")
        {
            MapBare(app);
            app.MapGet(Names.Paths.HealthReady, () => "ready");
        }
        else
        {
            app.MapGuardedMcp("/mcp");
            app.MapMcpGuardHealth();
        }
        await app.RunAsync();
    }

    /// <summary>The same stateless hosting with nothing in front of it: the message is read by the SDK and run.</summary>
    private static void MapBare(WebApplication app)
    {
        var logging = app.Services.GetRequiredService<ILoggerFactory>();
        var options = app.Services.GetRequiredService<IOptionsFactory<McpServerOptions>>().Create(Options.DefaultName);
        options.ScopeRequests = false;
        app.MapPost("/mcp", async context =>
        {
            var message = await JsonSerializer.DeserializeAsync(context.Request.Body, (System.Text.Json.Serialization.Metadata.JsonTypeInfo<JsonRpcMessage>)McpJsonUtilities.DefaultOptions.GetTypeInfo(typeof(JsonRpcMessage)));
            message!.Context = new JsonRpcMessageContext { ProtocolVersion = context.Request.Headers[Names.Mcp.ProtocolVersionHeader] };
            await using var transport = new StreamableHttpServerTransport(logging) { Stateless = true };
            await using var server = McpServer.Create(transport, options, logging, context.RequestServices);
            var running = server.RunAsync(context.RequestAborted);
            context.Response.ContentType = "text/event-stream";
            await transport.HandlePostRequestAsync(message, context.Response.Body, null, context.RequestAborted);
            await transport.DisposeAsync();
            await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        });
    }

    [McpServerToolType]
    internal sealed class EchoTool
    {
        [McpServerTool(Name = "echo", ReadOnly = true), Description("Gives back what it got.")]
        public static string Echo(string message) => message;
    }

    /// <summary>A server that takes everything but the record, which therefore stays in the spool.</summary>
    private sealed class WithoutAudit() : DelegatingHandler(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false })
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            request.RequestUri!.AbsolutePath == Names.Paths.GuardAudit
                ? Task.FromResult(new HttpResponseMessage(HttpStatusCode.ServiceUnavailable) { RequestMessage = request })
                : base.SendAsync(request, cancellationToken);
    }
}
