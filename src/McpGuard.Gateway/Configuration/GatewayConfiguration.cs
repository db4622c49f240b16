using System.Security.Cryptography.X509Certificates;

namespace McpGuard.Gateway.Configuration;

/// <summary>What the configuration file says, read and checked.</summary>
/// <param name="Certificate">For https; null when the gateway listens on http alone.</param>
/// <param name="Metrics">Where a collector takes them by OTLP over HTTP; null: nowhere.</param>
internal sealed record GatewayConfiguration(
    IReadOnlyList<string> Listen, X509Certificate2? Certificate, string AuthorizationServer, IReadOnlyList<string> Proxies, string? CertificateHeader, bool RequireDpopNonce,
    LogLevel LogLevel, Uri? Metrics, IReadOnlyList<UpstreamConfiguration> Upstreams);

/// <summary>One tool server behind the gateway.</summary>
/// <param name="Name">In logs and health answers.</param>
/// <param name="Path">Where it is served; the resource's path unless the file says otherwise.</param>
/// <param name="EnrolmentSecret">Null when its source is empty: it is needed once only.</param>
internal sealed record UpstreamConfiguration(
    string Name, string Resource, string Path, string? EnrolmentSecret, string StateDirectory, StdioConfiguration? Stdio, HttpConfiguration? Http, UpstreamLimits Limits,
    IReadOnlyList<string>? Scopes, IReadOnlyList<string> AllowedHosts, IReadOnlyList<string> AllowedOrigins)
{
    /// <summary>What must not stand in a log, whoever writes it there.</summary>
    public IReadOnlyList<string> Secrets => [.. new[] { EnrolmentSecret }.Concat(Stdio?.Secrets ?? []).Concat(Http?.Headers.Values ?? []).OfType<string>().Where(s => s.Length > 3)];
}

/// <param name="Environment">All variables of the process.</param>
/// <param name="Secrets">Those values among them that do not stand in the file.</param>
internal sealed record StdioConfiguration(
    string Command, IReadOnlyList<string> Arguments, string WorkingDirectory, IReadOnlyDictionary<string, string> Environment, IReadOnlyList<string> Secrets);

/// <param name="Headers">Go with every request: the upstream's own credential. Never anything of a caller's.</param>
internal sealed record HttpConfiguration(Uri Url, IReadOnlyDictionary<string, string> Headers);

internal sealed record UpstreamLimits
{
    /// <summary>How long one request may take.</summary>
    public TimeSpan Call { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>How many requests may be with the upstream at once; one more is refused.</summary>
    public int ConcurrentCalls { get; init; } = 64;

    /// <summary>The largest message that is taken from the upstream.</summary>
    public int ResultBytes { get; init; } = 4 << 20;

    /// <summary>The longest pause before it is started again.</summary>
    public TimeSpan Restart { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How often its tools are listed, also when it says nothing of a change.</summary>
    public TimeSpan Relist { get; init; } = TimeSpan.FromSeconds(60);
}
