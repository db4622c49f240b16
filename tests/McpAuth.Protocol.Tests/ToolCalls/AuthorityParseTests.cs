using McpAuth.Protocol.ToolCalls;

namespace McpAuth.Protocol.Tests.ToolCalls;

[Trait("Spec", "RFC9396-2")]
public sealed class AuthorityParseTests
{
    private const string Digest = "sha-256:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";

    [Fact]
    public void Parse_ExampleOfTheWire_IsRead()
    {
        var (authority, task) = Authority.ParseRequest(Json.Of("""
            [{"type":"mcp_tool_call","locations":["https://files.example/mcp"],"actions":["tools/call"],
              "tools":{"refund":{"args":{"order_id":{"constraint_type":"exact","value":"o-9"},
                                         "amount":{"constraint_type":"range","max":500}},"max_calls":3}},
              "task":{"purpose":"refund order o-9","expires_at":"2026-11-22T12:00:00Z"}}]
            """)).Value;
        var entry = Assert.Single(authority.Locations);
        Assert.Equal(("https://files.example/mcp", 1), (entry.Location, entry.Actions.Count));
        var tool = entry.Tools["refund"];
        Assert.Equal(["amount", "order_id"], tool.Args.Keys);
        Assert.Equal((3L, false, null), (tool.MaxCalls, tool.ApprovalRequired, tool.DefinitionDigest));
        Assert.Equal(new TaskRequest(null, "refund order o-9", new DateTimeOffset(2026, 11, 22, 12, 0, 0, TimeSpan.Zero)), task);
    }

    [Theory]
    [Trait("Spec", "RFC9396-5")]
    [InlineData("{}", "$")]
    [InlineData("null", "$")]
    [InlineData("[1]", "$[0]")]
    [InlineData("""[{"locations":["l"]}]""", "$[0].type")]
    [InlineData("""[{"type":"other","locations":["l"]}]""", "$[0].type")]
    [InlineData("""[{"type":["mcp_tool_call"],"locations":["l"]}]""", "$[0].type")]
    [InlineData("""[{"type":"mcp_tool_call"}]""", "$[0].locations")]
    [InlineData("""[{"type":"mcp_tool_call","locations":"l"}]""", "$[0].locations")]
    [InlineData("""[{"type":"mcp_tool_call","locations":[]}]""", "$[0].locations")]
    [InlineData("""[{"type":"mcp_tool_call","locations":["l","m"]}]""", "$[0].locations")]
    [InlineData("""[{"type":"mcp_tool_call","locations":[""]}]""", "$[0].locations")]
    [InlineData("""[{"type":"mcp_tool_call","locations":["l"]},{"type":"mcp_tool_call","locations":["l"]}]""", "$[1].locations")]
    [InlineData("""[{"type":"mcp_tool_call","locations":["l"],"identifier":"x"}]""", "$[0].identifier")]
    [InlineData("""[{"type":"mcp_tool_call","locations":["l"],"Tools":{}}]""", "$[0].Tools")]
    [InlineData("""[{"type":"mcp_tool_call","locations":["l"],"tools":{},"tools":{}}]""", "$[0].tools")]
    public void Parse_EntryOutsideTheGrammar_IsRefusedWithItsPath(string array, string path) => Refused(Json.Authority(array).Fault, path);

