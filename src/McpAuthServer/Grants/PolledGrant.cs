using McpAuth.Protocol;
using McpAuthServer.Authorizations;
using McpAuthServer.Http;
using McpAuthServer.Tokens;

namespace McpAuthServer.Grants;

/// <summary>A client asks, again and again, whether a person who is elsewhere has answered (RFC 8628 §3.4, CIBA §10.1).</summary>
/// <param name="parameter">What it asks with.</param>
internal abstract class PolledGrant(string type, string parameter, PolledTable table, PolledRequests requests, CodeStore codes, CodeRedemption redemption) : IGrant
{
    /// <summary>RFC 8628 §3.5, CIBA §11: also when the person has allowed it, and the client asks too late.</summary>
    public static OAuthError Expired { get; } = new(Names.Device.ExpiredToken, "The request is expired; begin again.");

    public string Type => type;

    public async Task<GrantResult> EstablishAsync(TokenRequest request, CancellationToken cancel)
    {
        if (request.Form[parameter] is not { } presented)
            return OAuthError.InvalidRequest($"{parameter} is missing.");
        var hash = OpaqueToken.HashOf(presented);

        // 1. Its owner's, with the key that began it. Another client's is not told apart from none.
        if (await requests.FindAsync(table, hash, cancel) is not { } waits || waits.ClientId != request.Client.Id)
            return Unknown();
        if (waits.Thumbprint is { } key && request.Proof?.Thumbprint != key)
            return OAuthError.InvalidProof(new Fault(request.Proof is null ? "missing" : "wrong_key", $"The {parameter} is bound to another key."));

        // 2. Not before the person has answered.
        var (outcome, replayed) = await requests.PollAsync(table, hash, request.Client.Id, request.Consume);
        switch (outcome)
        {
            case PollOutcome.Pending:
                return new GrantResult.Wait(new(Names.Device.AuthorizationPending, "The person has not answered yet."));
            case PollOutcome.TooSoon:
                return new GrantResult.Wait(new(Names.Errors.SlowDown, "Ask five seconds less often."));
            case PollOutcome.Denied:
                return new GrantResult.Wait(new(Names.Errors.AccessDenied, "The person did not allow it."));
            case PollOutcome.Expired:
                return new GrantResult.Wait(Expired);
            case PollOutcome.Replayed:
                return new GrantResult.Wait(OAuthError.Replay(replayed!));
        }

        // 3. What they answered.
        return await codes.Find(hash, cancel) is { } code ? await redemption.RedeemAsync(request, code, Type, cancel) : Unknown();
    }

    private OAuthError Unknown() => OAuthError.InvalidGrant($"The {parameter} is unknown.", "unknown_code");
}

/// <summary>RFC 8628 §3.4.</summary>
internal sealed class DeviceCodeGrant(PolledRequests requests, CodeStore codes, CodeRedemption redemption)
    : PolledGrant(Names.Device.GrantType, Names.Device.Code, PolledTable.Devices, requests, codes, redemption);

/// <summary>CIBA §10.1: an agent gets what the person handed to it.</summary>
internal sealed class CibaGrant(PolledRequests requests, CodeStore codes, CodeRedemption redemption)
    : PolledGrant(Names.Ciba.GrantType, Names.Ciba.RequestId, PolledTable.Backchannel, requests, codes, redemption);
