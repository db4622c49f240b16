using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Mcp;
using McpAuth.Cedar.Mcp.AgentCore;
using McpAuth.Cedar.Mcp.ToolHive;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Validation;
using McpAuth.Cedar.Values;
using McpAuth.Testing;

namespace McpAuth.Cedar.Tests.Mcp;

/// <summary>docs/policy.md, run: its policies parse and validate against the schema it shows, its decisions are those, its explanation is what is printed.</summary>
public partial class PolicyGuideTests
{
    private static readonly EntityUid Ann = new("Mcp::User", "ann");
    private static readonly EntityUid Agent = new("Mcp::Agent", "agt_42");
    private static readonly Dictionary<string, string> Guide = Fence().Matches(File.ReadAllText(Path.Combine(RepositoryRoot.Path, "docs", "policy.md"))).ToDictionary(m => m.Groups[1].Value, m => m.Groups[2].Value.TrimEnd());
    private static readonly ToolServerModel Model = ToolServerModel.Create(ToolsOf(Guide["json tools"])).Value;
    private static readonly PolicySet Policies = PolicySet.Parse(Guide["cedar policies"], PolicyIds.FromAnnotation).Value;

    private static readonly EntityStore Entities = EntityStore.Of(
        [new EntityDescription(Ann, null, new EntityUid("Mcp::Group", "support")), new EntityDescription(new("Mcp::Group", "support"))], Model.Schema).Value;

    [Fact]
    public void Schema_IsTheOneShown()
    {
        Assert.Equal(Guide["cedarschema"], Model.Schema!.ToCedar().TrimEnd());
        Assert.Equal(Guide["text notes"], string.Join('\n', Model.Notes));
    }

    [Fact]
    public void Policies_AreValid() => Assert.Empty(Validator.Validate(Policies, Model.Schema!));

    [Fact]
    public void Policy_ThatIsWrong_GetsTheDiagnosticsShown() =>
        Assert.Equal(Guide["text diagnostics"], string.Join('\n', Validator.Validate(PolicySet.Parse(Guide["cedar wrong"]).Value, Model.Schema!).Select(d => d.Render())));

    [Fact]
    public void Decisions_AreThoseShown()
    {
        var authorizer = new ToolCallAuthorizer(Policies, Model);
        string[] lines = Guide["text decisions"].Split('\n');
        Assert.InRange(lines.Length, 10, 100);
        foreach (string line in lines)
        {
            Match match = Line().Match(line);
            Assert.True(match.Success, line);
            bool agent = match.Groups["agent"].Success;
            AuthorizationResponse response = authorizer.Call(match.Groups["arguments"].Value, match.Groups["tool"].Value, Ann, Shop, Session(agent ? 3 : 9, agent), Entities);
            Assert.Equal(match.Groups["outcome"].Value, response.Outcome());
        }
    }

    [Fact]
    public void Explanation_IsTheOneShown()
    {
        var call = new ToolCall
        {
            Principal = Ann,
            Tool = "refund",
            Resource = Shop,
            Session = Session(9, agent: false),
            Arguments = """{"order":"o-9","amount":80,"to":{"country":"XX"}}"""u8,
        };
        Assert.Equal(Guide["text explanation"], new ToolCallAuthorizer(Policies, Model).Explain(call, Entities).ToString().TrimEnd());
    }

