using McpGuard.Gateway.Configuration;
using McpGuard.Gateway.Upstreams;
using McpGuard.Sdk;
using Microsoft.AspNetCore.Routing.Patterns;
using ModelContextProtocol.Server;

namespace McpGuard.Gateway.Serving;

/// <summary>
/// One upstream with a guard of its own: a host inside the process, so that it shares with the others the listening addresses and the log, and
/// nothing else. Its endpoints are served by the gateway.
/// </summary>
internal sealed class UpstreamHost : IAsyncDisposable
{
    private readonly IHost host;

    public UpstreamHost(GatewayConfiguration gateway, UpstreamConfiguration configuration, ILoggerFactory log)
    {
        Configuration = configuration;
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = AppContext.BaseDirectory });
        var toolSet = new ToolSet();
        builder.Services.AddSingleton<IHostLifetime>(new OfTheGateway()).AddSingleton<ILoggerFactory>(new NamedLog(log, configuration.Name));
        // The gateway waits for each upstream's end as long as it takes to kill it.
        builder.Services.Configure<HostOptions>(o => o.ShutdownTimeout = TimeSpan.FromSeconds(15));
        builder.Services.AddRouting();
        builder.Services.AddMcpServer();
        builder.Services.AddMcpGuard(options =>
        {
            GuardSettings.Apply(options, gateway, configuration);
            options.ToolSet = toolSet;
        });
        builder.Services.AddSingleton(s => new Upstream(configuration, toolSet, s.GetRequiredService<TimeProvider>(), s.GetRequiredService<ILogger<Upstream>>()));
        builder.Services.AddHostedService(s => s.GetRequiredService<Upstream>());
        builder.Services.AddSingleton<Relay>();
        builder.Services.AddOptions<McpServerOptions>().Configure<Relay>((options, relay) => relay.AddTo(options));
        host = builder.Build();
        Upstream = host.Services.GetRequiredService<Upstream>();
    }

    public UpstreamConfiguration Configuration { get; }

    public Upstream Upstream { get; }

    /// <summary>Cancelled when the host stops by itself: its record is damaged, and that is for a person to look at.</summary>
    public CancellationToken Stopped => host.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping;

    /// <summary>Its tools are approved as they are listed, and nobody looks at them.</summary>
    public bool Development => host.Services.IsMcpGuardInDevelopment();

    /// <summary>Stable words; empty = ready.</summary>
    public IReadOnlyList<string> Problems => Upstream.Session is null ? [.. host.Services.GetMcpGuardProblems(), "upstream_down"] : host.Services.GetMcpGuardProblems();

    /// <param name="alone">Whether the metadata may stand at the origin's root too, where some clients look first.</param>
    public IEnumerable<Endpoint> Endpoints(bool alone)
    {
        var routes = new Routes(host.Services);
        routes.MapGuardedMcp(Configuration.Path);
        foreach (RouteEndpoint endpoint in routes.DataSources.SelectMany(s => s.Endpoints).OfType<RouteEndpoint>())
        {
            if (!alone && endpoint.RoutePattern.RawText == McpAuth.Protocol.Names.Paths.ProtectedResource) continue;
            RequestDelegate handle = endpoint.RequestDelegate!;
            yield return new RouteEndpoint(context =>
            {
                context.RequestServices = host.Services;
                return handle(context);
            }, RoutePatternFactory.Parse(endpoint.RoutePattern.RawText!), 0, endpoint.Metadata, endpoint.DisplayName);
        }
    }

    public Task Start(CancellationToken cancellationToken) => host.StartAsync(cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await host.StopAsync();
        host.Dispose();
    }

    private sealed class Routes(IServiceProvider services) : IEndpointRouteBuilder
    {
        public IServiceProvider ServiceProvider => services;

        public ICollection<EndpointDataSource> DataSources { get; } = [];

        public IApplicationBuilder CreateApplicationBuilder() => new ApplicationBuilder(services);
    }

    /// <summary>Signals are the gateway's to hear.</summary>
    private sealed class OfTheGateway : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }

    /// <summary>Says in every line which upstream it is about.</summary>
    private sealed class NamedLog(ILoggerFactory log, string name) : ILoggerFactory
    {
        public ILogger CreateLogger(string categoryName) => log.CreateLogger($"{categoryName}[{name}]");

        public void AddProvider(ILoggerProvider provider) => log.AddProvider(provider);

        public void Dispose()
        {
            // The gateway's to dispose.
        }
    }
}
