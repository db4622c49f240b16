using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using System.Text.Json;

namespace McpAuth.Protocol.ToolCalls;

/// <summary>
/// A set of (tool server, tool, argument constraints): the parsed form of <c>authorization_details</c> of type <c>mcp_tool_call</c>
/// (RFC 9396 §2), one entry per location. Immutable.
/// </summary>
public sealed class Authority
{
    private readonly ImmutableArray<LocationAuthority> locations;

    internal Authority(ImmutableArray<LocationAuthority> locations) => this.locations = locations;

    /// <summary>Grants nothing.</summary>
    public static Authority None { get; } = new([]);

    /// <summary>
    /// Reads the JSON array, which must come from the strict reader. Unknown members, types and constraint types, two entries for one
    /// location, tool names outside <c>[A-Za-z0-9_./-]{1,128}</c>, more than 256 clauses or nesting over 32 are refused; the code is
    /// <c>invalid_authorization_details</c>.
    /// A <c>task</c> member is not part of authority: it is returned by <see cref="ParseRequest"/> and refused here unless <paramref name="allowTask"/>.
    /// </summary>
    public static Result<Authority> Parse(JsonElement array, bool allowTask = false) =>
        AuthorityReader.Read(array, allowTask).TryGet(out var read, out var fault) ? read.Authority : fault;

    /// <summary>Reads the request form: the authority and the one <c>task</c> it names (all entries that carry one must agree).</summary>
    public static Result<(Authority Authority, TaskRequest? Task)> ParseRequest(JsonElement array) => AuthorityReader.Read(array, allowTask: true);

    /// <summary>Every named tool of one location, any arguments: what a scope or a registry ceiling means.</summary>
    /// <exception cref="ArgumentException">A tool name outside the grammar, or no location.</exception>
    public static Authority ForTools(string location, IEnumerable<string> tools)
    {
        ArgumentException.ThrowIfNullOrEmpty(location);
        var named = tools.ToImmutableSortedDictionary(tool => tool, _ => ToolAuthority.AnyArguments, StringComparer.Ordinal);
        foreach (var tool in named.Keys.Where(tool => !Grammar.IsName(tool)))
            throw new ArgumentException($"'{tool}' is no tool name.", nameof(tools));
        return new([new LocationAuthority(location, [Grammar.ToolsCall], named, [], [])]);
    }

    public IReadOnlyList<LocationAuthority> Locations => locations;

    public bool IsEmpty => locations.IsEmpty;

    public LocationAuthority? At(string location) =>
        locations.FirstOrDefault(entry => string.Equals(entry.Location, location, StringComparison.Ordinal));

    /// <summary>Only the entry for one location (or <see cref="None"/>).</summary>
    public Authority OnlyAt(string location) => At(location) is { } entry ? new([entry]) : None;

    /// <summary>Only the named tools: no resources, no prompts, no location that is left without a tool.</summary>
    public Authority OnlyTools(Func<string, bool> keep) =>
        new([.. locations.Select(entry => entry.OnlyTools(keep, alone: true)).Where(entry => entry.Tools.Count > 0)]);

    /// <summary>The same without some tools; resources and prompts stay.</summary>
    public Authority WithoutTools(Func<string, bool> drop) =>
        new([.. locations.Select(entry => entry.OnlyTools(tool => !drop(tool), alone: false)).Where(entry => entry.Tools.Count + entry.Resources.Count + entry.Prompts.Count > 0)]);

    /// <summary>What is left when a person keeps some of it: each tool, all resources of a location, each prompt; each told with its location.</summary>
    public Authority Keeping(Func<string, string, bool> tool, Func<string, bool> resources, Func<string, string, bool> prompt) =>
        new([.. locations.Select(entry => entry.Keeping(tool, resources, prompt)).Where(entry => entry.Tools.Count + entry.Resources.Count + entry.Prompts.Count > 0)]);

    /// <summary>Both together, for authority over tools with any arguments, as scopes are: the tools of either.</summary>
    public Authority UnionOfTools(Authority other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return new([.. locations.Concat(other.locations).GroupBy(entry => entry.Location, StringComparer.Ordinal)
            .Select(entries => ForTools(entries.Key, entries.SelectMany(entry => entry.Tools.Keys).Distinct(StringComparer.Ordinal)).locations[0])]);
    }

    /// <summary>
    /// The subset rule, decided by the grammar. Null when every location of this is within the same location of
    /// <paramref name="parent"/>; else the first reason, code <c>exceeds_parent</c>, with its path.
    /// </summary>
    public Fault? Exceeds(Authority parent)
    {
        for (var i = 0; i < locations.Length; i++)
        {
            var path = JsonPath.Root.Index(i);
            if (parent.At(locations[i].Location) is not { } above)
                return Grammar.Exceeds(path.Member(Grammar.Locations), "The location is not the parent's.");
            if (locations[i].Exceeds(above, path) is { } fault)
                return fault;
        }
        return null;
    }

    /// <summary>The array form, without task; <paramref name="taskId"/> adds <c>"task":{"id":…}</c> to each entry as tokens carry it.</summary>
    public void Write(Utf8JsonWriter writer, string? taskId = null)
    {
        writer.WriteStartArray();
        foreach (var entry in locations)
            entry.Write(writer, taskId);
        writer.WriteEndArray();
    }

    /// <summary>The array form as text, as <see cref="Write"/>.</summary>
    public string ToJson(string? taskId = null)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
            Write(writer, taskId);
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <summary>
    /// The scope projection for one location: <c>tool:a tool:b</c> in ordinal order. Empty where <c>tools/call</c> is not among the
    /// actions, because tools that may not be called are no authority, and a projection must not say more than what it projects.
    /// </summary>
    public string ToScope(string location) =>
        At(location) is { } entry && entry.Actions.Contains(Grammar.ToolsCall)
            ? string.Join(' ', entry.Tools.Keys.Select(tool => Names.Scopes.ToolPrefix + tool))
            : "";
}
