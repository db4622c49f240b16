using System.Text.Json;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Schemas.Reading;
using McpAuth.Cedar.Schemas.Resolution;
using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Mcp.AgentCore;

/// <summary>Who a gateway lets in, and so what a principal is.</summary>
public enum AgentCorePrincipal
{
    /// <summary><c>AgentCore::OAuthUser::"sub"</c>, with the token's claims as tags.</summary>
    OAuthUser,

    /// <summary><c>AgentCore::IamEntity::"arn"</c>, without tags.</summary>
    IamEntity,
}

/// <summary>
/// Policies written for Policy in Amazon Bedrock AgentCore, unchanged. An action is <c>AgentCore::Action::"Target___tool"</c>, in the groups <c>"Target"</c>,
/// <c>"CallTool"</c> and <c>"Mcp"</c>; the resource is an <c>AgentCore::Gateway</c>; the context holds <c>input</c> alone. Two things differ, both to the safe
/// side: a number that no decimal holds exactly denies the call where it is read (there it is cut), and null is as if the argument were not there. Guardrail
/// clauses (<c>when guardrails { … }</c>) are not Cedar and are refused.
/// </summary>
public static class AgentCoreProfile
{
    private const string Separator = "___";
    private const string CallTool = "CallTool";
    private const string Root = "Mcp";

    private const string Common = """
        namespace AgentCore {
          entity OAuthUser { id: String } tags String;
          entity IamEntity { id: String };
          entity Gateway;
          action "Mcp";
          action "CallTool" in ["Mcp"];
        }
        """;

    /// <summary>The model of a gateway.</summary>
    /// <param name="tools">Named as the gateway lists them, <c>Target___tool</c>; without the underscores a tool belongs to no target. Sensitivity and class mean nothing here.</param>
    /// <returns>Errors where a name is none, stands twice, or a tool and a group are called the same.</returns>
    public static Parsed<ToolServerModel> Model(IEnumerable<McpTool> tools, AgentCorePrincipal principal = AgentCorePrincipal.OAuthUser)
    {
        ArgumentNullException.ThrowIfNull(tools);
        McpTool[] all = [.. tools];
        List<Diagnostic> faults = ToolServerModel.Faults(all);
        string[] targets = [.. all.Select(t => TargetOf(t.Name)).OfType<string>().Distinct(StringComparer.Ordinal)];
        var groups = new HashSet<string>([CallTool, Root], StringComparer.Ordinal);
        foreach (string group in targets)
            if (!groups.Add(group)) faults.Add(new("name_collision", $"The target `{group}` is called as a group of all tools."));
        foreach (McpTool tool in all)
            if (groups.Contains(tool.Name)) faults.Add(new("name_collision", $"The tool `{tool.Name}` is called as a group of tools."));
        if (faults.Count > 0) return new([.. faults.Take(Limits.Errors)]);

        var notes = new List<Diagnostic>();
        var findings = new Findings(Common);
        SchemaSyntax syntax = SchemaParser.Parse(Common, findings);
        List<ActionSyntax> actions = syntax.Namespaces[0].Actions;
        if (targets.Length > 0) actions.Add(new([.. targets.Select(McpSchema.Name)], [Group(CallTool)], null, []));
        foreach (McpTool tool in all)
        {
            var context = new RecordTypeSyntax(default, [new(McpSchema.Name(ToolServerModel.Input), InputSyntax.Of(tool, notes), true, [])]);
            actions.Add(new([McpSchema.Name(tool.Name)], [Group(TargetOf(tool.Name) ?? CallTool)], new([McpSchema.Name(principal.ToString())], [McpSchema.Name("Gateway")], context), []));
        }
        Parsed<CedarSchema> read = SchemaResolver.Resolve(syntax, findings);
        if (!read.TryGet(out CedarSchema? schema)) return new(read.Diagnostics);
        return new(ToolServerModel.Of(schema, all.Select(t => (t.Name, new EntityUid("AgentCore::Action", t.Name))), session: null, notes));
    }

    /// <summary>The principal of a token's claims: those that are text are its tags.</summary>
    /// <param name="claims">A JSON object in UTF-8, verified by the caller.</param>
    /// <returns>Errors where it is none, or has no <c>sub</c>; warnings for the claims that are not text and so no tags.</returns>
    public static Parsed<EntityDescription> OAuthUser(ReadOnlyMemory<byte> claims)
    {
        var findings = new List<Diagnostic>();
        using JsonDocument? document = ClaimsJson.Read(claims, findings, out string subject);
        if (findings.Count > 0) return new(findings);
        var tags = new List<KeyValuePair<string, Value>>();
        foreach (JsonProperty claim in document!.RootElement.EnumerateObject())
        {
            if (SchemaObject.NameOf(claim) is not { } name) continue;
            if (SchemaObject.TextOf(claim.Value) is { } text) tags.Add(new(name, Value.Of(text)));
            else findings.Add(ClaimsJson.LeftOut(name, "It is not text."));
        }
        return new(new EntityDescription(new("AgentCore::OAuthUser", subject), Id(subject), [], new(tags)), findings);
    }

    /// <summary>The principal that signs its requests.</summary>
    public static EntityDescription IamEntity(string arn) => new(new("AgentCore::IamEntity", arn), Id(arn));

    private static CedarRecord Id(string id) => new([new("id", Value.Of(id))]);

    /// <summary>The target before the first three underscores; null when there are none, or nothing is before or behind them.</summary>
    private static string? TargetOf(string tool)
    {
        int at = tool.IndexOf(Separator, StringComparison.Ordinal);
        return at > 0 && at + Separator.Length < tool.Length ? tool[..at] : null;
    }

    private static ActionNameSyntax Group(string id) => new(null, id, default);
}
