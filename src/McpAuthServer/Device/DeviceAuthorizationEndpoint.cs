using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Audit;
using McpAuthServer.Authorizations;
using McpAuthServer.Http;
using McpAuthServer.Registry;
using McpAuthServer.Storage;

namespace McpAuthServer.Device;

/// <summary>Device authorization endpoint (RFC 8628 §3.1): a program without a browser gets a code to show and a code to ask with.</summary>
internal static class DeviceAuthorizationEndpoint
{
    private static readonly HashSet<string> Repeatable = [Names.Resources.Resource];

    public static IEndpointConventionBuilder MapDeviceAuthorization(this IEndpointRouteBuilder routes) => routes.Map(Names.Paths.DeviceAuthorization, HandleAsync);

    private static async Task<IResult> HandleAsync(
        HttpContext context, RegistryCache registry, ClientCallers clients, DeviceRequests devices, ProofReader proofs, AuditTrail audit, Issuer issuer, TimeProvider time)
    {
        // 1. Parse once, and authenticate as at the token endpoint (§3.1).
        var (form, error) = await StrictBody.FormAsync(context.Request, Repeatable, maxFields: 64);
        if (form is null)
            return await RefuseAsync(error!, null, []);
        var snapshot = await registry.Current(context.RequestAborted);
        (var client, error) = await clients.AuthenticateAsync(context, form, snapshot, anew: true);
        if (client is null)
            return error!;
        List<Once> consume = client.Assertion is { } once ? [once] : [];

        // 2. The key that will ask, where one is proved: then no other can (RFC 9449 §5).
        (var proof, error) = proofs.ReadOffered(context, Names.Paths.DeviceAuthorization);
        if (error is not null)
            return await RefuseAsync(error, client.Id, error.AsksForNonce ? [] : consume);
        if (proof is not null)
            consume.Add(Once.Proof(proof));

        // 3. What it asks for. An agent is handed its work at a page that its own program opens.
        if (client.Client is not { AgentId: null } software || !software.GrantTypes.Contains(Names.Device.GrantType))
            return await RefuseAsync(new(Names.Errors.UnauthorizedClient, "The client is not registered for the device grant."), client.Id, consume);
        if (!AuthorizationRequests.WhatFor(form, software, snapshot, time.GetUtcNow()).TryGet(out var asked, out var fault))
            return await RefuseAsync(OAuthError.From(fault), client.Id, consume);

        // 4. One commit.
        var begun = audit.Success(AuditTypes.DeviceBegun) with { Client = client.Id, Resource = (asked as Asked.ByScope)?.Server.Resource };
        var (device, user, replayed) = await devices.BeginAsync(client.Id, AuthorizationRequests.Kept(form, client.Id, null), proof?.Thumbprint, consume, begun);
        if (replayed is not null)
            return OAuthError.Replay(replayed);
        var page = issuer.Value + Names.Paths.Device;
        return Results.Json(
            new DeviceResponse(
                device.Value, user, page, $"{page}?{Names.Device.UserCode}={user}", (int)DeviceRequests.Life.TotalSeconds, (int)DeviceRequests.Interval.TotalSeconds),
            ProtocolJson.Default.DeviceResponse);

        async Task<IResult> RefuseAsync(OAuthError e, string? by, IReadOnlyList<Once> consumed) =>
            await audit.RefuseAsync(audit.Refusal(AuditTypes.DeviceRefused, e.Reason ?? e.Code) with { Client = by }, consumed) is { } space ? OAuthError.Replay(space) : e;
    }
}
