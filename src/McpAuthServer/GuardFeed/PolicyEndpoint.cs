using System.Globalization;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuthServer.Http;
using McpAuthServer.Keys;
using McpAuthServer.Policies;
using McpAuthServer.Registry;

namespace McpAuthServer.GuardFeed;

/// <summary><c>GET /guard/policy</c>: what decides calls at the guard's tool server, signed for it.</summary>
internal static class PolicyEndpoint
{
    /// <summary>A guard that is cut off goes on with what it has no longer than this.</summary>
    private static readonly TimeSpan Life = TimeSpan.FromHours(24);

    public static void MapPolicyEndpoint(this IEndpointRouteBuilder routes) => routes.MapGet(Names.Paths.GuardPolicy, HandleAsync);

    private static async Task<IResult> HandleAsync(
        HttpContext context, GuardCallers callers, RegistryCache registry, RegistryReader reader, PolicyDirectory directory, PolicyReleases releases, PolicyKey key, Issuer issuer, TimeProvider time)
    {
        var (caller, error) = await callers.AuthenticateAsync(context, Names.Paths.GuardPolicy);
        if (caller is null)
            return error!;

        // 1. The release of what is registered at this moment, and its number: another node may have told the guard that there is something new.
        var (server, snapshot) = (caller.Server, caller.Registry);
        CompiledRelease release;
        long? number = null;
        do
        {
            if (await reader.Version(context.RequestAborted) != snapshot.Version)
            {
                registry.Invalidate(snapshot.Version);
                snapshot = await registry.Current(context.RequestAborted);
                if (snapshot.ToolServers.GetValueOrDefault(server.Id) is not { Active: true } now)
                    return await callers.RefuseAsync(caller, TokenPresenter.Refuse("The guard or its tool server is not active.", "guard_inactive"));
                server = now;
            }
            release = directory.Of(server);
            number = await releases.NumberAsync(server.Id, release, snapshot.Version, context.RequestAborted);
        }
        while (number is null);

        // 2. Nothing new (RFC 9110 §13.1.2): the number of the manifest is part of it, so that a guard knows up to when what it has holds.
        var tag = string.Create(CultureInfo.InvariantCulture, $"\"{number}.{server.Manifest}\"");
        context.Response.Headers.ETag = tag;
        if (context.Request.Headers.IfNoneMatch is [{ } seen] && seen == tag)
            return Results.StatusCode(StatusCodes.Status304NotModified);

        // 3. Signed for this tool server alone.
        var at = time.GetUtcNow();
        var signed = key.Value.Sign(Names.Types.Policy, json =>
        {
            json.WriteString(Names.Claims.Iss, issuer.Value);
            json.WriteString(Names.Claims.Aud, server.Resource);
            json.WriteNumber(Names.Claims.Iat, at.ToUnixTimeSeconds());
            json.WriteNumber(Names.Claims.Exp, (at + Life).ToUnixTimeSeconds());
            json.WriteNumber(PolicyClaims.Version, number.Value);
            json.WriteNumber(PolicyClaims.Manifest, server.Manifest);
            json.WriteString(PolicyClaims.Hash, release.Hash);
        });
        return Results.Json(new PolicyResponse(signed, release.Body), ProtocolJson.Default.PolicyResponse);
    }
}
