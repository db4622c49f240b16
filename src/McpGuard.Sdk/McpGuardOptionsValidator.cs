using System.Net;
using McpAuth.Protocol.Certificates;
using McpAuth.Protocol.Network;
using Microsoft.Extensions.Options;

namespace McpGuard.Sdk;

internal sealed class McpGuardOptionsValidator : IValidateOptions<McpGuardOptions>
{
    public static readonly TimeSpan LongestGrace = TimeSpan.FromSeconds(60), LongestPoint = TimeSpan.FromSeconds(2);
    private const long SmallestSpool = 16L << 20;

    public ValidateOptionsResult Validate(string? name, McpGuardOptions options)
    {
        var wrong = new List<string>();
        Address(options.AuthorizationServer, nameof(options.AuthorizationServer), wrong);
        Address(options.Resource, nameof(options.Resource), wrong);
        if (options.StaleReadGrace < TimeSpan.Zero || options.StaleReadGrace > LongestGrace)
            wrong.Add($"{nameof(options.StaleReadGrace)} must be between zero and {LongestGrace.TotalSeconds:0} seconds.");
        if (!Enum.IsDefined(options.RecordDurability)) wrong.Add($"{nameof(options.RecordDurability)} is not a known value.");
        if (options.SpoolLimit < SmallestSpool) wrong.Add($"{nameof(options.SpoolLimit)} must be at least {SmallestSpool} bytes.");
        if (options.Scopes.Contains(McpAuth.Protocol.Names.Scopes.OfflineAccess))
            wrong.Add($"{nameof(options.Scopes)} must not name {McpAuth.Protocol.Names.Scopes.OfflineAccess}: it means nothing to a resource.");
        if (options.Scopes.Any(s => s.Length == 0 || s.Any(c => c is <= ' ' or > '~' or '"' or '\\')))
            wrong.Add($"{nameof(options.Scopes)} holds a value that is no scope (RFC 6749 §3.3).");
        foreach (string origin in options.AllowedOrigins)
        {
            if (!Uri.TryCreate(origin, UriKind.Absolute, out Uri? uri) || uri.GetLeftPart(UriPartial.Authority) != origin)
                wrong.Add($"{nameof(options.AllowedOrigins)}: '{origin}' is not an origin such as https://app.example.");
        }
        foreach (string proxy in options.Proxies)
        {
            if (!TrustedProxies.TryParse(proxy, out _, out string why)) wrong.Add($"{nameof(options.Proxies)}: '{proxy}' {why}.");
        }
        if (options.CertificateHeader is { } header && !CertificateSource.IsHeaderName(header)) wrong.Add($"{nameof(options.CertificateHeader)}: '{header}' is not the name of a header.");
        if (options.CertificateHeader is null != (options.Proxies.Count == 0))
            wrong.Add($"{nameof(options.CertificateHeader)} and {nameof(options.Proxies)} go together: what is read, and from whom it is believed.");
        Points(options.DecisionPoints, wrong);
        options.Limits.Validate(wrong);
        return wrong.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(wrong);
    }

    /// <summary>RFC 8414 §2 for the issuer, RFC 8707 §2 and RFC 9728 §1.2 for the resource: absolute, https, no query, no fragment.</summary>
    private static void Address(string value, string member, List<string> wrong)
    {
        if (!Uri.TryCreate(value, UriKind.Absolute, out Uri? uri) || uri.Scheme is not ("https" or "http"))
            wrong.Add($"{member} must be an absolute https URL.");
        else if (uri.Scheme == "http" && !IsLoopback(uri.Host))
            wrong.Add($"{member} must be https; http is for loopback addresses only.");
        else if (uri.Query.Length > 0 || uri.Fragment.Length > 0 || uri.UserInfo.Length > 0 || value.Contains('#') || value.Contains('?'))
            wrong.Add($"{member} must have no query, fragment or user information.");
    }

    private static void Points(IList<AuthZenDecisionPoint> points, List<string> wrong)
    {
        foreach (AuthZenDecisionPoint point in points)
        {
            string which = $"{nameof(McpGuardOptions.DecisionPoints)}: '{point.Name}'";
            if (point.Name.Length is 0 or > 64 || !point.Name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-')) wrong.Add($"{which} is not a name of 1 to 64 of A-Z a-z 0-9 . _ -.");
            else if (points.Count(p => p.Name == point.Name) > 1) wrong.Add($"{which} stands more than once.");
            Address(point.Endpoint.IsAbsoluteUri ? point.Endpoint.AbsoluteUri : point.Endpoint.OriginalString, $"{which}: the endpoint", wrong);
            if (point.Timeout <= TimeSpan.Zero || point.Timeout > LongestPoint) wrong.Add($"{which}: the timeout must be more than zero and at most {LongestPoint.TotalSeconds:0} seconds.");
            if (FollowsRedirects(point.Handler)) wrong.Add($"{which}: the handler must not follow redirects.");
        }
    }

    private static bool FollowsRedirects(HttpMessageHandler? handler) => handler switch
    {
        SocketsHttpHandler sockets => sockets.AllowAutoRedirect,
        HttpClientHandler client => client.AllowAutoRedirect,
        DelegatingHandler delegating => FollowsRedirects(delegating.InnerHandler),
        _ => false,
    };

    internal static bool IsLoopback(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || (IPAddress.TryParse(host.Trim('[', ']'), out IPAddress? ip) && IPAddress.IsLoopback(ip));
}
