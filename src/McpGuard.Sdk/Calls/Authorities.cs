using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.ToolCalls;
using McpGuard.Sdk.Tokens;

namespace McpGuard.Sdk.Calls;

/// <summary>What a token's authority says about tools, resources and prompts, in either form: explicit, or by scope. Pure.</summary>
internal static class Authorities
{
    /// <summary>The explicit authority over a tool; null when it has none.</summary>
    public static ToolAuthority? Over(ValidatedToken token, string tool) =>
        token.Authority is { } here && here.Actions.Contains(McpMethods.ToolsCall) ? here.Tools.GetValueOrDefault(tool) : null;

    /// <summary>By scope: <c>tool:NAME</c>, or <c>tools:read</c> for what is marked <c>read</c>.</summary>
    public static bool Scoped(ValidatedToken token, GuardedTool tool) =>
        token.Scopes.Contains(Names.Scopes.ToolPrefix + tool.Name) || (tool.Reads && token.Scopes.Contains(Names.Scopes.ToolsRead));

    /// <summary>Whether a list shows the tool: what the token holds and, where a step-up can cure it, what it could hold.</summary>
    public static bool Shows(ValidatedToken token, GuardedTool? tool) =>
        tool is { Callable: true } && (token.Explicit ? Over(token, tool.Name) is { } held && Matches(held, tool) : token.StepUp || Scoped(token, tool));

    /// <summary>A token may be bound to one definition of the tool.</summary>
    public static bool Matches(ToolAuthority held, GuardedTool tool) =>
        held.DefinitionDigest is null || string.Equals(held.DefinitionDigest, tool.Digest, StringComparison.Ordinal);

    public static bool Reads(ValidatedToken token, JsonElement uri) => token.Explicit
        ? token.Authority is { } here && here.Actions.Contains(McpMethods.ResourcesRead) && here.Resources.Any(c => c.Admits(uri))
        : token.Scopes.Contains(Names.Scopes.ResourcesRead);

    public static bool Prompts(ValidatedToken token, string name) => token.Explicit
        ? token.Authority is { } here && here.Actions.Contains(McpMethods.PromptsGet) && here.Prompts.Contains(name)
        : token.Scopes.Contains(Names.Scopes.PromptsRead);

    public static bool ShowsResource(ValidatedToken token, string uri) => token.StepUp || Reads(token, JsonSerializer.SerializeToElement(uri, TextJson.Default.String));

    public static bool ShowsPrompt(ValidatedToken token, string name) => token.StepUp || Prompts(token, name);
}

[System.Text.Json.Serialization.JsonSerializable(typeof(string))]
internal sealed partial class TextJson : System.Text.Json.Serialization.JsonSerializerContext;
