using McpAuth.Protocol;
using McpAuthServer.Authorizations;
using McpAuthServer.Http;
using McpAuthServer.Storage;
using McpAuthServer.Tokens;

namespace McpAuthServer.Grants;

/// <summary>RFC 8628 §3.4: a device asks, again and again, whether the person has answered.</summary>
internal sealed class DeviceCodeGrant(DeviceRequests devices, CodeStore codes, CodeRedemption redemption) : IGrant
{
    /// <summary>§3.5: also when the person has allowed it, and the device asks too late.</summary>
    public static OAuthError Expired { get; } = new(Names.Device.ExpiredToken, "The device code is expired; begin again.");

    public string Type => Names.Device.GrantType;

    public async Task<GrantResult> EstablishAsync(TokenRequest request, CancellationToken cancel)
    {
        if (request.Form[Names.Device.Code] is not { } presented)
            return OAuthError.InvalidRequest("device_code is missing.");
        var hash = OpaqueToken.HashOf(presented);

        // 1. Its owner's, with the key that began it. Another client's code is not told apart from none.
        if (await devices.FindAsync(hash, cancel) is not { } device || device.ClientId != request.Client.Id)
            return OAuthError.InvalidGrant("The device code is unknown.", "unknown_code");
        if (device.Thumbprint is { } key && request.Proof?.Thumbprint != key)
            return OAuthError.InvalidProof(new Fault(request.Proof is null ? "missing" : "wrong_key", "The device code is bound to another key."));

        // 2. Not before the person has answered.
        switch (await devices.PollAsync(hash, request.Client.Id, request.Consume))
        {
            case DevicePoll.Pending:
                return new GrantResult.Wait(new(Names.Device.AuthorizationPending, "The person has not answered yet."));
            case DevicePoll.TooSoon:
                return new GrantResult.Wait(new(Names.Errors.SlowDown, "Ask five seconds less often."));
            case DevicePoll.Denied:
                return new GrantResult.Wait(new(Names.Errors.AccessDenied, "The person did not allow it."));
            case DevicePoll.Expired:
                return new GrantResult.Wait(Expired);
            case DevicePoll.Replayed:
                return new GrantResult.Wait(OAuthError.Replay(request.Client.Assertion is null ? Once.ProofSpace : Once.AssertionSpace));
        }

        // 3. What they answered.
        return await codes.Find(hash, cancel) is { } code
            ? await redemption.RedeemAsync(request, code, Type, cancel)
            : OAuthError.InvalidGrant("The device code is unknown.", "unknown_code");
    }
}
