using McpAuthServer.Authorizations;
using McpAuthServer.Pages;
using McpAuthServer.People;
using McpAuthServer.Registry;

namespace McpAuthServer.Consents;

/// <summary>A request as it stands now, for one person.</summary>
/// <param name="Items">What can be left out of it.</param>
/// <param name="Version">Of the registry it was read against.</param>
internal sealed record Pending(AuthorizationRequest Request, IReadOnlyList<ConsentItem> Items, ConsentView View, long Version);

/// <summary>Reads a request, from scratch every time, together with all that a person must know to judge it.</summary>
internal sealed class ConsentReader(AuthorizationRequests requests, DeviceRequests devices, BackchannelRequests backchannel, RegistryCache registry, ConsentStore consents, PersonStore people)
{
    /// <param name="asOf">What "now" means for the request's deadlines.</param>
    /// <returns>What waits for the person's answer; or how else reading ended.</returns>
    public async Task<(Pending? Pending, ReadRequest Read)> ReadAsync(Interaction interaction, SignInSession session, DateTimeOffset asOf, CancellationToken cancel)
    {
        var snapshot = await registry.Current(cancel);
        var read = interaction switch
        {
            { Device: { } device } => await devices.ReadAsync(device, snapshot, asOf, cancel),
            { Backchannel: { } asked } => await backchannel.ReadAsync(asked, session.UserId, snapshot, asOf, cancel),
            _ => await requests.ReadAsync(interaction.Query, snapshot, asOf, cancel),
        };
        if (read is not ReadRequest.Valid { Request: var request })
            return (null, read);
        var before = await consents.FindFor(session.UserId, request, cancel);
        var items = Approval.Items(request.Asked, before, snapshot);
        var owner = request.Asked is Asked.Delegation delegation ? (await people.Find(delegation.Agent.Owner, cancel))?.Name : null;
        return (new Pending(request, items, ConsentView.Of(request, items, owner), snapshot.Version), read);
    }

    /// <summary>The registry was found to have moved on since <paramref name="version"/>.</summary>
    public void Stale(long version) => registry.Invalidate(version);
}
