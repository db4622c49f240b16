using System.Text;
using System.Text.Json;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Mcp;

/// <summary>A tool without a schema for its arguments: each that is no array and no object is an attribute of the context, of the type its JSON has.</summary>
internal sealed class LooseView : ToolView
{
    private readonly LooseLayout layout;

    public LooseView(ToolBinding tool, ContextLayout layout, ContextPaths paths, ContextReads reads)
        : base(tool, reads)
    {
        var wanted = new List<LooseArgument>();
        foreach (int path in reads.Values.Concat(reads.Presences).Distinct())
        {
            int top = path;
            while (paths[top].Parent >= 0) top = paths[top].Parent;
            string name = paths[top].Name;
            if (name.StartsWith(layout.Prefix, StringComparison.Ordinal) && !wanted.Exists(w => w.Path == top)) wanted.Add(new(name, layout.Prefix, top));
        }
        this.layout = new(layout.Prefix, [.. wanted]);
    }

    public override string? Fill(ReadOnlySpan<byte> arguments, CedarRecord session, ArgumentTexts texts, Span<Slot> slots, out CedarRecord context)
    {
        context = session;
        if (!IsWhole) return new LooseArgumentReader(texts).Read(arguments, layout, slots);
        string? fault = new LooseArgumentReader(texts).ReadAll(arguments, layout.Prefix, out Dictionary<string, Value>? all);
        if (fault is not null) return fault;
        context = new(session.Concat(all!.Where(a => !a.Value.IsNone)));
        return null;
    }

    public override bool Foresee(CedarRecord session, Span<Slot> slots, bool withArguments)
    {
        if (IsWhole) return false;
        if (withArguments) return true;
        foreach (LooseArgument argument in layout.Wanted) slots[argument.Path].Failed(new(FailureCode.NotYetKnown, argument.Attribute));
        return true;
    }

    /// <summary>All of them: whether one is read depends on the names of the others.</summary>
    public override void CopyRead(ReadOnlySpan<byte> arguments, Utf8JsonWriter to) => to.WriteRawValue(arguments.IsEmpty ? "{}"u8 : arguments);

    public override CedarRecord Context(CedarRecord session, ReadOnlySpan<Slot> slots, CedarRecord filled)
    {
        if (IsWhole) return filled;
        var attributes = new List<KeyValuePair<string, Value>>(session);
        foreach (LooseArgument argument in layout.Wanted)
            if (slots[argument.Path].State == SlotState.Present) attributes.Add(new(argument.Attribute, slots[argument.Path].Value));
        return new(attributes);
    }
}

/// <param name="Wanted">The arguments that the policies of one tool read.</param>
internal sealed record LooseLayout(string Prefix, LooseArgument[] Wanted);

/// <summary>An attribute <c>arg_x</c> that policies read: the argument <c>x</c>; or <c>arg_x_present</c>: whether an argument <c>x</c> is there that has no type.</summary>
internal sealed class LooseArgument
{
    private const string Present = "_present";

    public LooseArgument(string attribute, string prefix, int path)
    {
        Attribute = attribute;
        Path = path;
        Name = attribute[prefix.Length..];
        Utf8Name = Encoding.UTF8.GetBytes(Name);
        if (Name.EndsWith(Present, StringComparison.Ordinal)) MarkedName = Name[..^Present.Length];
        Utf8MarkedName = MarkedName is null ? null : Encoding.UTF8.GetBytes(MarkedName);
    }

    public string Attribute { get; }

    /// <summary>Its number in <see cref="ContextPaths"/>.</summary>
    public int Path { get; }

    /// <summary>The argument whose value it is.</summary>
    public string Name { get; }

    public byte[] Utf8Name { get; }

    /// <summary>The argument whose presence it tells; null when its name tells none.</summary>
    public string? MarkedName { get; }

    public byte[]? Utf8MarkedName { get; }

    /// <summary>The attribute that tells that an argument of this attribute's name is there.</summary>
    public static string MarkOf(string attribute) => attribute + Present;
}
