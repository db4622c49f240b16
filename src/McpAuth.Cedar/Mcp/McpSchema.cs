using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Schemas.Reading;
using McpAuth.Cedar.Schemas.Resolution;
using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;
using Annotations = System.Collections.Generic.IReadOnlyList<System.Collections.Generic.KeyValuePair<string, string>>;

namespace McpAuth.Cedar.Mcp;

/// <summary>The schema that policies for a tool server are validated against.</summary>
internal static class McpSchema
{
    public const string AllTools = "tools:all";

    /// <summary>What does not depend on the tools. What a token need not carry is optional.</summary>
    private const string Common = """
        namespace Mcp {
          entity Group in [Group];
          entity User in [Group];
          entity Agent {
            owner?: User,
            class?: String,
            review?: datetime,
          };
          entity Client;
          entity Server;

          @doc("What the call belongs to.")
          type Task = { id: String, deadline?: datetime, parent?: String };
          @doc("How the agent's instance proved what it is.")
          type Attestation = { assurance: String, workload?: String };
          @doc("A person's yes to this one call.")
          type Approval = { id: String, by: User, at?: datetime };
          @doc("A break-glass grant.")
          type Emergency = { id: String, reason: String, until?: datetime };

          @doc("Who calls, for whom, and within what. The chain holds the agents that handed the work on, without the one that calls.")
          type Session = {
            time: datetime,
            scopes: Set<String>,
            chain: Set<Agent>,
            user?: User,
            agent?: Agent,
            instance?: String,
            client?: String,
            task?: Task,
            attestation?: Attestation,
            approval?: Approval,
            emergency?: Emergency,
            acr?: String,
            authenticated?: datetime,
            address?: ipaddr,
          };

          action "tools:all", "sensitivity:read", "sensitivity:write", "sensitivity:destructive";
          action "resource:read" in ["sensitivity:read"] appliesTo {
            principal: [User, Agent, Client],
            resource: [Server],
            context: { input: { uri: String }, session: Session },
          };
          action "prompt:get" in ["sensitivity:read"] appliesTo {
            principal: [User, Agent, Client],
            resource: [Server],
            context: { input: { name: String }, session: Session },
          };
          @doc("A person says yes to a call of this tool. The session is that of whoever wants to call.")
          action "approval:give" appliesTo {
            principal: [User],
            resource: [Server],
            context: { input: { tool: String, sensitivity: String }, session: Session },
          };
        }
        """;

    private static readonly Annotations NoAnnotations = [];

    public static EntityUid Action(string id) => new("Mcp::Action", id);

    /// <param name="tools">With names that are some, each once.</param>
    public static Parsed<CedarSchema> Of(IReadOnlyList<McpTool> tools, List<Diagnostic> notes)
    {
        var findings = new Findings(Common);
        SchemaSyntax syntax = SchemaParser.Parse(Common, findings);
        List<ActionSyntax> actions = syntax.Namespaces[0].Actions;
        string[] classes = [.. tools.Select(t => t.Class).OfType<string>().Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        if (classes.Length > 0) actions.Add(new([.. classes.Select(c => Name($"class:{c}"))], [], null, NoAnnotations));
        foreach (McpTool tool in tools)
        {
            string[] groups = [AllTools, $"sensitivity:{Word(tool.Sensitivity)}", .. tool.Class is { } name ? [$"class:{name}"] : Array.Empty<string>()];
            var context = new RecordTypeSyntax(default,
            [
                new(Name(ToolServerModel.Input), InputSyntax.Of(tool, notes), true, NoAnnotations),
                new(Name(ToolServerModel.Session), new NamedTypeSyntax(default, Reference.EntityOrCommon, "Session"), true, NoAnnotations),
            ]);
            actions.Add(new([Name(tool.Name)], [.. groups.Select(g => new ActionNameSyntax(null, g, default))], new([Name("User"), Name("Agent"), Name("Client")], [Name("Server")], context), NoAnnotations));
        }
        return SchemaResolver.Resolve(syntax, findings);
    }

    public static NameSyntax Name(string name) => new(name, default);

    public static string Word(ToolSensitivity sensitivity) => sensitivity switch
    {
        ToolSensitivity.Read => "read",
        ToolSensitivity.Write => "write",
        _ => "destructive",
    };
}
