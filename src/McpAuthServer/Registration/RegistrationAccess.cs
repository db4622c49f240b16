using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuthServer.Audit;
using McpAuthServer.Http;

namespace McpAuthServer.Registration;

/// <summary>The bearer tokens of registration (RFC 7591 §3, RFC 7592 §2), and the record of refusals.</summary>
internal static class RegistrationAccess
{
    private const string Scheme = "Bearer ";

    private static OAuthError Refused { get; } = new(Names.Errors.InvalidToken, "The token is missing or is not for this.", StatusCodes.Status401Unauthorized);

    public static string? Token(HttpRequest request) =>
        request.Headers.Authorization is [{ } header] && header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) ? header[Scheme.Length..].Trim() : null;

    /// <summary>The same, for whoever came with a wrong token or none.</summary>
    public static Task<IResult> RefuseAsync(this AuditTrail audit, HttpContext context, string? client)
    {
        RequestLimits.Failed(context);
        if (context.Request.Headers.Authorization.Count > 1)
            return audit.RefuseAsync(OAuthError.InvalidRequest(OAuthError.TwoTokens) with { Challenge = Scheme + "error=\"invalid_request\"" }, client);
        // RFC 6750 §3: a parameter in any case; §3.1: an error only where a token came.
        var told = Token(context.Request) is null ? "realm=\"registration\"" : "error=\"invalid_token\"";
        return audit.RefuseAsync(Refused with { Challenge = Scheme + told }, client);
    }

    /// <param name="client">Whose registration it was about, when there is one.</param>
    public static async Task<IResult> RefuseAsync(this AuditTrail audit, OAuthError error, string? client)
    {
        await audit.RefuseAsync(audit.Refusal(AuditTypes.RegistrationRefused, error.Reason ?? error.Code) with { Client = client }, []);
        return error;
    }
}
