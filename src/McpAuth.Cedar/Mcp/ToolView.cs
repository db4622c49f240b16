using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Mcp;

/// <summary>One tool, prepared for decisions: which parts of a call the policies of its action read.</summary>
internal abstract class ToolView
{
    private protected ToolView(ToolBinding tool, ContextReads reads)
    {
        Tool = tool;
        IsWhole = reads.All;
    }

    public ToolBinding Tool { get; }

    /// <summary>Whether a policy reads the context as a whole; then all of it is made.</summary>
    protected bool IsWhole { get; }

    /// <summary>Fills slots, or makes the context where it is read as a whole.</summary>
    /// <param name="context">What a path that has no slot yet is looked up in.</param>
    /// <returns>Null, or what is wrong with the arguments.</returns>
    public abstract string? Fill(ReadOnlySpan<byte> arguments, CedarRecord session, JsonText texts, Span<Slot> slots, out CedarRecord context);

    /// <summary>The context as far as it is read, of slots that <see cref="Fill"/> filled: for people.</summary>
    public abstract CedarRecord Context(CedarRecord session, ReadOnlySpan<Slot> slots, CedarRecord filled);

    public static ToolView Of(ToolBinding tool, ContextLayout layout, ContextPaths paths, ContextReads reads) => layout.Input is null
        ? new LooseView(tool, layout, paths, reads)
        : new TypedView(tool, layout, paths, reads);
}
