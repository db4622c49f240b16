using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpGuard.Gateway.Configuration;
using McpGuard.Sdk;
using OpenTelemetry.Exporter;
using OpenTelemetry.Metrics;

namespace McpGuard.Gateway.Serving;

/// <summary>The gateway: listens, and serves every upstream's endpoint at its path.</summary>
internal sealed class GatewayHost : IAsyncDisposable
{
    /// <summary>How long a collector that does not answer holds up the end, in milliseconds.</summary>
    private const int LastSending = 2000;

    private readonly WebApplication app;
    private readonly List<UpstreamHost> upstreams = [];
    private readonly MeterProvider? metrics;
    private readonly ExporterLog? exporting;

    /// <param name="log">Null: to the console.</param>
    public GatewayHost(GatewayConfiguration configuration, ILoggerProvider? log = null)
    {
        // Nothing is read but the one configuration file.
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Logging.SetMinimumLevel(configuration.LogLevel).AddFilter("Microsoft", LogLevel.Warning);
        if (log is not null) builder.Logging.AddProvider(log);
        else builder.Logging.AddSimpleConsole(o => o.SingleLine = true);
        builder.WebHost.UseKestrelCore().UseUrls([.. configuration.Listen]);
        if (configuration.Certificate is { } certificate)
        {
            builder.WebHost.UseKestrelHttpsConfiguration();
            builder.WebHost.ConfigureKestrel(k => k.ConfigureHttpsDefaults(https => https.AllowCallerCertificates().ServerCertificate = certificate));
        }
        builder.WebHost.ConfigureKestrel(k => k.AddServerHeader = false);
        builder.Services.AddRoutingCore();
        app = builder.Build();

        ILoggerFactory factory = app.Services.GetRequiredService<ILoggerFactory>();
        // Every guard in the process has its own meter of this name.
        if (configuration.Metrics is { } collector)
        {
            metrics = OpenTelemetry.Sdk.CreateMeterProviderBuilder()
                // Otherwise it would read its own from the environment.
                .ConfigureServices(s => s.AddSingleton<IConfiguration>(new ConfigurationBuilder().Build()))
                .AddMeter(McpGuardMetrics.Meter).AddOtlpExporter(o => (o.Endpoint, o.Protocol) = (collector, OtlpExportProtocol.HttpProtobuf)).Build();
            exporting = new ExporterLog(factory.CreateLogger("McpGuard.Gateway.Metrics"));
        }

        foreach (UpstreamConfiguration upstream in configuration.Upstreams) upstreams.Add(new UpstreamHost(configuration, upstream, factory));
        app.UseRouting();
        ((IEndpointRouteBuilder)app).DataSources.Add(new DefaultEndpointDataSource(upstreams.SelectMany(u => u.Endpoints(alone: upstreams.Count == 1))));
        app.MapGet(Names.Paths.HealthLive, static context => Task.CompletedTask);
        app.MapGet(Names.Paths.HealthReady, context => Ready(context, upstreams));
        app.MapGet(Names.Paths.HealthReady + "/{name}", context =>
            upstreams.Find(u => u.Configuration.Name == (string?)context.Request.RouteValues["name"]) is { } one ? Ready(context, [one]) : NotFound(context));
    }

    public IReadOnlyList<UpstreamHost> Upstreams => upstreams;

    /// <summary>Whether it ended by itself, because of what a person has to look at.</summary>
    public bool Failed { get; private set; }

    public async Task Start(CancellationToken cancellationToken = default)
    {
        foreach (UpstreamHost upstream in upstreams)
        {
            await upstream.Start(cancellationToken);
            upstream.Stopped.Register(() =>
            {
                Failed = true;
                app.Lifetime.StopApplication();
            });
        }
        await app.StartAsync(cancellationToken);
    }

    public Task Ended() => app.WaitForShutdownAsync();

    private static async Task Ready(HttpContext context, IReadOnlyList<UpstreamHost> asked)
    {
        var each = new JsonObject();
        bool ready = true;
        foreach (UpstreamHost upstream in asked)
        {
            IReadOnlyList<string> problems = upstream.Problems;
            ready &= problems.Count == 0;
            each[upstream.Configuration.Name] = new JsonObject { ["ready"] = problems.Count == 0, ["problems"] = new JsonArray([.. problems.Select(p => JsonValue.Create(p))]) };
            if (upstream.Development) each[upstream.Configuration.Name]!["development"] = true;
        }
        context.Response.StatusCode = ready ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        context.Response.ContentType = "application/json";
        context.Response.Headers.CacheControl = "no-store";
        await context.Response.WriteAsync(new JsonObject { ["ready"] = ready, ["upstreams"] = each }.ToJsonString(), context.RequestAborted);
    }

    private static Task NotFound(HttpContext context)
    {
        context.Response.StatusCode = StatusCodes.Status404NotFound;
        return Task.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await app.StopAsync();
        metrics?.Shutdown(LastSending); // sends what is left
        metrics?.Dispose();
        exporting?.Dispose();
        await Task.WhenAll(upstreams.Select(u => u.DisposeAsync().AsTask()));
        await app.DisposeAsync();
    }
}
