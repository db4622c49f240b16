using System.Collections.Immutable;
using System.Text.Json;

namespace McpAuth.Protocol.ToolCalls;

/// <summary>The authority at one tool server.</summary>
public sealed class LocationAuthority
{
    private readonly ImmutableSortedSet<string> actions, prompts;
    private readonly ImmutableSortedDictionary<string, ToolAuthority> tools;
    private readonly ImmutableArray<Constraint> resources;

    internal LocationAuthority(string location, ImmutableSortedSet<string> actions, ImmutableSortedDictionary<string, ToolAuthority> tools,
        ImmutableArray<Constraint> resources, ImmutableSortedSet<string> prompts)
    {
        Location = location;
        this.actions = actions.WithComparer(StringComparer.Ordinal);
        this.tools = tools;
        this.resources = resources;
        this.prompts = prompts.WithComparer(StringComparer.Ordinal);
    }

    public string Location { get; }

    /// <summary>MCP methods, e.g. <c>tools/call</c>; empty allows none.</summary>
    public IReadOnlySet<string> Actions => actions;

    /// <summary>By tool name, in ordinal order; empty grants none.</summary>
    public IReadOnlyDictionary<string, ToolAuthority> Tools => tools;

    /// <summary>Constraints on resource URIs, any of which may admit one; empty grants none.</summary>
    public IReadOnlyList<Constraint> Resources => resources;

    public IReadOnlySet<string> Prompts => prompts;

    internal LocationAuthority OnlyTools(Func<string, bool> keep, bool alone) => new(
        Location, actions, tools.RemoveRange(tools.Keys.Where(name => !keep(name))), alone ? [] : resources, alone ? [] : prompts);

    internal LocationAuthority Keeping(Func<string, string, bool> tool, Func<string, bool> resource, Func<string, string, bool> prompt) => new(
        Location, actions, tools.RemoveRange(tools.Keys.Where(name => !tool(Location, name))), resource(Location) ? resources : [],
        prompts.Where(name => prompt(Location, name)).ToImmutableSortedSet());

    internal Fault? Exceeds(LocationAuthority parent, JsonPath path)
    {
        if (!actions.IsSubsetOf(parent.actions))
            return Grammar.Exceeds(path.Member(Grammar.Actions), "An action is not among the parent's.");
        foreach (var (name, tool) in tools)
        {
            var at = path.Member(Grammar.Tools).Member(name);
            if (!parent.tools.TryGetValue(name, out var above))
                return Grammar.Exceeds(at, "The tool is not among the parent's.");
            if (tool.Exceeds(above, at) is { } fault)
                return fault;
        }
        for (var i = 0; i < resources.Length; i++)
        {
            if (!parent.resources.Any(resources[i].IsWithin))
                return Grammar.Exceeds(path.Member(Grammar.Resources).Index(i), "The resources are not within any of the parent's.");
        }
        return prompts.IsSubsetOf(parent.prompts) ? null : Grammar.Exceeds(path.Member(Grammar.Prompts), "A prompt is not among the parent's.");
    }

    internal void Write(Utf8JsonWriter writer, string? taskId)
    {
        writer.WriteStartObject();
        writer.WriteString(Grammar.Type, Names.Resources.McpToolCall);
        Grammar.WriteStrings(writer, Grammar.Locations, [Location]);
        if (!actions.IsEmpty)
            Grammar.WriteStrings(writer, Grammar.Actions, actions);
        if (!tools.IsEmpty)
        {
            writer.WriteStartObject(Grammar.Tools);
            foreach (var (name, tool) in tools)
            {
                writer.WritePropertyName(name);
                tool.Write(writer);
            }
            writer.WriteEndObject();
        }
        if (!resources.IsEmpty)
        {
            writer.WriteStartArray(Grammar.Resources);
            foreach (var resource in resources)
                resource.Write(writer);
            writer.WriteEndArray();
        }
        if (!prompts.IsEmpty)
            Grammar.WriteStrings(writer, Grammar.Prompts, prompts);
        if (taskId is not null)
        {
            writer.WriteStartObject(Grammar.Task);
            writer.WriteString(Grammar.Id, taskId);
            writer.WriteEndObject();
        }
        writer.WriteEndObject();
    }
}
