using McpAuth.Protocol;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Registry;

namespace McpAuthServer.Authorizations;

/// <summary>
/// What a program may have of a person, as words. Authority by scope: <c>tools:read</c>, <c>resources:read</c>, <c>prompts:read</c>, <c>tool:NAME</c> and
/// <c>offline_access</c>. Who they are: <c>openid</c>, <c>profile</c>, <c>email</c>. Pure.
/// </summary>
internal static class ScopeWords
{
    private static readonly HashSet<string>
        Kinds = [Names.Scopes.ToolsRead, Names.Scopes.ResourcesRead, Names.Scopes.PromptsRead],
        Identities = [Names.Scopes.OpenId, Names.Scopes.Profile, Names.Scopes.Email];

    /// <summary>
    /// The known words of a request. Unknown ones are dropped: clients send those of other servers. Absent or nothing left: the minimal
    /// set, unless a tool was named that is not there, because another right than the one asked for would only surprise.
    /// </summary>
    public static Result<IReadOnlyList<string>> Asked(string? scope, ToolServerRecord server)
    {
        var words = Coherent(Split(scope));
        var known = words.Where(word => word == Names.Scopes.OfflineAccess || IsIdentity(word) || Means(word, server)).ToList();
        if (known.Exists(IsAtResource))
            return known;
        if (words.Any(word => word.StartsWith(Names.Scopes.ToolPrefix, StringComparison.Ordinal)))
            return new Fault(Names.Errors.InvalidScope, "The scope names no approved tool of this resource.");
        return known.Prepend(Names.Scopes.ToolsRead).Order(StringComparer.Ordinal).ToList();
    }

    /// <summary>Those about the person.</summary>
    public static IReadOnlyList<string> Identity(IEnumerable<string> words) => [.. Coherent(words).Where(IsIdentity)];

    public static bool IsIdentity(string word) => Identities.Contains(word);

    /// <summary>Whether only a tool server could make something of it.</summary>
    public static bool IsAtResource(string word) => word != Names.Scopes.OfflineAccess && !IsIdentity(word);

    /// <summary>Whether it means something at the tool server now.</summary>
    public static bool IsKnown(string word, ToolServerRecord server) => Means(word, server);

    /// <summary>Whether it is one of the words that a tool server is asked for with, of whichever.</summary>
    public static bool IsOfTools(string word) => Kinds.Contains(word) || ToolOf(word) is not null;

    /// <summary>OpenID Connect Core §3.1.2.1, §5.4: without <c>openid</c> the other two mean nothing.</summary>
    public static IReadOnlyList<string> Coherent(IEnumerable<string> words)
    {
        var all = words.ToList();
        return all.Contains(Names.Scopes.OpenId) ? all : [.. all.Where(word => !IsIdentity(word))];
    }

    public static IReadOnlyList<string> Split(string? scope) =>
        [.. (scope ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];

    public static string Join(IEnumerable<string> words) => string.Join(' ', words.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal));

    /// <summary>Those that mean something at the tool server.</summary>
    public static string AtResource(IEnumerable<string> words) => Join(words.Where(IsAtResource));

    /// <summary>Whether those who hold <paramref name="held"/> may have <paramref name="word"/>; <c>tools:read</c> implies each tool that is marked <c>read</c>.</summary>
    /// <param name="server">Null: they are about the person alone.</param>
    public static bool Covers(IReadOnlyCollection<string> held, string word, ToolServerRecord? server) =>
        held.Contains(word)
        || (server is not null && held.Contains(Names.Scopes.ToolsRead) && ToolOf(word) is { } name && server.Tools.GetValueOrDefault(name) is { Approved: true, Sensitivity: "read" });

    /// <summary>The tools the words reach now, with any arguments: what is recorded as the grant's authority.</summary>
    public static Authority ToAuthority(IReadOnlyCollection<string> words, ToolServerRecord server) =>
        Authority.ForTools(server.Resource, server.Tools.Values.Where(t => t.Approved && Covers(words, Names.Scopes.ToolPrefix + t.Name, server)).Select(t => t.Name));

    /// <summary>What explicit authority comes to in words, over all of its tool servers.</summary>
    public static IReadOnlyList<string> Of(Authority authority) => Split(string.Join(' ', authority.Locations.Select(l => authority.ToScope(l.Location))));

    /// <summary>The name in <c>tool:NAME</c>; null for another word.</summary>
    public static string? ToolOf(string word) => word.StartsWith(Names.Scopes.ToolPrefix, StringComparison.Ordinal) ? word[Names.Scopes.ToolPrefix.Length..] : null;

    private static bool Means(string word, ToolServerRecord server) =>
        Kinds.Contains(word) || (ToolOf(word) is { } name && server.Tools.GetValueOrDefault(name) is { Approved: true });
}
