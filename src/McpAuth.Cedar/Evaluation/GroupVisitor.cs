namespace McpAuth.Cedar.Evaluation;

/// <summary>Tests what the index finds and keeps what came of it.</summary>
internal readonly ref struct GroupVisitor(AuthorizationResponse response)
{
    public void Visit(PolicyGroup group, ref Frame frame)
    {
        if (group.IsInSeveralPlaces && !response.FirstVisit(group)) return;
        switch (group.Test(ref frame))
        {
            case Truth.True: response.Satisfied(group); break;
            case Truth.Failed: response.Failed(group, frame.Failure); break;
        }
    }
}
