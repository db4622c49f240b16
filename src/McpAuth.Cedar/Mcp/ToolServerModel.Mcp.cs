using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Mcp;

public sealed partial class ToolServerModel
{
    /// <summary>The attribute of the context that holds the arguments.</summary>
    internal const string Input = "input";

    /// <summary>The attribute of the context that says who calls, for whom, and within what.</summary>
    internal const string Session = "session";

    /// <summary>The attribute of the session that is a person's yes.</summary>
    internal const string Approval = "approval";

    /// <summary>What reading a resource is called, where a tool's name stands: its one argument is <c>uri</c>. No tool can be called so.</summary>
    public const string ReadResource = "resource:read";

    /// <summary>What getting a prompt is called, where a tool's name stands: its one argument is <c>name</c>. No tool can be called so.</summary>
    public const string GetPrompt = "prompt:get";

    /// <summary>
    /// What a person's yes to a call is called; see <see cref="McpApprovers"/>. Its arguments are <c>tool</c> and <c>sensitivity</c>, the principal is the person, the
    /// session that of whoever wants to call. No tool can be called so.
    /// </summary>
    public const string GiveApproval = "approval:give";

    /// <summary>
    /// The model of a tool server: <c>Mcp::Action::"name"</c> for each tool, in the groups <c>"tools:all"</c>, <c>"sensitivity:read"</c> (or <c>write</c>,
    /// <c>destructive</c>) and <c>"class:…"</c>; principals are <c>Mcp::User</c>, <c>Mcp::Agent</c> or <c>Mcp::Client</c>, the resource is an <c>Mcp::Server</c>, the
    /// context <c>{ input, session }</c>. <see cref="ReadResource"/> and <see cref="GetPrompt"/> are among the actions, as things that are read.
    /// </summary>
    /// <returns>Errors where a name is none or stands twice.</returns>
    public static Parsed<ToolServerModel> Create(IEnumerable<McpTool> tools)
    {
        ArgumentNullException.ThrowIfNull(tools);
        McpTool[] all = [.. tools];
        if (Faults(all) is { Count: > 0 } faults) return new(faults);
        var notes = new List<Diagnostic>();
        Parsed<CedarSchema> read = McpSchema.Of(all, notes);
        if (!read.TryGet(out CedarSchema? schema)) return new(read.Diagnostics);
        return new(Of(schema, all.Select(t => t.Name).Concat([ReadResource, GetPrompt, GiveApproval]).Select(name => (name, McpSchema.Action(name))), Session, notes));
    }

    /// <summary>What no model can be made of.</summary>
    internal static List<Diagnostic> Faults(IReadOnlyList<McpTool> tools)
    {
        var faults = new List<Diagnostic>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (McpTool tool in tools)
        {
            if (faults.Count >= Limits.Errors) break;
            if (!McpTool.IsName(tool.Name)) faults.Add(new("tool_name", $"`{Shown(tool.Name)}` is no tool name.", Help: "letters, digits, `_`, `.`, `/` and `-`, at most 128"));
            else if (!names.Add(tool.Name)) faults.Add(new("duplicate_tool", $"The tool `{tool.Name}` stands twice."));
            if (tool.Class is { } name && !McpTool.IsName(name)) faults.Add(new("tool_class", $"`{Shown(name)}` is no name of a class.", Path: Shown(tool.Name)));
        }
        return faults;
    }

    /// <summary>The model of a schema whose actions have the arguments at <c>context.input</c>.</summary>
    internal static ToolServerModel Of(CedarSchema schema, IEnumerable<(string Tool, EntityUid Action)> tools, string? session, IReadOnlyList<Diagnostic> notes)
    {
        EntityStore actions = EntityStore.Of([], schema).Value;
        RecordType? sessionType = null;
        var bindings = new List<ToolBinding>();
        foreach ((string tool, EntityUid action) in tools)
        {
            ActionDeclaration declared = schema.Actions[action];
            if (session is not null) sessionType = (RecordType)declared.Context.Attributes[session].Type;
            bindings.Add(new(tool, actions.Find(action)!, null, [.. declared.Principals], [.. declared.Resources], (RecordType)declared.Context.Attributes[Input].Type));
        }
        var layout = new ContextLayout(Input, "", session, sessionType ?? RecordType.Empty);
        return new(bindings, layout, actions, schema, notes);
    }

    private static string Shown(string name) => name.Length <= 64 ? name : string.Concat(name.AsSpan(0, 64), "…");
}
