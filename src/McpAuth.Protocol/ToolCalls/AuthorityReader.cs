using System.Buffers;
using System.Collections.Immutable;
using System.Text.Json;

namespace McpAuth.Protocol.ToolCalls;

/// <summary>Reads <c>authorization_details</c>: one read, one count of clauses, the first fault.</summary>
internal sealed class AuthorityReader
{
    private static readonly string[] EntryMembers =
        [Grammar.Type, Grammar.Locations, Grammar.Actions, Grammar.Tools, Grammar.Resources, Grammar.Prompts, Grammar.Task];
    private static readonly string[] ToolMembers = [Grammar.Args, Grammar.Optional, Grammar.DefinitionDigest, Grammar.MaxCalls, Grammar.Approval];

    private static readonly SearchValues<char> DigestCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

    private readonly Faults faults = new();
    private readonly ConstraintReader constraints;
    private readonly bool allowTask;
    private TaskRequest? task;

    private AuthorityReader(bool allowTask) => (this.allowTask, constraints) = (allowTask, new ConstraintReader(faults));

    public static Result<(Authority Authority, TaskRequest? Task)> Read(JsonElement array, bool allowTask)
    {
        var reader = new AuthorityReader(allowTask);
        return reader.ReadEntries(array) is { } authority ? (authority, reader.task) : reader.faults.First!;
    }

    private Authority? ReadEntries(JsonElement array)
    {
        if (array.ValueKind != JsonValueKind.Array)
            return faults.Add<Authority>(JsonPath.Root, "An array is expected."); // RFC 9396 §2
        var entries = ImmutableArray.CreateBuilder<LocationAuthority>(array.GetArrayLength());
        var locations = new HashSet<string>(StringComparer.Ordinal);
        foreach (var element in array.EnumerateArray())
        {
            var path = JsonPath.Root.Index(entries.Count);
            if (ReadEntry(element, path) is not { } entry)
                return null;
            if (!locations.Add(entry.Location))
                return faults.Add<Authority>(path.Member(Grammar.Locations), "The location has an entry already.");
            entries.Add(entry);
        }
        return new(entries.MoveToImmutable());
    }

    private LocationAuthority? ReadEntry(JsonElement element, JsonPath path)
    {
        if (Members.Read(element, path, faults, EntryMembers) is not { } members)
            return null;
        // RFC 9396 §2: type is required; §5: an unknown one is refused.
        if (members[Grammar.Type] is not { ValueKind: JsonValueKind.String } type || !type.ValueEquals(Names.Resources.McpToolCall))
            return faults.Add<LocationAuthority>(path.Member(Grammar.Type), "The type is not mcp_tool_call.");
        if (members[Grammar.Task] is { } request && !ReadTask(request, path.Member(Grammar.Task)))
            return null;
        return ReadLocation(members) is { } location
            && ReadNames(members, Grammar.Actions, Grammar.IsName) is { } actions
            && ReadTools(members) is { } tools
            && ReadResources(members) is { } resources
            && ReadNames(members, Grammar.Prompts, IsText) is { } prompts
                ? new(location, actions, tools, [.. resources], prompts)
                : null;
    }

    private string? ReadLocation(Members members) =>
        members[Grammar.Locations] is { ValueKind: JsonValueKind.Array } locations && locations.GetArrayLength() == 1
            && locations[0] is { ValueKind: JsonValueKind.String } only && only.GetString() is { } location && IsText(location)
                ? location
                : faults.Add<string>(members.Path.Member(Grammar.Locations), "An array of exactly one location is required.");

    private ImmutableSortedDictionary<string, ToolAuthority>? ReadTools(Members members)
    {
        var tools = ImmutableSortedDictionary.CreateBuilder<string, ToolAuthority>(StringComparer.Ordinal);
        if (members[Grammar.Tools] is not { } element)
            return tools.ToImmutable();
        if (Members.Read(element, members.Path.Member(Grammar.Tools), faults, known: null) is not { } named)
            return null;
        foreach (var (name, value) in named.All)
        {
            var path = named.Path.Member(name);
            if (!Grammar.IsName(name))
                return faults.Add<ImmutableSortedDictionary<string, ToolAuthority>>(path, "The tool name is not [A-Za-z0-9_./-]{1,128}.");
            if (Members.Read(value, path, faults, ToolMembers) is not { } tool || ReadTool(tool) is not { } authority)
                return null;
            tools.Add(name, authority);
        }
        return tools.ToImmutable();
    }

