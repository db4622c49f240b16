using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Mcp.ToolHive;

/// <summary>
/// Policies written for ToolHive (<c>cedarv1</c>), unchanged. The principal is <c>Client::"sub"</c> with the claims as attributes <c>claim_…</c>, in a
/// <c>THVGroup</c> for each group of the token; the action is <c>Action::"call_tool"</c>; the resource is <c>Tool::"name"</c>, in <c>MCP::"server"</c>; the
/// arguments are <c>arg_…</c>, of the resource and of the context; the claims are in the context too. As there, every number is a decimal, of an array, object
/// or null only <c>arg_…_present</c> is known, and a policy that fails denies, a permit too. There is no schema. What differs, to the safe side: a number that no
/// decimal holds exactly denies the call where it is read (there it is cut), an argument that stands twice does, and so does a tool that is not registered.
/// </summary>
public static class ToolHiveProfile
{
    internal const string ArgumentPrefix = "arg_";

    private const string CallTool = "call_tool";

    /// <summary>The model of a tool server.</summary>
    /// <param name="server">Its name, for <c>resource in MCP::"name"</c>; null for none.</param>
    /// <returns>Errors where a name is none or stands twice.</returns>
    public static Parsed<ToolServerModel> Model(IEnumerable<ToolHiveTool> tools, string? server = null)
    {
        ArgumentNullException.ThrowIfNull(tools);
        ToolHiveTool[] all = [.. tools];
        if (ToolServerModel.Faults([.. all.Select(t => new McpTool(t.Name, default))]) is { Count: > 0 } faults) return new([.. faults]);
        var action = new Entity(new("Action", CallTool), new([new("operation", Value.Of(CallTool))]), CedarRecord.Empty, [], []);
        EntityUid[] parents = server is null ? [] : [new("MCP", server)];
        var entities = new Dictionary<EntityUid, Entity> { [action.Uid] = action };
        var bindings = new List<ToolBinding>();
        foreach (ToolHiveTool tool in all)
        {
            var resource = new EntityUid("Tool", tool.Name);
            entities[resource] = new(resource, Attributes(tool), CedarRecord.Empty, parents, parents);
            bindings.Add(new(tool.Name, action, resource, ["Client"], ["Tool"], null));
        }
        var layout = new ContextLayout(null, ArgumentPrefix, null, null, FailureDenies: true);
        return new(new ToolServerModel(bindings, layout, new EntityStore(entities), null, []));
    }

    private static CedarRecord Attributes(ToolHiveTool tool)
    {
        var attributes = new List<KeyValuePair<string, Value>>
        {
            new("name", Value.Of(tool.Name)),
            new("operation", Value.Of("call")),
            new("feature", Value.Of("tool")),
        };
        Hint("readOnlyHint", tool.ReadOnly);
        Hint("destructiveHint", tool.Destructive);
        Hint("idempotentHint", tool.Idempotent);
        Hint("openWorldHint", tool.OpenWorld);
        return new(attributes);

        void Hint(string name, bool? value)
        {
            if (value is { } known) attributes.Add(new(name, Value.Of(known)));
        }
    }
}
