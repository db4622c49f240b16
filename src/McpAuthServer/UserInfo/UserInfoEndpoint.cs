using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuthServer.Authorizations;
using McpAuthServer.People;

namespace McpAuthServer.UserInfo;

/// <summary>UserInfo (OpenID Connect Core §5.3): what a person lets a program know of them, as it stands now.</summary>
internal static class UserInfoEndpoint
{
    public static IEndpointConventionBuilder MapUserInfoEndpoint(this IEndpointRouteBuilder routes) =>
        routes.MapMethods(Names.Paths.UserInfo, [HttpMethods.Get, HttpMethods.Post], HandleAsync);

    private static async Task<IResult> HandleAsync(HttpContext context, IdentityCallers callers, PersonStore people)
    {
        // 1. Who asks, and about whom (§5.3.1).
        var (token, error) = await callers.AuthenticateAsync(context);
        if (token is null)
            return error!;

        // 2. No more than the token's words, which the person can only take back together with the token (§5.3.2).
        var (words, person) = (ScopeWords.Split(token.Scope), await people.Find(token.Subject, context.RequestAborted));
        return Results.Json(
            new UserInfoResponse(token.Subject, words.Contains(Names.Scopes.Profile) ? person?.Name : null, words.Contains(Names.Scopes.Email) ? person?.Email : null),
            ProtocolJson.Default.UserInfoResponse);
    }
}
