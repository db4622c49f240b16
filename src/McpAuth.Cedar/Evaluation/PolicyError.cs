namespace McpAuth.Cedar.Evaluation;

/// <summary>A policy that could not be evaluated. The sentence is made when it is asked for.</summary>
public readonly struct PolicyError
{
    private readonly Failure failure;

    internal PolicyError(string policyId, Failure failure) => (PolicyId, this.failure) = (policyId, failure);

    public string PolicyId { get; }

    /// <summary>One sentence for a person; names attributes, never values. <see cref="Authorizer.Explain"/> says where.</summary>
    public string Message => failure.ToString();

    public override string ToString() => $"{PolicyId}: {Message}";
}
