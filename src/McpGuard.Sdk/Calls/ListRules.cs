using McpAuth.Cedar.Mcp;
using McpGuard.Sdk.Policy;

namespace McpGuard.Sdk.Calls;

/// <summary>What a list shows, in every kind of hosting: what the token holds or could step up to, where policy could allow some call of it.</summary>
internal sealed class ListRules(ToolCatalogue catalogue, PolicyDecisions policies)
{
    /// <summary>The tool of that name; null when it is not shown.</summary>
    public GuardedTool? Tool(Caller caller, string name) =>
        catalogue.Find(name) is { } tool && Authorities.Shows(caller.Token, tool) && policies.MayAllow(caller, name) ? tool : null;

    public bool Resource(Caller caller, string uri) => Authorities.ShowsResource(caller.Token, uri) && policies.Allows(caller, ToolServerModel.ReadResource, "uri", uri);

    /// <summary>What a template stands for is decided when it is read.</summary>
    public bool Template(Caller caller, string uri) => Authorities.ShowsResource(caller.Token, uri) && policies.MayAllow(caller, ToolServerModel.ReadResource);

    public bool Prompt(Caller caller, string name) => Authorities.ShowsPrompt(caller.Token, name) && policies.Allows(caller, ToolServerModel.GetPrompt, "name", name);
}
