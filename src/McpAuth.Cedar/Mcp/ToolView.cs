using System.Text.Json;
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
    public abstract string? Fill(ReadOnlySpan<byte> arguments, CedarRecord session, ArgumentTexts texts, Span<Slot> slots, out CedarRecord context);

    /// <summary>Fills slots as far as they are known before there is a call; what the arguments and a person's approval will tell is marked as not known yet.</summary>
    /// <param name="withArguments">The arguments have been filled in: only the approval is not known.</param>
    /// <returns>False where a policy reads so much as a whole that nothing can be said.</returns>
    public abstract bool Foresee(CedarRecord session, Span<Slot> slots, bool withArguments);

    /// <summary>Copies the parts of the arguments that are read, each as it stands. What is only asked to be there keeps its place and not its value.</summary>
    public abstract void CopyRead(ReadOnlySpan<byte> arguments, Utf8JsonWriter to);

    /// <summary>The context as far as it is read, of slots that <see cref="Fill"/> filled: for people.</summary>
    public abstract CedarRecord Context(CedarRecord session, ReadOnlySpan<Slot> slots, CedarRecord filled);

    public static ToolView Of(ToolBinding tool, ContextLayout layout, ContextPaths paths, ContextReads reads) => layout.Input is null
        ? new LooseView(tool, layout, paths, reads)
        : new TypedView(tool, layout, paths, reads);
}
