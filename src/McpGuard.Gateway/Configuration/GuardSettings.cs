using McpAuth.Protocol;
using McpGuard.Sdk;
using Microsoft.Extensions.Options;

namespace McpGuard.Gateway.Configuration;

/// <summary>The guard's own options of each upstream, and what the guard says about them.</summary>
internal static class GuardSettings
{
    public static void Apply(McpGuardOptions options, GatewayConfiguration gateway, UpstreamConfiguration upstream)
    {
        (options.AuthorizationServer, options.Resource, options.EnrolmentSecret) = (gateway.AuthorizationServer, upstream.Resource, upstream.EnrolmentSecret);
        (options.StateDirectory, options.RequireDpopNonce, options.CertificateHeader) = (upstream.StateDirectory, gateway.RequireDpopNonce, gateway.CertificateHeader);
        Add(options.AllowedHosts, upstream.AllowedHosts);
        Add(options.AllowedOrigins, upstream.AllowedOrigins);
        Add(options.Proxies, gateway.Proxies);
        if (upstream.Scopes is null) return;
        options.Scopes.Clear();
        Add(options.Scopes, upstream.Scopes);
    }

    /// <summary>What would stop the start of a guard, in the words of the guard.</summary>
    public static IEnumerable<Fault> Faults(GatewayConfiguration gateway) => gateway.Upstreams.SelectMany(upstream =>
    {
        var services = new ServiceCollection();
        services.AddMcpGuard(options => Apply(options, gateway, upstream));
        using ServiceProvider provider = services.BuildServiceProvider();
        try
        {
            _ = provider.GetRequiredService<IOptions<McpGuardOptions>>().Value;
            return [];
        }
        catch (OptionsValidationException e)
        {
            return e.Failures.Select(f => new Fault("guard", f, $"$.upstreams.{upstream.Name}")).ToArray();
        }
    });

    private static void Add(IList<string> to, IEnumerable<string> values)
    {
        foreach (string value in values) to.Add(value);
    }
}
