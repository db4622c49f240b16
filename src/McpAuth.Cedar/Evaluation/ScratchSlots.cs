namespace McpAuth.Cedar.Evaluation;

/// <summary>The slots of the decision that this thread is making, so that a decision allocates none. Nothing a decision calls decides itself.</summary>
internal static class ScratchSlots
{
    private const int Fewest = 32;

    [ThreadStatic]
    private static Slot[]? all;

    /// <summary>So many, all unknown. Whoever takes them clears them: what a thread keeps must not keep a request alive.</summary>
    public static Span<Slot> Take(int count)
    {
        Slot[]? kept = all;
        if (kept is null || kept.Length < count) all = kept = new Slot[Math.Max(Fewest, count)];
        return kept.AsSpan(0, count);
    }
}
