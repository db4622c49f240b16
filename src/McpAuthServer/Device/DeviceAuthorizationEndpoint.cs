using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Audit;
using McpAuthServer.Authorizations;
using McpAuthServer.Http;

namespace McpAuthServer.Device;

/// <summary>Device authorization endpoint (RFC 8628 §3.1): a program without a browser gets a code to show and a code to ask with.</summary>
internal static class DeviceAuthorizationEndpoint
{
    public static IEndpointConventionBuilder MapDeviceAuthorization(this IEndpointRouteBuilder routes) => routes.Map(Names.Paths.DeviceAuthorization, HandleAsync);

    private static async Task<IResult> HandleAsync(
        HttpContext context, ClientRequests clients, DeviceRequests devices, AuditTrail audit, Issuer issuer, TimeProvider time)
    {
        // 1. Who asks, authenticated as at the token endpoint (§3.1). Where a key is proved, no other can ask for the tokens (RFC 9449 §5).
        var (request, error) = await clients.ReadAsync(context, Names.Paths.DeviceAuthorization, AuditTypes.DeviceRefused);
        if (request is null)
            return error!;
        var (form, client) = (request.Form, request.Client);

        // 2. What it asks for. An agent is handed its work at a page that its own program opens.
        if (client.Client is not { AgentId: null } software || !software.GrantTypes.Contains(Names.Device.GrantType))
            return await RefuseAsync(new(Names.Errors.UnauthorizedClient, "The client is not registered for the device grant."));
        if (!AuthorizationRequests.WhatFor(form, software, request.Registry, time.GetUtcNow()).TryGet(out var asked, out var fault))
            return await RefuseAsync(OAuthError.From(fault));

        // 3. One commit.
        var begun = audit.Success(AuditTypes.DeviceBegun) with { Client = client.Id, Resource = (asked as Asked.ByScope)?.Server.Resource };
        var (device, user, replayed) = await devices.BeginAsync(client.Id, AuthorizationRequests.Kept(form, client.Id, null), request.Proof?.Thumbprint, request.Consume, begun);
        if (replayed is not null)
            return OAuthError.Replay(replayed);
        var page = issuer.Value + Names.Paths.Device;
        return Results.Json(
            new DeviceResponse(
                device.Value, user, page, $"{page}?{Names.Device.UserCode}={user}", (int)PolledRequests.Life.TotalSeconds, (int)PolledRequests.Interval.TotalSeconds),
            ProtocolJson.Default.DeviceResponse);

        async Task<IResult> RefuseAsync(OAuthError e) => await clients.RefuseAsync(request, e, AuditTypes.DeviceRefused);
    }
}
