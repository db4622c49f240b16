using System.Text.Json;

namespace McpAuth.Protocol.ToolCalls;

/// <summary>
/// A set of (tool server, tool, argument constraints): the parsed form of <c>authorization_details</c> of type <c>mcp_tool_call</c>
/// (RFC 9396 §2), one entry per location. Immutable.
/// </summary>
public sealed class Authority
{
    /// <summary>Grants nothing.</summary>
    public static Authority None => throw new NotImplementedException();

    /// <summary>
    /// Reads the JSON array. Unknown members, types and constraint types, two entries for one location, tool names outside
    /// <c>[A-Za-z0-9_./-]{1,128}</c>, more than 256 clauses or nesting over 32 are refused; the code is <c>invalid_authorization_details</c>.
    /// A <c>task</c> member is not part of authority: it is returned by <see cref="ParseRequest"/> and refused here unless <paramref name="allowTask"/>.
    /// </summary>
    public static Result<Authority> Parse(JsonElement array, bool allowTask = false) => throw new NotImplementedException();

    /// <summary>Reads the request form: the authority and the one <c>task</c> it names (all entries that carry one must agree).</summary>
    public static Result<(Authority Authority, TaskRequest? Task)> ParseRequest(JsonElement array) => throw new NotImplementedException();

    /// <summary>Every named tool of one location, any arguments: what a scope or a registry ceiling means.</summary>
    public static Authority ForTools(string location, IEnumerable<string> tools) => throw new NotImplementedException();

    public IReadOnlyList<LocationAuthority> Locations => throw new NotImplementedException();
    public bool IsEmpty => throw new NotImplementedException();
    public LocationAuthority? At(string location) => throw new NotImplementedException();

    /// <summary>Only the entry for one location (or <see cref="None"/>).</summary>
    public Authority OnlyAt(string location) => throw new NotImplementedException();

    /// <summary>
    /// The subset rule, decided by the grammar. Null when every location of this is within the same location of
    /// <paramref name="parent"/>; else the first reason, code <c>exceeds_parent</c>, with its path.
    /// </summary>
    public Fault? Exceeds(Authority parent) => throw new NotImplementedException();

    /// <summary>The array form, without task; <paramref name="taskId"/> adds <c>"task":{"id":…}</c> to each entry as tokens carry it.</summary>
    public void Write(Utf8JsonWriter writer, string? taskId = null) => throw new NotImplementedException();

    public string ToJson() => throw new NotImplementedException();

    /// <summary>The scope projection for one location: <c>tool:a tool:b</c> in ordinal order.</summary>
    public string ToScope(string location) => throw new NotImplementedException();
}

/// <summary>The <c>task</c> member of a request: a running task's id, or a new one's purpose and end.</summary>
public sealed record TaskRequest(string? Id, string? Purpose, DateTimeOffset? ExpiresAt);

/// <summary>The authority at one tool server.</summary>
public sealed class LocationAuthority
{
    public string Location => throw new NotImplementedException();
    public IReadOnlySet<string> Actions => throw new NotImplementedException();
    public IReadOnlyDictionary<string, ToolAuthority> Tools => throw new NotImplementedException();
    /// <summary>Constraints on resource URIs, any of which may admit one; empty grants none.</summary>
    public IReadOnlyList<Constraint> Resources => throw new NotImplementedException();
    public IReadOnlySet<string> Prompts => throw new NotImplementedException();
}

/// <summary>The authority over one tool.</summary>
public sealed class ToolAuthority
{
    /// <summary>Empty = any arguments; non-empty = closed.</summary>
    public IReadOnlyDictionary<string, Constraint> Args => throw new NotImplementedException();
    public IReadOnlySet<string> Optional => throw new NotImplementedException();
    public string? DefinitionDigest => throw new NotImplementedException();
    public long? MaxCalls => throw new NotImplementedException();
    public bool ApprovalRequired => throw new NotImplementedException();

    /// <summary>Null when the arguments (an object, schema defaults already filled in) are admitted; else the fault, code <c>argument_denied</c>, path naming the argument.</summary>
    public Fault? Denies(JsonElement arguments) => throw new NotImplementedException();
}

/// <summary>A constraint on one JSON value.</summary>
public abstract class Constraint
{
    public abstract bool Admits(JsonElement value);

    /// <summary>The subset rule for a pair of constraints: true only if everything this admits, <paramref name="parent"/> admits too.</summary>
    public abstract bool IsWithin(Constraint parent);
}
