using System.Diagnostics;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Json;
using McpGuard.Sdk.Schema;

namespace McpGuard.Sdk.Tests;

/// <summary>The JSON Schema subset: what it admits, and that what it does not understand it does not ignore.</summary>
public sealed class SchemaTests
{
    [Theory]
    [InlineData("""{"type":"string"}""", "\"a\"", true)]
    [InlineData("""{"type":"string"}""", "1", false)]
    [InlineData("""{"type":"integer"}""", "1", true)]
    [InlineData("""{"type":"integer"}""", "1.0", true)]
    [InlineData("""{"type":"integer"}""", "1e2", true)]
    [InlineData("""{"type":"integer"}""", "1.5", false)]
    [InlineData("""{"type":"integer"}""", "\"100\"", false)]
    [InlineData("""{"type":"number"}""", "1.5", true)]
    [InlineData("""{"type":"boolean"}""", "\"true\"", false)]
    [InlineData("""{"type":["string","null"]}""", "null", true)]
    [InlineData("""{"type":["string","null"]}""", "[]", false)]
    [InlineData("""{"type":["integer","string"]}""", "1.5", false)]
    [InlineData("""{"enum":["a",1,null]}""", "1.0", true)]
    [InlineData("""{"enum":["a",1,null]}""", "\"b\"", false)]
    [InlineData("""{"const":{"a":[1]}}""", """{"a":[1]}""", true)]
    [InlineData("""{"const":{"a":[1]}}""", """{"a":[2]}""", false)]
    [InlineData("""{"minimum":1,"maximum":3}""", "3", true)]
    [InlineData("""{"minimum":1,"maximum":3}""", "3.01", false)]
    [InlineData("""{"exclusiveMinimum":1}""", "1", false)]
    [InlineData("""{"exclusiveMaximum":3}""", "3", false)]
    [InlineData("""{"multipleOf":0.1}""", "0.3", true)]
    [InlineData("""{"multipleOf":0.1}""", "0.35", false)]
    [InlineData("""{"minLength":2,"maxLength":2}""", "\"\\ud834\\udd1e\\ud834\\udd1e\"", true)]
    [InlineData("""{"maxLength":1}""", "\"ab\"", false)]
    [InlineData("""{"pattern":"^[a-z]+$"}""", "\"abc\"", true)]
    [InlineData("""{"pattern":"^[a-z]+$"}""", "\"abc\\n\"", false)]
    [InlineData("""{"pattern":"^\\d+$"}""", "\"\\u0661\"", false)]
    [InlineData("""{"pattern":"^\\w+$"}""", "\"\\u00e9\"", false)]
    [InlineData("""{"pattern":"^.$"}""", "\"\\r\"", false)]
    [InlineData("""{"pattern":"b"}""", "\"abc\"", true)]
    [InlineData("""{"items":{"type":"string"},"minItems":1}""", """["a"]""", true)]
    [InlineData("""{"items":{"type":"string"},"minItems":1}""", "[]", false)]
    [InlineData("""{"items":{"type":"string"}}""", """["a",1]""", false)]
    [InlineData("""{"uniqueItems":true}""", "[1,1.0]", false)]
    [InlineData("""{"uniqueItems":true}""", """[{"a":1,"b":2},{"b":2,"a":1}]""", false)]
    [InlineData("""{"properties":{"a":{"type":"string"}},"additionalProperties":false}""", """{"b":1}""", false)]
    [InlineData("""{"additionalProperties":{"type":"integer"}}""", """{"x":"y"}""", false)]
    [InlineData("""{"propertyNames":{"pattern":"^x"}}""", """{"y":1}""", false)]
    [InlineData("""{"minProperties":1,"maxProperties":1}""", """{"a":1,"b":2}""", false)]
    [InlineData("""{"required":["a"]}""", """{"A":1}""", false)]
    [InlineData("""{"anyOf":[{"type":"string"},{"minimum":5}]}""", "6", true)]
    [InlineData("""{"anyOf":[{"type":"string"},{"minimum":5}]}""", "4", false)]
    [InlineData("""{"oneOf":[{"minimum":1},{"minimum":5}]}""", "6", false)]
    [InlineData("""{"oneOf":[{"minimum":1},{"minimum":5}]}""", "2", true)]
    [InlineData("""{"allOf":[{"minimum":1},{"maximum":5}]}""", "6", false)]
    [InlineData("""{"not":{"type":"string"}}""", "\"a\"", false)]
    [InlineData("""{"not":{"type":"string"}}""", "1", true)]
    [InlineData("""{"$ref":"#/$defs/id","$defs":{"id":{"type":"string"}}}""", "1", false)]
    [InlineData("""{"$defs":{"tree":{"type":"object","properties":{"next":{"$ref":"#/$defs/tree"}},"additionalProperties":false}},"$ref":"#/$defs/tree"}""", """{"next":{"next":{}}}""", true)]
    [InlineData("""{"$defs":{"tree":{"type":"object","properties":{"next":{"$ref":"#/$defs/tree"}},"additionalProperties":false}},"$ref":"#/$defs/tree"}""", """{"next":{"other":{}}}""", false)]
    [InlineData("""{"if":{"type":"string"},"then":{"minLength":2},"else":{"minimum":5}}""", "\"ab\"", true)]
    [InlineData("""{"if":{"type":"string"},"then":{"minLength":2},"else":{"minimum":5}}""", "\"a\"", false)]
    [InlineData("""{"if":{"type":"string"},"then":{"minLength":2},"else":{"minimum":5}}""", "5", true)]
    [InlineData("""{"if":{"type":"string"},"then":{"minLength":2},"else":{"minimum":5}}""", "4", false)]
    [InlineData("""{"if":{"type":"string"},"else":{"minimum":5}}""", "\"a\"", true)]
    [InlineData("""{"if":{"type":"string"},"then":{"minLength":2}}""", "4", true)]
    [InlineData("""{"if":{"type":"string"}}""", "4", true)]
    [InlineData("""{"then":{"minLength":2},"else":{"minimum":5}}""", "4", true)]
    [InlineData("true", "1", true)]
    [InlineData("false", "1", false)]
    [Trait("Spec", "JSONSCHEMA-2020-12")]
    public void Value_AgainstASchema_IsAdmittedExactlyWhenValid(string schema, string value, bool valid)
    {
        ToolSchema tool = Tool($$$"""{"type":"object","properties":{"v":{{{schema.Replace("#/$defs", "#/properties/v/$defs", StringComparison.Ordinal)}}}}}""");
        Fault? fault = tool.Validate(Json($$"""{"v":{{value}}}"""));
        Assert.True(valid == fault is null, fault?.ToString());
    }