    private ToolAuthority? ReadTool(Members members)
    {
        if (ReadArgs(members) is not { } args || ReadNames(members, Grammar.Optional, _ => true) is not { } optional)
            return null;
        if (optional.FirstOrDefault(name => !args.ContainsKey(name)) is not null)
            return faults.Add<ToolAuthority>(members.Path.Member(Grammar.Optional), "A name is not among the args.");
        return ReadDigest(members, out var digest) && ReadMaxCalls(members, out var maxCalls) && ReadApproval(members, out var approval)
            ? new(args, optional, digest, maxCalls, approval)
            : null;
    }

    private ImmutableSortedDictionary<string, Constraint>? ReadArgs(Members members)
    {
        if (members[Grammar.Args] is not { } element)
            return Grammar.NoConstraints;
        if (Members.Read(element, members.Path.Member(Grammar.Args), faults, known: null) is not { } named)
            return null;
        var args = Grammar.NoConstraints.ToBuilder();
        foreach (var (name, value) in named.All)
        {
            if (constraints.Read(value, named.Path.Member(name)) is not { } constraint)
                return null;
            args.Add(name, constraint);
        }
        return args.ToImmutable();
    }

    private List<Constraint>? ReadResources(Members members) =>
        members[Grammar.Resources] is { } element ? constraints.ReadList(element, members.Path.Member(Grammar.Resources), nesting: 1) : [];

    private bool ReadDigest(Members members, out string? digest)
    {
        digest = null;
        if (members[Grammar.DefinitionDigest] is not { } element)
            return true;
        digest = element.ValueKind == JsonValueKind.String ? element.GetString() : null;
        return digest is not null && IsDigest(digest)
            || faults.Add(members.Path.Member(Grammar.DefinitionDigest), "sha-256: and 43 base64url characters are expected.");
    }

    private bool ReadMaxCalls(Members members, out long? maxCalls)
    {
        maxCalls = null;
        if (members[Grammar.MaxCalls] is not { } element)
            return true;
        if (element.ValueKind != JsonValueKind.Number || !element.TryGetInt64(out var limit) || limit < 0)
            return faults.Add(members.Path.Member(Grammar.MaxCalls), "A whole number that is not negative is expected.");
        maxCalls = limit;
        return true;
    }

    private bool ReadApproval(Members members, out bool required)
    {
        required = false;
        if (members[Grammar.Approval] is not { } element)
            return true;
        required = element.ValueKind == JsonValueKind.String && element.ValueEquals(Grammar.ApprovalRequired);
        return required || element.ValueKind == JsonValueKind.String && element.ValueEquals(Grammar.ApprovalNone)
            || faults.Add(members.Path.Member(Grammar.Approval), "none or required is expected.");
    }

    private bool ReadTask(JsonElement element, JsonPath path)
    {
        if (!allowTask)
            return faults.Add(path, "A task is no part of an authority.");
        if (TaskRequestReader.Read(element, path, faults) is not { } read)
            return false;
        if (task is not null && task != read)
            return faults.Add(path, "Another entry names a different task.");
        task = read;
        return true;
    }

    /// <summary>A set of names: absent is empty, a repeated name is a fault.</summary>
    private ImmutableSortedSet<string>? ReadNames(Members members, string member, Func<string, bool> isName)
    {
        var names = ImmutableSortedSet.CreateBuilder<string>(StringComparer.Ordinal);
        if (members[member] is not { } element)
            return names.ToImmutable();
        var path = members.Path.Member(member);
        if (element.ValueKind != JsonValueKind.Array)
            return faults.Add<ImmutableSortedSet<string>>(path, "An array of names is expected.");
        foreach (var item in element.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.String || item.GetString() is not { } name || !isName(name) || !names.Add(name))
                return faults.Add<ImmutableSortedSet<string>>(path, "An item is not a name, or is repeated.");
        }
        return names.ToImmutable();
    }

    // Locations and prompt names are compared exactly and shown to people.
    private static bool IsText(string text) => text.Length is > 0 and <= Grammar.MaxTextLength && !text.Any(char.IsControl);

    // 32 bytes in base64url without padding; the last character carries four bits, the two spare ones are zero (RFC 4648 §3.5).
    private static bool IsDigest(string text) =>
        text.Length == 51 && text.StartsWith("sha-256:", StringComparison.Ordinal)
            && text.AsSpan(8).IndexOfAnyExcept(DigestCharacters) < 0 && "AEIMQUYcgkosw048".Contains(text[^1], StringComparison.Ordinal);
}
