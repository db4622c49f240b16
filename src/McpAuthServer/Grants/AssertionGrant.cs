using McpAuth.Protocol;

namespace McpAuthServer.Grants;

/// <summary>
/// RFC 7523 §2.1, with the two kinds of assertions that are taken: what a platform says of a program, which comes alone, and what an identity provider says of a
/// person, which comes with its client's credential. They are told apart before the client is known; each has issuers of its own.
/// </summary>
internal sealed class AssertionGrant(WorkloadGrant workloads, IdentityAssertionGrant people) : IGrant
{
    public string Type => Names.Assertions.JwtBearer;

    public Task<GrantResult> EstablishAsync(TokenRequest request, CancellationToken cancel) =>
        request.Evidence is null ? people.EstablishAsync(request, cancel) : workloads.EstablishAsync(request, cancel);
}
