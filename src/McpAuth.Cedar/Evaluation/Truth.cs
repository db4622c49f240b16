namespace McpAuth.Cedar.Evaluation;

/// <summary>What a condition comes to. The numbers are those of a truth value's bits.</summary>
internal enum Truth
{
    False = 0,
    True = 1,

    /// <summary>It failed; <see cref="Frame.Failure"/> says how.</summary>
    Failed = 2,
}
