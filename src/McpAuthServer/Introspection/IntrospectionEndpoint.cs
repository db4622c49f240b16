using System.Buffers;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuthServer.Delegation;
using McpAuthServer.Http;
using McpAuthServer.Keys;
using McpAuthServer.Tokens;

namespace McpAuthServer.Introspection;

/// <summary>Introspection (RFC 7662): a guard asks about a token of its own tool server; about any other it learns only that it is not active.</summary>
internal static class IntrospectionEndpoint
{
    private static readonly byte[] Inactive = "{\"active\":false}"u8.ToArray();

    public static IEndpointConventionBuilder MapIntrospectionEndpoint(this IEndpointRouteBuilder routes) => routes.MapPost(Names.Paths.Introspect, HandleAsync);

    private static async Task<IResult> HandleAsync(
        HttpContext context, GuardCallers callers, SigningKeyRing keys, Issuer issuer, TokenStates states, TimeProvider time)
    {
        // 1. Who asks (§2.1: the endpoint requires authentication).
        var (caller, error) = await callers.AuthenticateAsync(context, Names.Paths.Introspect);
        if (caller is null)
            return error!;
        var (form, invalid) = await StrictBody.FormAsync(context.Request);
        if (form is null)
            return invalid!;
        if (form["token"] is not { } text)
            return OAuthError.InvalidRequest("token is missing.");

        // 2. Ours, unexpired, for the asker (§2.2: otherwise only active:false, with no reason).
        if (!(await OwnToken.ReadAsync(text, keys, issuer, time.GetUtcNow(), context.RequestAborted)).TryGet(out var token, out _))
            return Results.Bytes(Inactive, "application/json");
        if (token.Audience != caller.Server.Resource)
        {
            // A guard that asks about what was not sent to it may be probing stolen tokens.
            await callers.RecordAsync(caller, "wrong_audience");
            return Results.Bytes(Inactive, "application/json");
        }

        // 3. All that it stands on, read from the primary now.
        return await states.LivesAsync(token, caller.Registry, context.RequestAborted)
            ? Results.Bytes(Active(token), "application/json")
            : Results.Bytes(Inactive, "application/json");
    }

    private static byte[] Active(OwnToken token)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteBoolean("active", true);
            json.WriteString("token_type", token.Thumbprint is null ? Names.OAuth.Bearer : Names.Dpop.Scheme);
            foreach (var claim in token.Jwt.Payload.EnumerateObject())
                claim.WriteTo(json);
            json.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }
}
