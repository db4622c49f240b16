using System.Net;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Mcp;
using McpAuth.Cedar.Values;
using McpAuth.Protocol;
using McpGuard.Sdk.Tokens;

namespace McpGuard.Sdk.Policy;

/// <summary>A token's holder as policies see it; made once for a token. Immutable but for the session of the present second.</summary>
internal sealed class PolicyCaller
{
    private readonly McpCaller caller;
    private Present? present;

    public PolicyCaller(ValidatedToken token)
    {
        caller = new()
        {
            Kind = token.SubjectProfile switch { Names.Claims.ProfileUser => McpSubject.User, Names.Claims.ProfileAgent => McpSubject.Agent, _ => McpSubject.Client },
            Subject = token.Subject, Groups = token.Groups, Acr = token.Acr, Authenticated = token.AuthTime,
            Agent = token.Agent is { } agent ? new(agent, token.AgentOwner, token.AgentClass, token.AgentReview) : null,
            Chain = token.Chain.Length > 1 ? token.Chain[1..] : [], Instance = token.Instance, Client = token.ClientId,
            Task = token.Task is { } task ? new(task, token.TaskExpires, token.ParentTask) : null,
            Attestation = token.Assurance is { } assurance ? new(assurance, token.Workload) : null, Scopes = token.Scopes,
        };
        (Principal, Entities, Json) = (caller.Principal, caller.Entities(), RecordedCall.CallerJson(caller));
    }

    public EntityUid Principal { get; }

    public EntityStore Entities { get; }

    /// <summary>For the record of what a decision was made on.</summary>
    public byte[] Json { get; }

    /// <summary><c>context.session</c> at a second: calls of the same second have the same one.</summary>
    public CedarRecord Session(DateTimeOffset second, IPAddress? address, McpApproval? approval)
    {
        if (approval is not null) return caller.Session(second, approval, address);
        if (Volatile.Read(ref present) is { } known && known.Second == second && Equals(known.Address, address)) return known.Session;
        CedarRecord session = caller.Session(second, null, address);
        Volatile.Write(ref present, new(second, address, session));
        return session;
    }

    private sealed record Present(DateTimeOffset Second, IPAddress? Address, CedarRecord Session);
}
