using System.Text;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Mcp;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Mcp;

/// <summary>A tool server with one tool that moves money, and calls of it.</summary>
internal static class Tools
{
    public const string Refund = "refund";

    public const string RefundSchema = """
        {"type":"object","properties":{
          "order":{"type":"string"},
          "amount":{"type":"integer"},
          "rate":{"type":"number"},
          "urgent":{"type":"boolean"},
          "tags":{"type":"array","items":{"type":"string"}},
          "to":{"type":"object","properties":{"iban":{"type":"string"},"country":{"type":"string"}},"required":["iban"]},
          "note":{"type":["string","null"]}},
         "required":["amount"]}
        """;

    public static readonly EntityUid Ann = new("Mcp::User", "usr_ann");
    public static readonly EntityUid Server = new("Mcp::Server", "https://shop.example/mcp");
    public static readonly CedarRecord Session = SessionWith();

    public static readonly ToolServerModel Model = ToolServerModel.Create(
    [
        Tool(Refund, RefundSchema, ToolSensitivity.Write, "payments"),
        Tool("read_order", """{"type":"object","properties":{"order":{"type":"string"}}}""", ToolSensitivity.Read),
    ]).Value;

    public static McpTool Tool(string name, string schema, ToolSensitivity sensitivity = ToolSensitivity.Destructive, string? @class = null) =>
        new(name, Encoding.UTF8.GetBytes(schema), sensitivity, @class);

    public static CedarRecord SessionWith(params (string Name, Value Value)[] more) => new(
    [
        new("time", Value.OfDatetime(1_795_345_200_000)),
        new("scopes", Value.Of(new CedarSet(Value.Of("tool:refund")))),
        new("chain", Value.Of(new CedarSet())),
        .. more.Select(m => KeyValuePair.Create(m.Name, m.Value)),
    ]);

    public static ToolCallAuthorizer Authorizer(string policies, AuthorizationMode mode = AuthorizationMode.Strict, ToolServerModel? model = null) =>
        new(PolicySet.Parse(policies).Value, model ?? Model, mode);

    public static AuthorizationResponse Call(
        this ToolCallAuthorizer authorizer, string arguments, string tool = Refund, EntityUid? principal = null, EntityUid? resource = null, CedarRecord? session = null, EntityStore? entities = null) =>
        authorizer.Call(Encoding.UTF8.GetBytes(arguments), tool, principal, resource, session, entities);

    public static AuthorizationResponse Call(
        this ToolCallAuthorizer authorizer, ReadOnlySpan<byte> arguments, string tool = Refund, EntityUid? principal = null, EntityUid? resource = null, CedarRecord? session = null, EntityStore? entities = null)
    {
        var response = new AuthorizationResponse();
        var call = new ToolCall { Principal = principal ?? Ann, Tool = tool, Resource = resource ?? Server, Session = session ?? Session, Arguments = arguments };
        authorizer.Authorize(call, entities ?? EntityStore.Empty, response);
        return response;
    }

    /// <summary>What became of a call, in one line.</summary>
    public static string Outcome(this AuthorizationResponse response) => response.Decision == Decision.Allow
        ? $"Allow by {string.Join(", ", response.Reasons)}"
        : $"Deny: {response.Cause}{(response.RequestFault is { } fault ? $": {fault}" : "")}{(response.Reasons.Count > 0 ? $" by {string.Join(", ", response.Reasons)}" : "")}";

    /// <summary>A type as a schema writes it.</summary>
    public static string Show(CedarType type) => type switch
    {
        PrimitiveType p => p.Kind switch { ValueKind.Bool => "Bool", ValueKind.Long => "Long", ValueKind.String => "String", ValueKind.Decimal => "decimal", _ => p.Kind.ToString() },
        SetType s => $"Set<{Show(s.Element)}>",
        RecordType r => $"{{{string.Join(", ", r.Attributes.Select(a => $"{a.Key}{(a.Value.Required ? "" : "?")}: {Show(a.Value.Type)}"))}}}",
        EntityType e => e.Name,
        _ => "?",
    };
}
