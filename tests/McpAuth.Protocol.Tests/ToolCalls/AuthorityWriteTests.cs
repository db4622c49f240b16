using System.Buffers;
using System.Text;
using System.Text.Json;
using McpAuth.Protocol.ToolCalls;

namespace McpAuth.Protocol.Tests.ToolCalls;

public sealed class AuthorityWriteTests
{
    [Theory]
    [InlineData("[]")]
    [InlineData("""[{"type":"mcp_tool_call","locations":["https://b"]},{"type":"mcp_tool_call","locations":["https://a"]}]""")]
    public void Write_Locations_KeepTheirOrder(string array) => Assert.Equal(array, Json.Authority(array).Value.ToJson());

    [Theory]
    [InlineData("\"actions\":[\"resources/read\",\"tools/call\"],\"prompts\":[\"p\",\"q\"]")]
    [InlineData("\"tools\":{\"a\":{},\"b\":{\"def_digest\":\"sha-256:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU\",\"max_calls\":0,\"approval\":\"required\"}}")]
    [InlineData("\"tools\":{\"t\":{\"args\":{\"x\":{\"constraint_type\":\"wildcard\"}},\"optional\":[\"x\"]}}")]
    public void Write_Members_RoundTrip(string members) => Assert.Equal(Json.Entry(members), Json.Authority(Json.Entry(members)).Value.ToJson());

    [Theory]
    [InlineData("""{"constraint_type":"exact","value":{"b":[1.00,null,true],"a":"x"}}""")]
    [InlineData("""{"constraint_type":"one_of","values":[1e2,100,"a",false]}""")]
    [InlineData("""{"constraint_type":"not_one_of","values":[]}""")]
    [InlineData("""{"constraint_type":"contains","values":["b","a"]}""")]
    [InlineData("""{"constraint_type":"subset","values":[[]]}""")]
    [InlineData("""{"constraint_type":"range"}""")]
    [InlineData("""{"constraint_type":"range","min":0.10,"min_inclusive":false,"max":1e3}""")]
    [InlineData("""{"constraint_type":"range","max":5,"max_inclusive":false}""")]
    [InlineData("""{"constraint_type":"prefix","value":""}""")]
    [InlineData("""{"constraint_type":"path_under","value":"a/b"}""")]
    [InlineData("""{"constraint_type":"all","of":[]}""")]
    [InlineData("""{"constraint_type":"any","of":[{"constraint_type":"wildcard"},{"constraint_type":"all","of":[{"constraint_type":"prefix","value":"a"}]}]}""")]
    public void Write_Constraint_RoundTripsToTheNumbersSpelling(string constraint)
    {
        var text = Json.Entry($"\"resources\":[{constraint}]");
        Assert.Equal(text, Json.Authority(text).Value.ToJson());
    }

    [Fact]
    public void Write_DefaultsAndOrder_AreNormalised()
    {
        const string Sent = """
            "tools":{"b":{"args":{},"optional":[],"approval":"none"},"B":{},"a":{"args":{"y":{"constraint_type":"range","min_inclusive":true,"max":1,"min_inclusive":true},
            """;
        Assert.False(Json.Authority(Json.Entry(Sent + "\"x\":{\"constraint_type\":\"wildcard\"}}}}")).Ok); // a repeated member
        var read = Json.Authority(Json.Entry(Sent.Replace(",\"min_inclusive\":true}", "}", StringComparison.Ordinal) + "\"x\":{\"constraint_type\":\"wildcard\"}}}}"));
        Assert.Equal(Json.Entry("\"tools\":{\"B\":{},\"a\":{\"args\":{\"x\":{\"constraint_type\":\"wildcard\"},\"y\":{\"constraint_type\":\"range\",\"max\":1}}},\"b\":{}}"),
            read.Value.ToJson());
    }

    [Fact]
    public void Write_AnyGeneratedConstraint_IsReadBackAsItself()
    {
        var generator = new Generator(77);
        foreach (var type in Enumerable.Repeat(Pairs.Types, 30).SelectMany(types => types))
        {
            var authority = Json.TryConstraint(generator.Constraint(type).ToJsonString()).Value;
            var again = Json.Authority(authority.ToJson()).Value;
            Assert.Equal(authority.ToJson(), again.ToJson());
            Assert.Null(authority.Exceeds(again));
            Assert.Null(again.Exceeds(authority));
        }
    }

