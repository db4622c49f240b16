using System.Text.Json;
using McpAuth.Protocol.ToolCalls;

namespace McpAuth.Protocol.Tests.ToolCalls;

/// <summary>Short ways from JSON text to what is tested.</summary>
internal static class Json
{
    public const string Location = "https://files.example/mcp";

    public static JsonElement Of(string text)
    {
        using var document = JsonDocument.Parse(text, new JsonDocumentOptions { MaxDepth = 256 });
        return document.RootElement.Clone();
    }

    public static Result<Authority> Authority(string text) => Protocol.ToolCalls.Authority.Parse(Of(text));

    /// <summary>An array with one entry for <see cref="Location"/> and these further members.</summary>
    public static string Entry(string members) =>
        $$"""[{"type":"mcp_tool_call","locations":["{{Location}}"]{{(members.Length == 0 ? "" : "," + members)}}}]""";

    /// <summary>The one tool <c>t</c> with these members.</summary>
    public static ToolAuthority Tool(string members) =>
        Authority(Entry("\"tools\":{\"t\":{" + members + "}}")).Value.Locations[0].Tools["t"];

    public static Result<Authority> TryConstraint(string constraint) => Authority(Entry("\"resources\":[" + constraint + "]"));

    public static Constraint Constraint(string constraint) => TryConstraint(constraint).Value.Locations[0].Resources[0];
}
