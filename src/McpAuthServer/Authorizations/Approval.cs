using McpAuth.Protocol;
using McpAuth.Protocol.ToolCalls;
using McpAuthServer.Registry;

namespace McpAuthServer.Authorizations;

/// <summary>One thing a person can leave out.</summary>
/// <param name="Key">Names it in the form; the same for the same request.</param>
/// <param name="Server">Null for what does not concern one: a word about the person.</param>
/// <param name="Word">By scope: the word; null for what an agent asks for.</param>
/// <param name="Tool">The one tool it is about; null when it is about more, or about none.</param>
/// <param name="Already">Whether it was allowed before.</param>
internal sealed record ConsentItem(string Key, ToolServerRecord? Server, string? Word, ToolRecord? Tool, LocationAuthority? At, string? Prompt, bool Already)
{
    /// <summary>
    /// Whether it only goes with the whole: who a person is stands in every token that speaks for them, so leaving <c>openid</c> out would be no more
    /// than a promise.
    /// </summary>
    public bool Fixed => Word == Names.Scopes.OpenId;

    /// <summary>The argument constraints and limits on <see cref="Tool"/>, where there are any.</summary>
    public ToolAuthority? Limits => Tool is null ? null : At?.Tools.GetValueOrDefault(Tool.Name);
}

/// <summary>What a person left of a request.</summary>
/// <param name="Words">By scope; null for an agent.</param>
internal sealed record Approval(IReadOnlyList<string>? Words, Authority Authority)
{
    /// <summary>The request's items. By scope, what was allowed before comes with it, so that more does not mean less of something else.</summary>
    public static IReadOnlyList<ConsentItem> Items(Asked asked, Consent? before, RegistrySnapshot registry) => asked switch
    {
        Asked.ByScope scope => [.. Items(scope, before)],
        Asked.Identity identity => [.. WithHeld(identity.Words, before).Select(word => AboutPerson(word, before))],
        Asked.Delegation delegation => [.. delegation.Authority.Locations.SelectMany(at => Items(at, registry.ByResource(at.Location)!))],
        _ => [],
    };

    /// <summary>What the kept items amount to; null when nothing is left that would be worth a token.</summary>
    public static Approval? Of(Asked asked, IEnumerable<ConsentItem> kept)
    {
        var keys = kept.Select(item => item.Key).ToHashSet(StringComparer.Ordinal);
        var words = ScopeWords.Coherent(keys.Order(StringComparer.Ordinal));
        switch (asked)
        {
            case Asked.ByScope scope:
                return words.Any(ScopeWords.IsAtResource) ? new Approval(words, ScopeWords.ToAuthority(words, scope.Server)) : null;
            case Asked.Identity:
                return words.Count > 0 ? new Approval(words, Authority.None) : null;
        }
        var authority = ((Asked.Delegation)asked).Authority.Keeping(
            (location, tool) => keys.Contains(ToolKey(location, tool)), location => keys.Contains(ResourcesKey(location)), (location, prompt) => keys.Contains(PromptKey(location, prompt)));
        return authority.IsEmpty ? null : new Approval(null, authority);
    }

    /// <summary>All of what a remembered consent answers: exactly the request for an agent; by scope, all that the person allows the program.</summary>
    public static Approval Remembered(Asked asked, Consent consent) => asked switch
    {
        Asked.ByScope scope => Of(asked, Items(scope, consent))!,
        Asked.Identity identity => new Approval([.. WithHeld(identity.Words, consent)], Authority.None),
        Asked.Delegation delegation => new Approval(null, delegation.Authority),
        _ => throw new InvalidOperationException($"Unknown request {asked}."),
    };

    private static IEnumerable<string> WithHeld(IEnumerable<string> asked, Consent? before) =>
        asked.Concat(before?.Words ?? []).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal);

    private static ConsentItem AboutPerson(string word, Consent? before) => new(word, null, word, null, null, null, before?.Words.Contains(word) == true);

    private static IEnumerable<ConsentItem> Items(Asked.ByScope scope, Consent? before) =>
        WithHeld(scope.Words, before)
            .Where(word => ScopeWords.ToolOf(word) is not { } tool || scope.Server.Tools.GetValueOrDefault(tool) is { Approved: true })
            .Select(word => ScopeWords.IsIdentity(word) ? AboutPerson(word, before) : new ConsentItem(
                word, scope.Server, word, ScopeWords.ToolOf(word) is { } tool ? scope.Server.Tools[tool] : null, null, null,
                before is not null && ScopeWords.Covers(before.Words, word, scope.Server)));

    private static IEnumerable<ConsentItem> Items(LocationAuthority at, ToolServerRecord server)
    {
        foreach (var tool in at.Tools.Keys)
            yield return new(ToolKey(at.Location, tool), server, null, server.Tools[tool], at, null, false);
        if (at.Resources.Count > 0)
            yield return new(ResourcesKey(at.Location), server, null, null, at, null, false);
        foreach (var prompt in at.Prompts)
            yield return new(PromptKey(at.Location, prompt), server, null, null, at, prompt, false);
    }

    private static string ToolKey(string location, string tool) => $"{location} tool:{tool}";

    private static string ResourcesKey(string location) => $"{location} resources";

    private static string PromptKey(string location, string prompt) => $"{location} prompt:{prompt}";
}
