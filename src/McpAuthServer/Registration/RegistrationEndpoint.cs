using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuthServer.Audit;
using McpAuthServer.Clients;
using McpAuthServer.Clients.Documents;
using McpAuthServer.Clients.Registrations;
using McpAuthServer.Http;
using McpAuthServer.Registry;
using McpAuthServer.Tokens;

namespace McpAuthServer.Registration;

/// <summary>Dynamic client registration (RFC 7591 §3). Nobody vouches for such a client: it gets nothing but by a person's leave.</summary>
internal static class RegistrationEndpoint
{
    /// <summary>More than any client has to say; lists are bounded as well.</summary>
    public const int MaxBody = 16 * 1024;

    public static IEndpointConventionBuilder MapRegistration(this IEndpointRouteBuilder routes) => routes.Map(Names.Paths.Register, HandleAsync);

    private static async Task<IResult> HandleAsync(HttpContext context, RegistrationDesk desk, FetchPolicy policy, ServerOptions options, Issuer issuer, AuditTrail audit)
    {
        // 1. Who may (§3): anybody, or who has the operator's token.
        if (!HttpMethods.IsPost(context.Request.Method))
            return await audit.RefuseAsync(OAuthError.NotPost, null);
        if (options.DynamicRegistration.InitialAccessTokenHash is { Length: > 0 } hash && !IsRight(RegistrationAccess.Token(context.Request), hash))
            return await audit.RefuseAsync(context, null);

        // 2. What it says of itself (§2, §3.1).
        var (json, error) = await BodyAsync(context.Request);
        if (error is not null)
            return await audit.RefuseAsync(error, null);
        (var metadata, error) = Read(json, policy);
        if (metadata is null)
            return await audit.RefuseAsync(error!, null);

        // 3. One commit, and all that is registered (§3.2.1).
        return await desk.RegisterAsync(metadata) is { } registration
            ? new RegistrationAnswer(registration, issuer, StatusCodes.Status201Created)
            : new OAuthError(Names.Errors.TemporarilyUnavailable, "No more clients can be registered now.", StatusCodes.Status503ServiceUnavailable);
    }

    /// <summary>A body; its errors are those of §3.2.2.</summary>
    public static async Task<(JsonElement Json, OAuthError? Error)> BodyAsync(HttpRequest request)
    {
        var (json, error) = await StrictBody.JsonAsync(request, MaxBody);
        return (json, error is null ? null : error with { Code = Names.Registration.InvalidMetadata, Reason = null });
    }

    public static (ClientMetadata? Metadata, OAuthError? Error) Read(JsonElement json, FetchPolicy policy) =>
        ClientMetadataReader.Read(json, ClientOrigin.Dynamic, policy).TryGet(out var metadata, out var fault) ? (metadata, null) : (null, OAuthError.From(fault));

    private static bool IsRight(string? token, string hash) =>
        token is not null && CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(hash), Encoding.ASCII.GetBytes(OpaqueToken.HashOf(token)));
}