    [Theory]
    [Trait("Spec", "RFC9396-5")]
    [InlineData("\"actions\":\"tools/call\"", "$[0].actions")]
    [InlineData("\"actions\":[\"tools/call\",\"tools/call\"]", "$[0].actions")]
    [InlineData("\"actions\":[\"tools call\"]", "$[0].actions")]
    [InlineData("\"prompts\":[1]", "$[0].prompts")]
    [InlineData("\"prompts\":[\"\"]", "$[0].prompts")]
    [InlineData("\"resources\":{}", "$[0].resources")]
    [InlineData("\"resources\":[{}]", "$[0].resources[0].constraint_type")]
    [InlineData("\"task\":{\"id\":\"tsk_1\"}", "$[0].task")]
    [InlineData("\"tools\":[]", "$[0].tools")]
    [InlineData("\"tools\":{\"a b\":{}}", "$[0].tools['a b']")]
    [InlineData("\"tools\":{\"\":{}}", "$[0].tools['']")]
    [InlineData("\"tools\":{\"\\u0441at\":{}}", "$[0].tools['\\u0441at']")]
    [InlineData("\"tools\":{\"t\":true}", "$[0].tools.t")]
    [InlineData("\"tools\":{\"t\":{\"arguments\":{}}}", "$[0].tools.t.arguments")]
    [InlineData("\"tools\":{\"t\":{\"args\":[]}}", "$[0].tools.t.args")]
    [InlineData("\"tools\":{\"t\":{\"args\":{\"x\":5}}}", "$[0].tools.t.args.x")]
    [InlineData("\"tools\":{\"t\":{\"optional\":[\"x\"]}}", "$[0].tools.t.optional")]
    [InlineData("\"tools\":{\"t\":{\"optional\":true}}", "$[0].tools.t.optional")]
    [InlineData("\"tools\":{\"t\":{\"max_calls\":-1}}", "$[0].tools.t.max_calls")]
    [InlineData("\"tools\":{\"t\":{\"max_calls\":1.5}}", "$[0].tools.t.max_calls")]
    [InlineData("\"tools\":{\"t\":{\"max_calls\":\"3\"}}", "$[0].tools.t.max_calls")]
    [InlineData("\"tools\":{\"t\":{\"max_calls\":null}}", "$[0].tools.t.max_calls")]
    [InlineData("\"tools\":{\"t\":{\"max_calls\":9223372036854775808}}", "$[0].tools.t.max_calls")]
    [InlineData("\"tools\":{\"t\":{\"approval\":\"Required\"}}", "$[0].tools.t.approval")]
    [InlineData("\"tools\":{\"t\":{\"approval\":true}}", "$[0].tools.t.approval")]
    [InlineData("\"tools\":{\"t\":{\"def_digest\":\"sha-256:abc\"}}", "$[0].tools.t.def_digest")]
    [InlineData("\"tools\":{\"t\":{\"def_digest\":\"sha-512:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU\"}}", "$[0].tools.t.def_digest")]
    [InlineData("\"tools\":{\"t\":{\"def_digest\":\"sha-256:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFV\"}}", "$[0].tools.t.def_digest")]
    [InlineData("\"tools\":{\"t\":{\"def_digest\":\"sha-256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU\"}}", "$[0].tools.t.def_digest")]
    public void Parse_MemberOutsideTheGrammar_IsRefusedWithItsPath(string members, string path) => Refused(Json.Authority(Json.Entry(members)).Fault, path);

    [Theory]
    [Trait("Spec", "wire:mcp_tool_call")]
    [InlineData("""{"constraint_type":"regex","value":"a"}""", "constraint_type")]
    [InlineData("""{"constraint_type":"Exact","value":"a"}""", "constraint_type")]
    [InlineData("""{"constraint_type":["exact"],"value":"a"}""", "constraint_type")]
    [InlineData("""{"constraint_type":"exact"}""", "value")]
    [InlineData("""{"constraint_type":"exact","value":1,"values":[]}""", "values")]
    [InlineData("""{"constraint_type":"exact","value":{"a":1,"a":2}}""", "value")]
    [InlineData("""{"constraint_type":"exact","value":1e9999999999999999}""", "value")]
    [InlineData("""{"constraint_type":"one_of","value":1}""", "value")]
    [InlineData("""{"constraint_type":"one_of"}""", "values")]
    [InlineData("""{"constraint_type":"one_of","values":"a"}""", "values")]
    [InlineData("""{"constraint_type":"not_one_of","values":[1,{"a":1,"a":1}]}""", "values[1]")]
    [InlineData("""{"constraint_type":"range","min":"1"}""", "min")]
    [InlineData("""{"constraint_type":"range","max":null}""", "max")]
    [InlineData("""{"constraint_type":"range","max":1,"max_inclusive":"true"}""", "max_inclusive")]
    [InlineData("""{"constraint_type":"range","minimum":1}""", "minimum")]
    [InlineData("""{"constraint_type":"prefix","value":1}""", "value")]
    [InlineData("""{"constraint_type":"path_under","value":["/a"]}""", "value")]
    [InlineData("""{"constraint_type":"wildcard","value":1}""", "value")]
    [InlineData("""{"constraint_type":"any","of":[]}""", "of")]
    [InlineData("""{"constraint_type":"any"}""", "of")]
    [InlineData("""{"constraint_type":"all","of":{}}""", "of")]
    [InlineData("""{"constraint_type":"all","of":[{"constraint_type":"wildcard"},{"constraint_type":"all","of":[7]}]}""", "of[1].of[0]")]
    public void Parse_ConstraintOutsideTheGrammar_IsRefusedWithItsPath(string constraint, string path) =>
        Refused(Json.TryConstraint(constraint).Fault, "$[0].resources[0]." + path);

    [Fact]
    [Trait("Spec", "wire:mcp_tool_call")]
    public void Parse_256Clauses_AreReadAndOneMoreIsRefused()
    {
        // Counted over the whole array: 128 in the one entry, and the rest, their `all` included, in the other.
        string Clauses(int count) => string.Join(',', Enumerable.Repeat("""{"constraint_type":"wildcard"}""", count));
        string Array(int inAll) => $$$"""
            [{"type":"mcp_tool_call","locations":["a"],"resources":[{{{Clauses(128)}}}]},
             {"type":"mcp_tool_call","locations":["b"],"tools":{"t":{"args":{"x":{"constraint_type":"all","of":[{{{Clauses(inAll)}}}]} } } } }]
            """;
        Assert.Null(Json.Authority(Array(127)).Fault);
        Refused(Json.Authority(Array(128)).Fault, "$[1].tools.t.args.x.of[127]");
    }