    [Fact]
    public void Code_IsWhatThisTestRuns()
    {
        McpTool[] tools = ToolsOf(Guide["json tools"]);
        string text = Guide["cedar policies"];
        byte[] arguments = """{"order":"o-9","amount":80}"""u8.ToArray();
        EntityUid ann = Ann;
        CedarRecord session = Session(9, agent: false);

        // what the guide shows
        ToolServerModel model = ToolServerModel.Create(tools).Value;
        PolicySet policies = PolicySet.Parse(text, PolicyIds.FromAnnotation).Value;
        if (Validator.Validate(policies, model.Schema!).Any(d => d.Severity == Severity.Error)) throw new InvalidOperationException("The policies are not valid.");
        EntityStore entities = EntityStore.Of([new EntityDescription(ann, null, new EntityUid("Mcp::Group", "support"))], model.Schema).Value;
        var authorizer = new ToolCallAuthorizer(policies, model);
        var response = new AuthorizationResponse();

        var call = new ToolCall
        {
            Principal = ann,
            Tool = "refund",
            Resource = new EntityUid("Mcp::Server", "https://shop.example/mcp"),
            Session = session,
            Arguments = arguments, // as they came: UTF-8, not parsed
        };
        Decision decision = authorizer.Authorize(call, entities, response);
        // until here

        Assert.Equal((Decision.Allow, "small-refunds"), (decision, Assert.Single(response.Reasons)));
        string source = File.ReadAllText(Path.Combine(RepositoryRoot.Path, "tests", "McpAuth.Cedar.Tests", "Mcp", "PolicyGuideTests.cs"));
        const string From = "// what the guide shows\n", To = "        // until here";
        string shown = source[(source.IndexOf(From, StringComparison.Ordinal) + From.Length)..source.IndexOf(To, StringComparison.Ordinal)];
        Assert.Equal(Guide["csharp"], string.Join('\n', shown.TrimEnd().Split('\n').Select(l => l.Length > 8 ? l[8..] : "")));
    }

    [Fact]
    public void Policies_FromElsewhere_Load()
    {
        ToolServerModel gateway = AgentCoreProfile.Model(ToolsOf(Guide["json tools"]).Select(t => t with { Name = $"Shop___{t.Name}" })).Value;
        Assert.Empty(Validator.Validate(PolicySet.Parse(Guide["cedar agentcore"]).Value, gateway.Schema!));

        ToolServerModel hive = ToolHiveProfile.Model([new("refund")]).Value;
        EntityDescription client = new ToolHiveClaims().Principal("""{"sub":"ann","email":"ann@shop.example","groups":["support"]}"""u8.ToArray()).Value;
        var response = new AuthorizationResponse();
        new ToolCallAuthorizer(PolicySet.Parse(Guide["cedar toolhive"]).Value, hive).Authorize(
            new ToolCall { Principal = client.Uid, Tool = "refund", Session = client.Attributes, Arguments = """{"amount":100}"""u8 }, EntityStore.Of([client]).Value, response);
        Assert.Equal("Allow by policy0", response.Outcome());
    }

    private static EntityUid Shop => new("Mcp::Server", "https://shop.example/mcp");

    private static CedarRecord Session(int hour, bool agent)
    {
        var attributes = new List<KeyValuePair<string, Value>>
        {
            new("time", Value.OfDatetime(1_795_305_600_000 + (hour * 3_600_000L))),
            new("scopes", Value.Of(new CedarSet())),
            new("chain", Value.Of(new CedarSet())),
        };
        if (agent) attributes.Add(new("agent", Value.Of(Agent)));
        return new(attributes);
    }

    private static McpTool[] ToolsOf(string json)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        return [.. document.RootElement.EnumerateArray().Select(tool => new McpTool(
            tool.GetProperty("name").GetString()!,
            Encoding.UTF8.GetBytes(tool.GetProperty("inputSchema").GetRawText()),
            Enum.Parse<ToolSensitivity>(tool.GetProperty("sensitivity").GetString()!, ignoreCase: true),
            tool.TryGetProperty("class", out JsonElement name) ? name.GetString() : null))];
    }

    [GeneratedRegex("^```(.+)\n((?:.*\n)*?)```$", RegexOptions.Multiline)]
    private static partial Regex Fence();

    [GeneratedRegex("^(?<agent>agent )?(?<tool>\\S+) +(?<arguments>\\{\\S*) +(?<outcome>\\S.*)$")]
    private static partial Regex Line();
}
