using McpGuard.Sdk.Audit;
using McpGuard.Sdk.Calls;
using McpGuard.Sdk.Connection;
using McpGuard.Sdk.DecisionPoints;
using McpGuard.Sdk.Downstream;
using McpGuard.Sdk.Hosting;
using McpGuard.Sdk.Http;
using McpGuard.Sdk.Policy;
using McpGuard.Sdk.Revocation;
using McpGuard.Sdk.Tokens;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace McpGuard.Sdk;

/// <summary>Registers the guard of a tool server.</summary>
public static class McpGuardServiceCollectionExtensions
{
    /// <summary>
    /// Adds the guard. It decides nothing until an endpoint is put behind it with <c>MapGuardedMcp</c> or <c>UseMcpGuard</c>. Options are
    /// validated when the host starts.
    /// </summary>
    public static IServiceCollection AddMcpGuard(this IServiceCollection services, Action<McpGuardOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configure);
        services.AddOptions<McpGuardOptions>().Configure(configure).ValidateOnStart();
        if (services.Any(s => s.ServiceType == typeof(GuardGate))) return services;

        services.AddSingleton<IValidateOptions<McpGuardOptions>, McpGuardOptionsValidator>();
        services.TryAddSingleton(TimeProvider.System);

        services.AddSingleton<StateDirectory>();
        services.AddSingleton<GuardConnection>();
        services.AddSingleton(s => new IssuerKeys(
            async ct => await (await s.GetRequiredService<GuardConnection>().Channel(ct)).Keys(ct), s.GetRequiredService<TimeProvider>(), s.GetRequiredService<ILogger<IssuerKeys>>()));
        services.AddSingleton(s => new DenyTable(s.GetRequiredService<TimeProvider>()));
        services.AddSingleton<RevocationFeed>();
        services.AddSingleton<LiveCalls>();

        services.AddSingleton(s => new Spool(
            s.GetRequiredService<TimeProvider>(), s.GetRequiredService<ILogger<Spool>>(), s.GetRequiredService<IOptions<McpGuardOptions>>().Value.SpoolLimit));
        services.AddSingleton<AuditDelivery>();
        services.AddSingleton<RefusalLog>();

        services.AddSingleton<PolicySource>();
        services.AddSingleton<PolicyDecisions>();
        services.AddSingleton<AllDecisionPoints>();
        services.AddSingleton<ToolDefinitions>();
        services.AddSingleton<ToolCatalogue>();
        services.AddSingleton<CallBudgets>();
        services.AddSingleton<CallRates>();
        services.AddSingleton<Approvals>();
        services.AddSingleton<CallRules>();
        services.AddSingleton<ItemRules>();
        services.AddSingleton<ListRules>();
        services.AddSingleton<CallDecider>();

        services.AddSingleton<RunningCalls>();
        services.AddSingleton<IDownstreamTokens, DownstreamTokens>();

        services.AddSingleton<ResourceAddress>();
        services.AddSingleton<OriginRules>();
        services.AddSingleton<RequestCertificate>();
        services.AddSingleton<Authentication>();
        services.AddSingleton<MetadataEndpoint>();
        services.AddSingleton<GuardGate>();
        services.AddSingleton<GuardedMcpHost>();

        services.AddSingleton<GuardReadiness>();
        services.AddMetrics();
        services.AddSingleton<GuardMetrics>();
        services.AddHostedService<GuardWorker>();
        return services;
    }
}
