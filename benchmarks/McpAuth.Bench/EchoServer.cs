using System.ComponentModel;
using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using McpAuth.Protocol;
using McpGuard.Sdk;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Options;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace McpAuth.Bench;

/// <summary>A tool server whose tools give back what they got: bare, or guarded with or without delivery of its record.</summary>
internal static class EchoServer
{
    /// <summary>How the echo tool is hosted.</summary>
    internal sealed record Setup(string Address, string Mode, string Issuer, string Secret, string Directory);

    public static async Task RunAsync(Setup setup)
    {
        var builder = WebApplication.CreateSlimBuilder();
        // Two lines a call, of the MCP SDK, would be what is measured.
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls(setup.Address);
        builder.Services.AddMcpServer().WithTools<EchoTool>();
        if (setup.Mode is not ("bare" or "least"))
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
        if (setup.Mode is "bare" or "least")
        {
            if (setup.Mode == "bare")
                MapBare(app);
            else
                MapLeast(app);
            app.MapGet(Names.Paths.HealthReady, () => "ready");
        }
        else
        {
            app.MapGuardedMcp("/mcp");
            app.MapMcpGuardHealth();
        }
        await app.RunAsync();
    }

    /// <summary>
    /// Stateless hosting as the MCP SDK's own package for ASP.NET Core does it for each request: both media types accepted, headers held against the body, options made anew, a session
    /// of its own that is closed when the answer is there, the status chosen by the first message, nothing buffered.
    /// </summary>
    private static void MapBare(WebApplication app)
    {
        var logging = app.Services.GetRequiredService<ILoggerFactory>();
        var factory = app.Services.GetRequiredService<IOptionsFactory<McpServerOptions>>();
        app.MapPost("/mcp", async context =>
        {
            var accepted = context.Request.GetTypedHeaders().Accept;
            if (!accepted.Any(a => a.MatchesMediaType("application/json")) || !accepted.Any(a => a.MatchesMediaType("text/event-stream")))
            {
                context.Response.StatusCode = StatusCodes.Status406NotAcceptable;
                return;
            }
            var message = await context.Request.ReadFromJsonAsync(MessageType, context.RequestAborted);
            var version = context.Request.Headers[Names.Mcp.ProtocolVersionHeader].ToString();
            if (message is not JsonRpcRequest { Params: JsonObject parameters } request || version != Names.Mcp.V20260728 || !Agrees(context.Request.Headers, request, parameters, version))
            {
                context.Response.StatusCode = StatusCodes.Status400BadRequest;
                return;
            }
            request.Context = new JsonRpcMessageContext { ProtocolVersion = version, User = context.User };
            var options = factory.Create(Options.DefaultName);
            options.ScopeRequests = false;
            await using var transport = new StreamableHttpServerTransport(logging) { Stateless = true };
            await using var server = McpServer.Create(transport, options, logging, context.RequestServices);
            context.Features.Set(server);
            using var closed = new CancellationTokenSource();
            var running = server.RunAsync(closed.Token);
            (context.Response.ContentType, context.Response.Headers.CacheControl, context.Response.Headers.ContentEncoding) = ("text/event-stream", "no-cache,no-store", "identity");
            context.Response.Headers["X-Accel-Buffering"] = "no";
            context.Features.GetRequiredFeature<IHttpResponseBodyFeature>().DisableBuffering();
            await transport.HandlePostRequestAsync(
                request, context.Response.Body,
                first =>
                {
                    if (first is JsonRpcError && !context.Response.HasStarted)
                        context.Response.StatusCode = StatusCodes.Status400BadRequest;
                    return default;
                },
                context.RequestAborted);
            await transport.DisposeAsync();
            await closed.CancelAsync();
            await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        });
    }

    private static bool Agrees(IHeaderDictionary headers, JsonRpcRequest request, JsonObject parameters, string version) =>
        headers[Names.Mcp.MethodHeader] == request.Method && headers[Names.Mcp.NameHeader] == (string?)parameters["name"]
        && parameters["_meta"] is JsonObject meta && (string?)meta["io.modelcontextprotocol/protocolVersion"] == version
        && meta["io.modelcontextprotocol/clientCapabilities"] is JsonObject;

    /// <summary>The least that runs a tool by the MCP SDK: the message is read and run, and nothing is looked at.</summary>
    private static void MapLeast(WebApplication app)
    {
        var logging = app.Services.GetRequiredService<ILoggerFactory>();
        var options = app.Services.GetRequiredService<IOptionsFactory<McpServerOptions>>().Create(Options.DefaultName);
        options.ScopeRequests = false;
        app.MapPost("/mcp", async context =>
        {
            var message = await JsonSerializer.DeserializeAsync(context.Request.Body, MessageType);
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

    private static JsonTypeInfo<JsonRpcMessage> MessageType => (JsonTypeInfo<JsonRpcMessage>)McpJsonUtilities.DefaultOptions.GetTypeInfo(typeof(JsonRpcMessage));

    [McpServerToolType]
    internal sealed class EchoTool
    {
        [McpServerTool(Name = "echo", ReadOnly = true), Description("Gives back what it got.")]
        public static string Echo(string message) => message;

        [McpServerTool(Name = "erase", Destructive = true), Description("Gives back what it got, and is treated as what can destroy.")]
        public static string Erase(string message) => message;
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
