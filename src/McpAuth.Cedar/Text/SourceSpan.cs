namespace McpAuth.Cedar.Text;

/// <summary>A range of a text, in UTF-16 code units from its start. <c>default</c> means: from no text (JSON, or made by a program).</summary>
public readonly record struct SourceSpan(int Start, int Length)
{
    public int End => Start + Length;

    /// <summary>From the start of this to the end of <paramref name="last"/>.</summary>
    public SourceSpan To(SourceSpan last) => new(Start, last.End - Start);
}