    [Fact]
    public void Write_TaskId_IsInEveryEntry()
    {
        var authority = Json.Authority("""[{"type":"mcp_tool_call","locations":["a"],"prompts":["p"]},{"type":"mcp_tool_call","locations":["b"]}]""").Value;
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
            authority.Write(writer, "tsk_1");
        var text = Encoding.UTF8.GetString(buffer.WrittenSpan);
        Assert.Equal("""
            [{"type":"mcp_tool_call","locations":["a"],"prompts":["p"],"task":{"id":"tsk_1"}},{"type":"mcp_tool_call","locations":["b"],"task":{"id":"tsk_1"}}]
            """, text);
        var (again, task) = Authority.ParseRequest(Json.Of(text)).Value;
        Assert.Equal(("tsk_1", authority.ToJson()), (task?.Id, again.ToJson()));
    }

    [Fact]
    public void Parse_DocumentDisposedAfterwards_AuthorityStands()
    {
        Authority authority;
        using (var document = JsonDocument.Parse(Json.Entry("""
            "resources":[{"constraint_type":"one_of","values":["a",{"b":1}]},{"constraint_type":"range","min":1}]
            """)))
            authority = Authority.Parse(document.RootElement).Value;
        Assert.Contains("{\"b\":1}", authority.ToJson(), StringComparison.Ordinal);
        Assert.True(authority.Locations[0].Resources[0].Admits(Json.Of("{\"b\":1.0}")));
    }

    [Fact]
    public void ToScope_Tools_AreInOrdinalOrder()
    {
        var authority = Json.Authority(Json.Entry("\"actions\":[\"tools/call\"],\"tools\":{\"b\":{},\"a.z\":{\"max_calls\":1},\"B\":{},\"_\":{}}")).Value;
        Assert.Equal("tool:B tool:_ tool:a.z tool:b", authority.ToScope(Json.Location));
        Assert.Equal("", authority.ToScope("https://other.example"));
        Assert.Equal("", Authority.None.ToScope(Json.Location));
    }

    [Theory]
    [InlineData("\"tools\":{\"a\":{}}")]
    [InlineData("\"actions\":[\"tools/list\"],\"tools\":{\"a\":{}}")]
    [InlineData("\"actions\":[\"tools/call\"]")]
    public void ToScope_NothingThatMayBeCalled_IsEmpty(string members) =>
        Assert.Equal("", Json.Authority(Json.Entry(members)).Value.ToScope(Json.Location));

    [Fact]
    public void ForTools_Names_AreThoseToolsWithAnyArguments()
    {
        var authority = Authority.ForTools(Json.Location, ["b", "a", "b"]);
        Assert.Equal(Json.Entry("\"actions\":[\"tools/call\"],\"tools\":{\"a\":{},\"b\":{}}"), authority.ToJson());
        Assert.Equal("tool:a tool:b", authority.ToScope(Json.Location));
        Assert.Null(Json.Authority(Json.Entry("\"actions\":[\"tools/call\"],\"tools\":{\"a\":{\"max_calls\":1}}")).Value.Exceeds(authority));
        Assert.Throws<ArgumentException>(() => Authority.ForTools(Json.Location, ["a b"]));
    }

    [Fact]
    public void At_Location_IsFoundExactly()
    {
        var authority = Json.Authority("""[{"type":"mcp_tool_call","locations":["a"]},{"type":"mcp_tool_call","locations":["b"],"prompts":["p"]}]""").Value;
        Assert.Equal("b", authority.At("b")?.Location);
        Assert.Null(authority.At("B"));
        Assert.Equal("""[{"type":"mcp_tool_call","locations":["b"],"prompts":["p"]}]""", authority.OnlyAt("b").ToJson());
        Assert.True(authority.OnlyAt("c").IsEmpty);
        Assert.True(Authority.None.IsEmpty);
        Assert.False(authority.IsEmpty);
    }
}
