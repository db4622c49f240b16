using System.Text.Json;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Mcp;

/// <summary>A tool whose arguments are a record of the context, typed by the tool's schema.</summary>
internal sealed class TypedView : ToolView
{
    private readonly ContextLayout layout;
    private readonly WantedPart wanted;
    private readonly int session, input, approval;
    private readonly bool readsSession;

    public TypedView(ToolBinding tool, ContextLayout layout, ContextPaths paths, ContextReads reads)
        : base(tool, reads)
    {
        this.layout = layout;
        session = layout.Session is null ? -1 : paths.Find(layout.Session);
        approval = session < 0 ? -1 : paths.Find(ToolServerModel.Approval, session);
        readsSession = session >= 0 && reads.Values.Contains(session);
        input = paths.Find(layout.Input!);
        wanted = (IsWhole || input < 0 ? null : WantedPart.Of(paths, reads, input, tool.Input!)) ?? WantedPart.Root(tool.Input!, IsWhole);
    }

    public override string? Fill(ReadOnlySpan<byte> arguments, CedarRecord session, ArgumentTexts texts, Span<Slot> slots, out CedarRecord context)
    {
        context = layout.Session is null ? session : CedarRecord.Empty;
        if (!IsWhole)
        {
            if (this.session >= 0) slots[this.session].Found(Value.Of(session));
            return new ArgumentReader(texts, slots).Read(arguments, wanted);
        }
        string? fault = new ArgumentReader(texts, slots).Read(arguments, wanted, out Value input);
        if (fault is not null) return fault;
        context = Context(input, session);
        return null;
    }

    public override bool Foresee(CedarRecord session, Span<Slot> slots, bool withArguments)
    {
        if (IsWhole || readsSession) return false;
        if (this.session >= 0) slots[this.session].Found(Value.Of(session));
        if (approval >= 0) slots[approval].Failed(new(FailureCode.NotYetKnown, ToolServerModel.Approval));
        if (input >= 0 && !withArguments) slots[input].Failed(new(FailureCode.NotYetKnown, layout.Input!));
        return true;
    }

    public override void CopyRead(ReadOnlySpan<byte> arguments, Utf8JsonWriter to) => wanted.Copy(arguments, to);

    public override CedarRecord Context(CedarRecord session, ReadOnlySpan<Slot> slots, CedarRecord filled)
    {
        if (IsWhole) return filled;
        return Context(wanted.Path < 0 ? Value.Of(CedarRecord.Empty) : wanted.ValueIn(slots), session);
    }

    private CedarRecord Context(Value input, CedarRecord session) => new(layout.Session is null
        ? session.Append(new(layout.Input!, input))
        : [new(layout.Input!, input), new(layout.Session, Value.Of(session))]);
}
