using McpAuth.Protocol;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace McpGuard.Sdk.Http;

/// <summary>
/// Which hosts and origins may reach the endpoint (MCP transports: DNS rebinding), and CORS for the browsers among them. Credentials are
/// never allowed: the token travels in a header.
/// </summary>
internal sealed class OriginRules(IOptions<McpGuardOptions> options, ResourceAddress resource)
{
    private const string AllowHeaders = $"Authorization, Content-Type, {Names.Dpop.Header}, {Names.Mcp.ProtocolVersionHeader}, {Names.Mcp.MethodHeader}, {Names.Mcp.NameHeader}";
    private const string ExposeHeaders = $"WWW-Authenticate, {Names.Dpop.Nonce}";

    private readonly HashSet<string> hosts = new(options.Value.AllowedHosts.Append(resource.Uri.Host), StringComparer.OrdinalIgnoreCase);
    private readonly HashSet<string> origins = [.. options.Value.AllowedOrigins, resource.Origin];

    /// <summary>Null, or the reason for 403. Sets the CORS headers of an origin that is allowed, whatever the answer will be.</summary>
    public string? Check(HttpContext context)
    {
        // RFC 9110 §7.2: one Host; more than one never gets this far.
        if (!HostAllowed(context.Request.Host.Host)) return "host_not_allowed";
        if (context.Request.Headers.Origin is not { Count: > 0 } origin) return null;
        if (origin is not [{ Length: > 0 } value] || !OriginAllowed(value)) return "origin_not_allowed";
        IHeaderDictionary headers = context.Response.Headers;
        headers.AccessControlAllowOrigin = value;
        headers.AccessControlExposeHeaders = ExposeHeaders;
        headers.Vary = "Origin";
        return null;
    }

    /// <summary>Answers a preflight; the origin was checked before.</summary>
    public static bool Preflight(HttpContext context, string methods)
    {
        if (!HttpMethods.IsOptions(context.Request.Method)) return false;
        IHeaderDictionary headers = context.Response.Headers;
        headers.AccessControlAllowMethods = methods;
        headers.AccessControlAllowHeaders = Requested(context) is { Length: > 0 } asked ? AllowHeaders + ", " + asked : AllowHeaders;
        headers.AccessControlMaxAge = "600";
        context.Response.StatusCode = StatusCodes.Status204NoContent;
        return true;
    }

    /// <summary><c>Mcp-Param-*</c> names depend on the tools: those asked for are allowed by name, nothing else is.</summary>
    private static string Requested(HttpContext context) => string.Join(", ", context.Request.Headers.AccessControlRequestHeaders.ToString()
        .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
        .Where(h => h.StartsWith(Names.Mcp.ParamHeaderPrefix, StringComparison.OrdinalIgnoreCase) && h.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_')).Take(32));

    private bool HostAllowed(string host) => hosts.Contains(host) || (resource.Loopback && McpGuardOptionsValidator.IsLoopback(host));

    private bool OriginAllowed(string origin) => origins.Contains(origin)
        || (resource.Loopback && Uri.TryCreate(origin, UriKind.Absolute, out Uri? uri) && uri.Scheme is ("http" or "https")
            && McpGuardOptionsValidator.IsLoopback(uri.Host) && uri.GetLeftPart(UriPartial.Authority) == origin);
}
