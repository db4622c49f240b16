using System.Text.Json;
using McpAuth.Protocol;
using McpAuthServer.Audit;
using McpAuthServer.Clients;
using McpAuthServer.Clients.Documents;
using McpAuthServer.Clients.Registrations;
using McpAuthServer.Http;
using McpAuthServer.Registry;

namespace McpAuthServer.Registration;

/// <summary>Dynamic client registration management (RFC 7592): a client reads, replaces or deletes its own registration.</summary>
internal static class ManagementEndpoint
{
    /// <summary>§2.2: a client must not send back what only the server says.</summary>
    private static readonly string[] ServersOwn =
        [Names.Registration.AccessToken, Names.Registration.ClientUri, Names.Registration.SecretExpiresAt, Names.Registration.IssuedAt];

    public static IEndpointConventionBuilder MapRegistrationManagement(this IEndpointRouteBuilder routes) => routes.Map(Names.Paths.Register + "/{id}", HandleAsync);

    private static async Task<IResult> HandleAsync(HttpContext context, string id, RegistrationDesk desk, FetchPolicy policy, Issuer issuer, AuditTrail audit)
    {
        // 1. Whose it is. A client that is gone is not told apart from a wrong token (§2.1).
        var (registration, known) = await desk.OpenAsync(id, RegistrationAccess.Token(context.Request) ?? "", context.RequestAborted);
        if (registration is null)
            return await audit.RefuseAsync(context, known ? id : null);

        switch (context.Request.Method)
        {
            case "GET":
                return new RegistrationAnswer(registration, issuer, StatusCodes.Status200OK);
            case "DELETE":
                await desk.DeleteAsync(registration);
                return Results.NoContent();
            case "PUT":
                var (metadata, error) = await ReadAsync(context.Request, registration.Client, policy);
                if (metadata is null)
                    return await audit.RefuseAsync(error!, id);
                return await desk.ChangeAsync(registration, metadata) is { } changed
                    ? new RegistrationAnswer(changed, issuer, StatusCodes.Status200OK)
                    : new OAuthError(Names.Errors.TemporarilyUnavailable, "The registration is changing just now.", StatusCodes.Status503ServiceUnavailable);
            default:
                return await audit.RefuseAsync(
                    new OAuthError(Names.Errors.InvalidRequest, "The method must be GET, PUT or DELETE.", StatusCodes.Status405MethodNotAllowed, "method_not_allowed")
                    {
                        Allow = "GET, PUT, DELETE",
                    }, id);
        }
    }

    /// <summary>§2.2: the whole of what is to be registered; what it leaves out is as if it had never been said.</summary>
    private static async Task<(ClientMetadata? Metadata, OAuthError? Error)> ReadAsync(HttpRequest request, ClientRecord client, FetchPolicy policy)
    {
        OAuthError Wrong(string member, string why) => OAuthError.From(new(Names.Registration.InvalidMetadata, why, member));

        var (json, error) = await RegistrationEndpoint.BodyAsync(request);
        if (error is not null)
            return (null, error);
        if (json.ValueKind == JsonValueKind.Object)
        {
            if (!json.TryGetProperty(Names.OAuth.ClientId, out var id) || id.ValueKind != JsonValueKind.String || id.GetString() != client.Id)
                return (null, Wrong(Names.OAuth.ClientId, "It must be the client's."));
            if (Array.Find(ServersOwn, member => json.TryGetProperty(member, out _)) is { } own)
                return (null, Wrong(own, "Only the server says it."));
            // A client does not choose its secret.
            if (json.TryGetProperty(Names.OAuth.ClientSecret, out var secret)
                && (secret.ValueKind != JsonValueKind.String || McpAuth.Protocol.Jose.Base64Url.Sha256(secret.GetString()!) != client.SecretHash))
                return (null, Wrong(Names.OAuth.ClientSecret, "It must be the client's."));
        }
        return RegistrationEndpoint.Read(json, policy);
    }
}
