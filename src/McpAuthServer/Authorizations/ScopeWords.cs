using McpAuth.Protocol;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Registry;

namespace McpAuthServer.Authorizations;

/// <summary>Authority by scope, as words: <c>tools:read</c>, <c>resources:read</c>, <c>prompts:read</c>, <c>tool:NAME</c> and <c>offline_access</c>. Pure.</summary>
internal static class ScopeWords
{
    private static readonly HashSet<string> Kinds = [Names.Scopes.ToolsRead, Names.Scopes.ResourcesRead, Names.Scopes.PromptsRead];

    /// <summary>
    /// The known words of a request. Unknown ones are dropped: clients send those of other servers. Absent or nothing left: the minimal
    /// set, unless a tool was named that is not there, because another right than the one asked for would only surprise.
    /// </summary>
    public static Result<IReadOnlyList<string>> Asked(string? scope, ToolServerRecord server)
    {
        var words = Split(scope);
        var known = words.Where(word => word == Names.Scopes.OfflineAccess || Means(word, server)).ToList();
        if (known.Exists(word => word != Names.Scopes.OfflineAccess))
            return known;
        if (words.Any(word => word.StartsWith(Names.Scopes.ToolPrefix, StringComparison.Ordinal)))
            return new Fault(Names.Errors.InvalidScope, "The scope names no approved tool of this resource.");
        return known.Prepend(Names.Scopes.ToolsRead).Order(StringComparer.Ordinal).ToList();
    }

    public static IReadOnlyList<string> Split(string? scope) =>
        [.. (scope ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];

    public static string Join(IEnumerable<string> words) => string.Join(' ', words.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal));

    /// <summary>Those that mean something at the tool server.</summary>
    public static string AtResource(IEnumerable<string> words) => Join(words.Where(word => word != Names.Scopes.OfflineAccess));

    /// <summary>Whether those who hold <paramref name="held"/> may have <paramref name="word"/>; <c>tools:read</c> implies each tool that is marked <c>read</c>.</summary>
    public static bool Covers(IReadOnlyCollection<string> held, string word, ToolServerRecord server) =>
        held.Contains(word)
        || (held.Contains(Names.Scopes.ToolsRead) && ToolOf(word) is { } name && server.Tools.GetValueOrDefault(name) is { Approved: true, Sensitivity: "read" });

    /// <summary>The tools the words reach now, with any arguments: what is recorded as the grant's authority.</summary>
    public static Authority ToAuthority(IReadOnlyCollection<string> words, ToolServerRecord server) =>
        Authority.ForTools(server.Resource, server.Tools.Values.Where(t => t.Approved && Covers(words, Names.Scopes.ToolPrefix + t.Name, server)).Select(t => t.Name));

    /// <summary>The name in <c>tool:NAME</c>; null for another word.</summary>
    public static string? ToolOf(string word) => word.StartsWith(Names.Scopes.ToolPrefix, StringComparison.Ordinal) ? word[Names.Scopes.ToolPrefix.Length..] : null;

    private static bool Means(string word, ToolServerRecord server) =>
        Kinds.Contains(word) || (ToolOf(word) is { } name && server.Tools.GetValueOrDefault(name) is { Approved: true });
}
