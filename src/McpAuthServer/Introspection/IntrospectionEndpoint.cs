using McpAuth.Protocol;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Keys;
using McpAuthServer.Tokens;

namespace McpAuthServer.Introspection;

/// <summary>Introspection (RFC 7662): a tool server asks about a token of its own; about any other it learns only that it is not active.</summary>
internal static class IntrospectionEndpoint
{
    public static IEndpointConventionBuilder MapIntrospectionEndpoint(this IEndpointRouteBuilder routes) => routes.Map(Names.Paths.Introspect, HandleAsync);

    private static async Task<IResult> HandleAsync(
        HttpContext context, Askers askers, SigningKeyRing keys, Issuer issuer, TokenStates states, IntrospectionAnswers answers, TimeProvider time)
    {
        // 1. Who asks (§2.1: the endpoint requires authentication), and about what.
        var (asker, form, error) = await askers.AuthenticateAsync(context);
        if (asker is null)
            return error!;
        if (form![Names.Introspection.Token] is not { } text)
            return await askers.RefuseAsync(asker, OAuthError.InvalidRequest("token is missing."));

        // 2. Ours, unexpired, for the asker (§2.2: otherwise only active:false, with no reason).
        if (!(await OwnToken.ReadAsync(text, keys, issuer, time.GetUtcNow(), context.RequestAborted)).TryGet(out var token, out _))
            return answers.Of(context.Request, asker, null);
        if (token.Audience != asker.Server.Resource)
        {
            // Who asks about what was not sent to them may be probing stolen tokens.
            await askers.RecordAsync(asker, "wrong_audience");
            return answers.Of(context.Request, asker, null);
        }

        // 3. All that it stands on, read from the primary now.
        return answers.Of(context.Request, asker, await states.LivesAsync(token, asker.Registry, context.RequestAborted) ? token : null);
    }
}