    [Theory]
    [InlineData("""{"if":1}""")]
    [InlineData("""{"dependentSchemas":{}}""")]
    [InlineData("""{"patternProperties":{}}""")]
    [InlineData("""{"prefixItems":[]}""")]
    [InlineData("""{"unevaluatedProperties":false}""")]
    [InlineData("""{"dependentRequired":{}}""")]
    [InlineData("""{"contains":{}}""")]
    [InlineData("""{"$dynamicRef":"#a"}""")]
    [InlineData("""{"$ref":"https://evil.example/schema"}""")]
    [InlineData("""{"$ref":"#/nowhere"}""")]
    [InlineData("""{"pattern":"(?=a)b"}""")]
    [InlineData("""{"pattern":"(a)\\1"}""")]
    [InlineData("""{"pattern":"["}""")]
    [InlineData("""{"type":"text"}""")]
    [InlineData("""{"minimum":"1"}""")]
    [InlineData("""{"multipleOf":0}""")]
    [InlineData("""{"required":"a"}""")]
    [InlineData("""{"invented":true}""")]
    public void Keyword_NotUnderstood_MakesTheSchemaUnusable(string schema)
    {
        Assert.False(ToolSchema.Compile(Json($$$"""{"type":"object","properties":{"v":{{{schema}}}}}""")).TryGet(out _, out Fault? fault));
        Assert.Equal("unsupported_schema", fault.Code);
        Assert.StartsWith("$.properties.v", fault.Path, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"type":"object"}""", false)]
    [InlineData("""{"type":"object","additionalProperties":true}""", true)]
    [InlineData("""{"type":"object","additionalProperties":{"type":"integer"}}""", true)]
    [InlineData("""{"type":"object","allOf":[{"properties":{"extra":{}}}]}""", true)]
    [InlineData("""{"type":"object","if":{"required":["a"]},"else":{"properties":{"extra":{}}}}""", true)]
    [InlineData("""{"type":"object","if":{"properties":{"extra":{}}}}""", false)]
    [InlineData("""{"type":"object","if":{"additionalProperties":true}}""", false)]
    public void Argument_NobodyRegistered_IsDeniedUnlessTheAuthorWelcomesIt(string schema, bool welcome) =>
        Assert.Equal(welcome, Tool(schema).Validate(Json("""{"extra":1}""")) is null);

    [Fact]
    public void Defaults_AreFilledInDeepAndOnlyWhereAbsent()
    {
        ToolSchema tool = Tool("""{"type":"object","properties":{"a":{"default":1},"b":{"type":"object","properties":{"c":{"default":"x"}}},"n":{"default":5}}}""");
        JsonElement filled = tool.FillDefaults(Json("""{"b":{},"n":null}"""));
        Assert.Equal("""{"a":1,"b":{"c":"x"},"n":null}""", System.Text.Encoding.UTF8.GetString(CanonicalJson.ToBytes(filled)));
    }

    [Fact]
    [Trait("Attack", "166")]
    public void Pattern_OnALongHostileText_AnswersInTime()
    {
        ToolSchema tool = Tool("""{"type":"object","properties":{"v":{"pattern":"^(a+)+$"}}}""");
        JsonElement value = Json($$"""{"v":"{{new string('a', 100_000)}}!"}""");
        long started = Stopwatch.GetTimestamp();
        Assert.NotNull(tool.Validate(value));
        // A reader that goes back would need longer than there is time.
        Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(10));
    }

    /// <summary>What could not be looked through in time is neither a match nor none.</summary>
    [Theory]
    [Trait("Attack", "166")]
    [InlineData("""{"pattern":"^a"}""")]
    [InlineData("""{"not":{"pattern":"^b"}}""")]
    [InlineData("""{"oneOf":[{"pattern":"^b"},{"type":"string"}]}""")]
    [InlineData("""{"if":{"pattern":"^b"},"then":{"maxLength":1}}""")]
    public void Pattern_ThatDoesNotAnswerInTime_IsDenied(string rule)
    {
        ToolSchema tool = Tool($$"""{"type":"object","properties":{"v":{{rule}} } }""");
        JsonElement value = Json("""{"v":"abba"}""");
        Assert.Null(tool.Validate(value));
        Assert.NotNull(tool.Validate(value, patternsWithin: TimeSpan.Zero));
    }

    /// <summary>Whatever the machine does besides: an answer that came late must not turn into another one.</summary>
    [Fact]
    [Trait("Attack", "166")]
    public void Pattern_OnABusyMachine_AnswersTheSame()
    {
        ToolSchema tool = Tool("""{"type":"object","properties":{"v":{"pattern":"^(a+)+$"}}}""");
        string text = new('a', 300_000);
        JsonElement wrong = Json($$"""{"v":"{{text}}!"}"""), right = Json($$"""{"v":"{{text}}"}""");
        var answers = new (bool Wrong, bool Right)[200];
        Parallel.For(0, answers.Length, new ParallelOptions { MaxDegreeOfParallelism = 32 }, i => answers[i] = (tool.Validate(wrong) is not null, tool.Validate(right) is null));
        Assert.All(answers, answer => Assert.Equal((true, true), answer));
    }

    [Fact]
    [Trait("Attack", "166")]
    public void Alternatives_ThatMultiply_AreDeniedNotFollowedForever()
    {
        string schema = """{"type":"object","properties":{"v":{"$ref":"#/$defs/n"}},"$defs":{"n":{"oneOf":[{"type":"array","items":{"$ref":"#/$defs/n"}},{"type":"array","items":{"$ref":"#/$defs/n"},"not":{}}]}}}""";
        string value = string.Concat(Enumerable.Repeat("[", 40)) + string.Concat(Enumerable.Repeat("]", 40));
        long started = Stopwatch.GetTimestamp();
        Fault? fault = Tool(schema).Validate(Json($$"""{"v":{{value}}}"""));
        Assert.NotNull(fault);
        Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(10));
    }

    [Fact]
    public void Reference_ToItself_IsDeniedNotFollowedForever() =>
        Assert.NotNull(Tool("""{"type":"object","properties":{"v":{"$ref":"#/properties/v"}}}""").Validate(Json("""{"v":1}""")));

    [Theory]
    [Trait("Spec", "MCP-2026-07-28-headers")]
    [InlineData("""{"properties":{"v":{"type":"string","x-mcp-header":"Region"}}}""", "Mcp-Param-Region")]
    [InlineData("""{"properties":{"v":{"type":["integer","null"],"x-mcp-header":"a!#$%&'*+-.^_`|~1"}}}""", "Mcp-Param-a!#$%&'*+-.^_`|~1")]
    [InlineData("""{"properties":{"v":{"properties":{"w":{"type":"boolean","x-mcp-header":"Deep"}}}}}""", "Mcp-Param-Deep")]
    public void HeaderAnnotation_OfAPrimitiveArgument_NamesItsHeader(string schema, string header) =>
        Assert.Equal(header, Assert.Single(Tool(schema).HeaderParameters).Header);

    /// <summary>Clients leave such a tool out; so does the guard, which could not tell what its callers have to send.</summary>
    [Theory]
    [Trait("Spec", "MCP-2026-07-28-headers")]
    [InlineData("""{"properties":{"v":{"type":"string","x-mcp-header":""}}}""")]
    [InlineData("""{"properties":{"v":{"type":"string","x-mcp-header":"a b"}}}""")]
    [InlineData("""{"properties":{"v":{"type":"string","x-mcp-header":"a\r\nX-Evil: 1"}}}""")]
    [InlineData("""{"properties":{"v":{"type":"string","x-mcp-header":"ä"}}}""")]
    [InlineData("""{"properties":{"v":{"type":"number","x-mcp-header":"A"}}}""")]
    [InlineData("""{"properties":{"v":{"type":["string","array"],"x-mcp-header":"A"}}}""")]
    [InlineData("""{"properties":{"v":{"type":"null","x-mcp-header":"A"}}}""")]
    [InlineData("""{"properties":{"v":{"x-mcp-header":"A"}}}""")]
    [InlineData("""{"properties":{"v":{"type":"string","x-mcp-header":"A"},"w":{"type":"string","x-mcp-header":"a"}}}""")]
    [InlineData("""{"type":"string","x-mcp-header":"A"}""")]
    [InlineData("""{"properties":{"v":{"items":{"type":"string","x-mcp-header":"A"}}}}""")]
    [InlineData("""{"allOf":[{"properties":{"v":{"type":"string","x-mcp-header":"A"}}}]}""")]
    [InlineData("""{"if":{"properties":{"v":{"type":"string","x-mcp-header":"A"}}}}""")]
    [InlineData("""{"properties":{"v":{"$ref":"#/$defs/v"}},"$defs":{"v":{"type":"string","x-mcp-header":"A"}}}""")]
    public void HeaderAnnotation_AnywhereElseOrOfAnotherForm_MakesTheDefinitionInvalid(string schema)
    {
        Assert.False(ToolSchema.Compile(Json(schema)).TryGet(out _, out Fault? fault));
        Assert.Equal("invalid_header_annotation", fault.Code);
    }

    private static ToolSchema Tool(string schema) => ToolSchema.Compile(Json(schema)).Value;

    private static JsonElement Json(string text) => JsonDocument.Parse(text).RootElement;
}
