using McpAuth.Protocol;
using McpAuthServer.Attestation;
using McpAuthServer.Delegation;
using McpAuthServer.Http;

namespace McpAuthServer.Grants;

/// <summary>
/// What a platform says of a program, as a grant (RFC 7523 §2.1): the program is attested as an instance of its agent and gets the token of a task of its own,
/// in one step and one commit.
/// </summary>
internal sealed class WorkloadGrant(OwnWork work, InstanceStore instances)
{
    public async Task<GrantResult> EstablishAsync(TokenRequest request, CancellationToken cancel)
    {
        var evidence = request.Evidence!; // the endpoint lets nobody else come here
        if (request.Registry.Agents.GetValueOrDefault(evidence.Agent) is not { Active: true } agent)
            return new OAuthError(Names.Errors.UnauthorizedClient, "The agent is not active.", Reason: Names.Reasons.AgentSuspended);
        if (request.Proof is not { } proof)
            return OAuthError.InvalidProof(new Fault("missing", "Evidence belongs to a key: a DPoP proof by the program's own is needed."));
        var attesting = new Attesting(evidence, proof.Thumbprint, proof.Jwk, request.Now);
        var id = await instances.FindByKey(agent.Id, proof.Thumbprint, request.Now, cancel) ?? Id.New(Id.Instance, request.Now);
        var instance = new InstanceContext(id, proof.Thumbprint, evidence.Workload, evidence.Assurance, attesting.Expires);
        var planned = await work.PlanAsync(request, agent, instance, Names.Assertions.JwtBearer, cancel);
        return planned is GrantResult.Issue issue ? issue with { Plan = issue.Plan with { Attests = attesting } } : planned;
    }
}