    [Fact]
    [Trait("Spec", "wire:mcp_tool_call")]
    public void Parse_32Levels_AreReadAndOneMoreIsRefused()
    {
        string Nested(int levels) => levels == 1 ? """{"constraint_type":"wildcard"}""" : "{\"constraint_type\":\"any\",\"of\":[" + Nested(levels - 1) + "]}";
        Assert.Null(Json.TryConstraint(Nested(32)).Fault);
        Assert.Equal("invalid_authorization_details", Json.TryConstraint(Nested(33)).Fault?.Code);
    }

    [Fact]
    public void Parse_NameOf128Characters_IsReadAndOneMoreIsRefused()
    {
        Assert.Null(Json.Authority(Json.Entry($"\"tools\":{{\"{new string('a', 128)}\":{{}}}}")).Fault);
        Assert.NotNull(Json.Authority(Json.Entry($"\"tools\":{{\"{new string('a', 129)}\":{{}}}}")).Fault);
    }

    [Fact]
    public void Parse_FaultAtAHostileName_IsPrintableAndShort()
    {
        var path = Json.Authority(Json.Entry($"\"tools\":{{\"a'\\u001b[31m{new string('x', 5000)}\":{{}}}}")).Fault!.Path!;
        Assert.StartsWith(@"$[0].tools['a\'\u001b[31mxxx", path, StringComparison.Ordinal);
        Assert.InRange(path.Length, 1, 120);
    }

    [Theory]
    [InlineData("""{"id":"tsk_1"}""", true)]
    [InlineData("""{"purpose":"p"}""", true)]
    [InlineData("""{"purpose":"p","expires_at":"2026-11-22T12:00:00.5+01:00"}""", true)]
    [InlineData("""{}""", false)]
    [InlineData("""{"id":""}""", false)]
    [InlineData("""{"id":1}""", false)]
    [InlineData("""{"id":"tsk_1","purpose":"p"}""", false)]
    [InlineData("""{"expires_at":"2026-11-22T12:00:00Z"}""", false)]
    [InlineData("""{"purpose":"p","expires_at":"2026-11-22T12:00:00"}""", false)]
    [InlineData("""{"purpose":"p","expires_at":"2026-11-22"}""", false)]
    [InlineData("""{"purpose":"p","expires_at":"2026-11-22 12:00:00Z"}""", false)]
    [InlineData("""{"purpose":"p","expires_at":1795345200}""", false)]
    [InlineData("""{"purpose":"p","budget":1}""", false)]
    [InlineData("""[]""", false)]
    public void ParseRequest_Task_IsARunningOneOrANewOne(string task, bool read)
    {
        var result = Authority.ParseRequest(Json.Of(Json.Entry("\"task\":" + task)));
        Assert.Equal(read, result.Ok);
        if (!read)
            Assert.StartsWith("$[0].task", result.Fault!.Path, StringComparison.Ordinal);
    }

    [Fact]
    public void ParseRequest_TwoTasks_MustAgree()
    {
        string Both(string first, string second) =>
            $$"""[{"type":"mcp_tool_call","locations":["a"]{{first}}},{"type":"mcp_tool_call","locations":["b"]{{second}}},{"type":"mcp_tool_call","locations":["c"]}]""";
        const string One = ",\"task\":{\"id\":\"tsk_1\"}", Two = ",\"task\":{\"id\":\"tsk_2\"}";
        Assert.Equal("tsk_1", Authority.ParseRequest(Json.Of(Both("", One))).Value.Task?.Id);
        Assert.Equal("tsk_1", Authority.ParseRequest(Json.Of(Both(One, One))).Value.Task?.Id);
        Refused(Authority.ParseRequest(Json.Of(Both(One, Two))).Fault, "$[1].task");
        Assert.Null(Authority.ParseRequest(Json.Of(Both("", ""))).Value.Task);
    }

    [Fact]
    public void Parse_TaskWhereItIsAllowed_IsCheckedAndLeftOut()
    {
        Assert.Equal(Json.Entry(""), Authority.Parse(Json.Of(Json.Entry("\"task\":{\"id\":\"tsk_1\"}")), allowTask: true).Value.ToJson());
        Refused(Authority.Parse(Json.Of(Json.Entry("\"task\":{\"name\":\"x\"}")), allowTask: true).Fault, "$[0].task.name");
    }

    [Fact]
    public void Parse_Digest_IsKept() =>
        Assert.Equal(Digest, Json.Tool($"\"def_digest\":\"{Digest}\"").DefinitionDigest);

    private static void Refused(Fault? fault, string path) => Assert.Equal(("invalid_authorization_details", path), (fault?.Code, fault?.Path));
}
