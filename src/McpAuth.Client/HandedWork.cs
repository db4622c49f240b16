using McpAuth.Protocol.Messages;

namespace McpAuth.Client;

/// <summary>Takes up work that somebody else handed to this agent: a person, or another agent.</summary>
internal sealed class HandedWork(AgentSession session)
{
    /// <summary>What a person's answer opens: a delegation, and that, with the instance as actor, the first token of its task.</summary>
    /// <param name="redeem">Asks for the delegation.</param>
    /// <param name="resumableFor">What the person was told the task is for, where another instance could go on with it; else null.</param>
    public async Task<AgentTask> Redeem(Func<Task<(AccessToken Token, TokenResponse Answer)>> redeem, string? resumableFor, CancellationToken cancellationToken)
    {
        // A session that cannot go on shall not cost the answer.
        await session.Attested.Token(cancellationToken);
        (AccessToken delegation, TokenResponse answer) = await redeem();
        if (TaskMember.FirstLocation(answer.AuthorizationDetails) is not { } resource || !ServerAddress.IsResource(resource))
            throw ServerConnection.Senseless("what the person handed over names no tool server");
        string? details = resumableFor is null ? null : TaskMember.ResumableDetails(answer.AuthorizationDetails!.Value, resource, resumableFor);
        return await TakeUp(delegation.Value, resource, details, cancellationToken);
    }

    /// <summary>RFC 8693 §2.1, with this instance as the actor.</summary>
    public Task<AgentTask> TakeUp(string subjectToken, string resource, string? authorizationDetails, CancellationToken cancellationToken) =>
        session.Attested.Present(async own =>
        {
            (AccessToken token, TokenResponse answer) = await session.Tokens.Exchange(subjectToken, own, resource, authorizationDetails, cancellationToken);
            if (TaskMember.IdIn(answer.AuthorizationDetails) is not { } id) throw ServerConnection.Senseless("the token names no task");
            TaskView view = await session.Tasks.Show(id, cancellationToken);
            return new AgentTask(session, view, new TokenLine(session.Tokens, resource, token, answer.RefreshToken));
        }, cancellationToken);
}
