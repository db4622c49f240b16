using McpAuth.Protocol;
using McpAuthServer.Authorizations;
using McpAuthServer.Registry;

namespace McpAuthServer.Pages.Wording;

/// <summary>The words of scope for people.</summary>
internal static class ScopeWording
{
    /// <returns>What the word allows, and what more there is to know about it; null when the word says it all.</returns>
    public static (string Title, Worded? More) Of(string word, ToolServerRecord? server) => word switch
    {
        Names.Scopes.ToolsRead => ("Use every tool that only reads", Reading(server)),
        Names.Scopes.ResourcesRead => ("Read its resources", new("Files, records and other data that the server offers for reading")),
        Names.Scopes.PromptsRead => ("Read its prompts", new("Texts for AI models that the server offers")),
        Names.Scopes.OpenId => ("Recognise you", new("A fixed identifier of your account here, when you signed in, and how")),
        Names.Scopes.Profile => ("Know your name", null),
        Names.Scopes.Email => ("Know your e-mail address", null),
        Names.Scopes.OfflineAccess => ("Stay connected for up to 30 days when you are away", null),
        _ => (ScopeWords.ToolOf(word) ?? ShownText.Name(word), null),
    };

    private static Worded Reading(ToolServerRecord? server)
    {
        var names = server?.Tools.Values.Where(tool => tool is { Approved: true, Sensitivity: "read" }).Select(tool => tool.Name).Order(StringComparer.Ordinal).ToList() ?? [];
        return names.Count == 0
            ? new("At present there are none; those added later are included")
            : Worded.Of((most, _) => $"{Worded.List(names, most)}; also those added later");
    }
}
