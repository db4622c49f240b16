using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Mcp;

/// <summary>
/// A tool server in Cedar's terms: what its tools are called as actions, which groups they are in, and where the arguments of a call stand. Immutable; when the
/// tools change, make another one. <see cref="Create"/> makes ours; the profiles make those of other products, whose policies then need no change.
/// </summary>
public sealed partial class ToolServerModel
{
    private readonly Dictionary<string, ToolBinding> tools;

    internal ToolServerModel(IEnumerable<ToolBinding> tools, ContextLayout layout, EntityStore entities, CedarSchema? schema, IReadOnlyList<Diagnostic> notes)
    {
        this.tools = tools.ToDictionary(t => t.Name, StringComparer.Ordinal);
        Tools = [.. this.tools.Keys.Where(name => name is not (ReadResource or GetPrompt or GiveApproval))];
        Layout = layout;
        Entities = entities;
        Schema = schema;
        Notes = notes;
    }

    /// <summary>What policies for this tool server are validated against; null for a product that has no schema.</summary>
    public CedarSchema? Schema { get; }

    /// <summary>The actions, each in its groups. Decisions find them by themselves; a store for <c>Authorizer</c> needs them in it.</summary>
    public EntityStore Entities { get; }

    /// <summary>Which arguments have no Cedar type, so that policies cannot read them: the tool with the path in its schema, and why.</summary>
    public IReadOnlyList<Diagnostic> Notes { get; }

    public IReadOnlyCollection<string> Tools { get; }

    internal ContextLayout Layout { get; }

    internal IEnumerable<ToolBinding> Bindings => tools.Values;

    /// <summary>The action that calling a tool is; null for a tool that is not among these.</summary>
    public EntityUid? ActionOf(string tool) => tools.TryGetValue(tool, out ToolBinding? found) ? found.Action.Uid : null;

    internal ToolBinding? Find(string tool) => tools.GetValueOrDefault(tool);
}

/// <summary>A tool, and what a call of it is to policies.</summary>
/// <param name="Action">With the groups it is in.</param>
/// <param name="Resource">Where the tool is the resource; null where the caller says what is.</param>
/// <param name="Principals">The types a principal may have.</param>
/// <param name="Resources">The types a resource may have.</param>
/// <param name="Input">The arguments' type; null where they have no schema and each is what its JSON says.</param>
internal sealed record ToolBinding(string Name, Entity Action, EntityUid? Resource, string[] Principals, string[] Resources, RecordType? Input);

/// <summary>Where a call stands in the context.</summary>
/// <param name="Input">The attribute that is the record of the arguments; null where each argument is an attribute of its own.</param>
/// <param name="Prefix">Before the name of each argument, where each is an attribute of its own.</param>
/// <param name="Session">The attribute that is the session; null where the session's attributes are the context's.</param>
/// <param name="SessionType">Null where anything is taken.</param>
/// <param name="FailureDenies">Whether a policy that fails denies, a permit too.</param>
internal sealed record ContextLayout(string? Input, string Prefix, string? Session, RecordType? SessionType, bool FailureDenies = false);
