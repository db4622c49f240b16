using System.Text;
using McpAuth.Cedar.Mcp;

namespace McpAuth.Cedar.Tests.Mcp;

public class InputTypesTests
{
    [Theory, Trait("Spec", "JSONSchema2020-12")]
    [InlineData("""{"type":"string"}""", "String")]
    [InlineData("""{"type":"boolean"}""", "Bool")]
    [InlineData("""{"type":"integer"}""", "Long")]
    [InlineData("""{"type":"number","minimum":0}""", "decimal")]
    [InlineData("""{"type":["integer","number"]}""", "decimal")]
    [InlineData("""{"type":"array","items":{"type":"integer"}}""", "Set<Long>")]
    [InlineData("""{"type":"array","items":{"type":"array","items":{"type":"string"}}}""", "Set<Set<String>>")]
    [InlineData("""{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"number"}},"required":["b"]}""", "{a?: String, b: decimal}")]
    [InlineData("""{"type":"object","additionalProperties":false}""", "{}")]
    [InlineData("""{"enum":["a","b"]}""", "String")]
    [InlineData("""{"enum":[1,2.0,3e2]}""", "Long")]
    [InlineData("""{"enum":[1,2.5]}""", "decimal")]
    [InlineData("""{"enum":[true]}""", "Bool")]
    [InlineData("""{"const":"x"}""", "String")]
    [InlineData("""{"type":"integer","enum":[1,2]}""", "Long")]
    [InlineData("""{"anyOf":[{"type":"string","format":"uri"},{"type":"string","maxLength":3}]}""", "String")]
    [InlineData("""{"oneOf":[{"type":"integer"},{"type":"number"}]}""", "decimal")]
    [InlineData("""{"allOf":[{"type":"boolean"}]}""", "Bool")]
    [InlineData("""{"type":"string","anyOf":[{"minLength":1},{"const":""}]}""", "String")]
    public void Type_WithOneCedarType_IsThat(string schema, string type)
    {
        var input = Of($$"""{"type":"object","properties":{"p":{{schema}}},"required":["p"]}""");
        Assert.Empty(input.Notes);
        Assert.Equal($"{{p: {type}}}", Tools.Show(input.Type));
    }

    [Theory, Trait("Spec", "JSONSchema2020-12")]
    [InlineData("""{"type":["string","null"]}""", "String")]
    [InlineData("""{"anyOf":[{"type":"integer"},{"type":"null"}]}""", "Long")]
    [InlineData("""{"oneOf":[{"const":null},{"type":"boolean"}]}""", "Bool")]
    [InlineData("""{"anyOf":[{"enum":[null]},{"type":"string"},{"type":"string","format":"date"}]}""", "String")]
    [InlineData("""{"enum":["a",null]}""", "String")]
    [InlineData("""{"type":"number","nullable":true}""", "decimal")]
    [InlineData("""{"anyOf":[{"$ref":"#/$defs/nullable"}]}""", "String")]
    public void Type_ThatMayBeNull_IsOptionalAlthoughRequired(string schema, string type)
    {
        var input = Of("""{"type":"object","properties":{"p":SCHEMA},"required":["p"],"$defs":{"nullable":{"type":["null","string"]}}}""".Replace("SCHEMA", schema, StringComparison.Ordinal));
        Assert.Empty(input.Notes);
        Assert.Equal($"{{p?: {type}}}", Tools.Show(input.Type));
    }

    [Theory, Trait("Spec", "JSONSchema2020-12")]
    [InlineData("{}", "It has no type.")]
    [InlineData("true", "It allows anything.")]
    [InlineData("false", "It allows nothing.")]
    [InlineData("7", "It is no schema.")]
    [InlineData("""{"description":"any"}""", "It has no type.")]
    [InlineData("""{"properties":{"a":{"type":"string"}}}""", "It has no type.")]
    [InlineData("""{"type":["string","integer"]}""", "It may be of several types.")]
    [InlineData("""{"type":["a","b","c","d","e","f","g","h"]}""", "It may be of several types.")]
    [InlineData("""{"type":"text"}""", "Its type is none of JSON Schema.")]
    [InlineData("""{"type":7}""", "Its type is none of JSON Schema.")]
    [InlineData("""{"type":"\ud800"}""", "Its type is none of JSON Schema.")]
    [InlineData("""{"anyOf":[{"type":"\ud800"},{"type":"string"}]}""", "It may be of several types.")]
    [InlineData("""{"const":"\ud800"}""", "Its values are not of one type.")]
    [InlineData("""{"$ref":"#/$defs/\ud800"}""", "It refers to nothing in this schema.")]
    [InlineData("""{"type":"null"}""", "It is always null.")]
    [InlineData("""{"type":"array"}""", "Its members are not described.")]
    [InlineData("""{"type":"array","prefixItems":[{"type":"string"}]}""", "Its members have types by their position.")]
    [InlineData("""{"type":"array","items":[{"type":"string"}]}""", "Its members have types by their position.")]
    [InlineData("""{"type":"object"}""", "Its members are not described.")]
    [InlineData("""{"type":"object","additionalProperties":{"type":"string"}}""", "Its members are not described.")]
    [InlineData("""{"type":"object","additionalProperties":false,"patternProperties":{"^x":{"type":"string"}}}""", "Its members are not described.")]
    [InlineData("""{"type":"object","properties":[]}""", "Its members are not described as an object.")]
    [InlineData("""{"enum":["a",1]}""", "Its values are not of one type.")]
    [InlineData("""{"enum":[{"a":1}]}""", "Its values are not of one type.")]
    [InlineData("""{"enum":[]}""", "Its values are not of one type.")]
    [InlineData("""{"const":null}""", "Its values are not of one type.")]
    [InlineData("""{"anyOf":[{"type":"string"},{"type":"integer"}]}""", "It may be of several types.")]
    [InlineData("""{"anyOf":[{"type":"string"},{}]}""", "It may be of several types.")]
    [InlineData("""{"anyOf":[{"type":"object","properties":{"a":{"type":"string"}}},{"type":"object","properties":{"a":{"type":"string"}}}]}""", "It may be of several types.")]
    [InlineData("""{"anyOf":[]}""", "It may be of several types.")]
    [InlineData("""{"anyOf":7}""", "It has no type.")]
    [InlineData("""{"allOf":[{"type":"string"},{"minLength":1}]}""", "It must meet several schemas at once.")]
    [InlineData("""{"$ref":"https://other.example/s.json"}""", "It refers to nothing in this schema.")]
    [InlineData("""{"$ref":"#anchor"}""", "It refers to nothing in this schema.")]
    [InlineData("""{"$ref":"#/$defs/none"}""", "It refers to nothing in this schema.")]
    [InlineData("""{"$ref":7}""", "It refers to nothing in this schema.")]
    [InlineData("""{"$ref":"#/$defs/text","type":"string"}""", "It has a description beside the reference.")]
    [InlineData("""{"$dynamicRef":"#x"}""", "It refers to what only a validator can find.")]
    [InlineData("""{"$id":"https://a.example/s","type":"string"}""", "It is a schema resource of its own.")]
    public void Type_WithoutOneCedarType_IsLeftOutAndTold(string schema, string reason)
    {
        var input = Of("""{"type":"object","properties":{"p":SCHEMA,"q":{"type":"string"}},"required":["p"],"$defs":{"text":{"type":"string"}}}""".Replace("SCHEMA", schema, StringComparison.Ordinal));
        Assert.Equal("{q?: String}", Tools.Show(input.Type));
        var note = Assert.Single(input.Notes);
        Assert.Equal((reason, "$.properties.p"), (note.Message, note.Path));
    }

    [Fact, Trait("Spec", "JSONSchema2020-12")]
    public void Members_InWhichSomethingHasNoType_AreToldWhereItIs()
    {
        var input = Of("""
            {"type":"object","properties":{
              "list":{"type":"array","items":{"type":["string","null"]}},
              "deep":{"type":"object","properties":{"known":{"type":"string"},"odd name":{}}},
              "open":{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":true}}}
            """);
        Assert.Equal("{deep?: {known?: String}, open?: {a?: String}}", Tools.Show(input.Type));
        Assert.Equal(
            [("$.properties.list.items", "A member may be null."), ("$.properties.deep.properties['odd name']", "It has no type."), ("$.properties.open", "It may have members besides these, which policies do not see.")],
            input.Notes.Select(n => (n.Path!, n.Message)));
    }

    [Fact, Trait("Spec", "RFC6901-4")]
    public void Reference_ToADefinition_IsFollowed()
    {
        var input = Of("""
            {"type":"object","properties":{"a":{"$ref":"#/$defs/one~1two"},"b":{"$ref":"#/$defs/sp%20ace","description":"more"},"c":{"$ref":"#/definitions/list/0"},"d":{"$ref":"#/$defs/~01"}},
             "$defs":{"one/two":{"type":"integer"},"sp ace":{"$ref":"#/$defs/one~1two"},"~1":{"type":"boolean"}},"definitions":{"list":[{"type":"string"}]}}
            """);
        Assert.Empty(input.Notes);
        Assert.Equal("{a?: Long, b?: Long, c?: String, d?: Bool}", Tools.Show(input.Type));
    }

    [Fact, Trait("Spec", "JSONSchema2020-12")]
    public void Reference_ThatLeadsBack_EndsThere()
    {
        var input = Of("""
            {"type":"object","properties":{"root":{"$ref":"#"},"loop":{"$ref":"#/$defs/loop"},"node":{"$ref":"#/$defs/node"}},
             "$defs":{"loop":{"$ref":"#/$defs/loop"},"node":{"type":"object","properties":{"value":{"type":"string"},"next":{"$ref":"#/$defs/node"}}}}}
            """);
        Assert.Equal("{node?: {value?: String}}", Tools.Show(input.Type));
        Assert.Equal(3, input.Notes.Count);
        Assert.All(input.Notes, n => Assert.Equal("It refers to itself.", n.Message));
    }

    [Theory]
    [InlineData("")]
    [InlineData("[")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("\"object\"")]
    [InlineData("""{"type":"string"}""")]
    [InlineData("""{"type":"object","type":"object","properties":{"a":{"type":"string"}}}""")]
    [InlineData("""{"type":"object"}""")]
    [InlineData("\uFEFF{}")]
    public void Whole_ThatIsNoObject_HasNoArgumentsAndIsTold(string schema)
    {
        var input = Of(schema);
        Assert.Empty(input.Type.Attributes);
        Assert.NotEmpty(input.Notes);
    }

    [Fact]
    public void Name_OfAnyCharacters_IsAnAttribute() =>
        Assert.Equal("{__entity?: String, a b?: String, if?: Long, é?: Bool}", Tools.Show(Of("""{"type":"object","properties":{"a b":{"type":"string"},"if":{"type":"integer"},"\u00e9":{"type":"boolean"},"__entity":{"type":"string"}}}""").Type));

    [Fact]
    public void Name_ThatHoldsHalfACharacter_IsLeftOut()
    {
        var input = Of("""{"type":"object","properties":{"\ud800":{"type":"string"},"a":{"type":"string"}}}""");
        Assert.NotEmpty(input.Notes);
        Assert.DoesNotContain(input.Type.Attributes.Keys, k => k != "a");
    }

    [Fact]
    public void Bytes_ThatAreNotUtf8_AreTold() => Assert.Equal("The schema is not UTF-8.", Assert.Single(InputTypes.Of(new byte[] { (byte)'{', 0xff, (byte)'}' }).Notes).Message);

    [Fact]
    public void Schema_ThatIsTooLong_IsNotRead() => Assert.Contains("more than", Assert.Single(InputTypes.Of(new byte[InputTypes.Longest + 1]).Notes).Message, StringComparison.Ordinal);

    [Fact]
    public void Schema_ThatNestsWithoutEnd_IsCut()
    {
        string deep = string.Concat(Enumerable.Repeat("""{"type":"object","properties":{"a":""", 90)) + """{"type":"string"}""" + string.Concat(Enumerable.Repeat("}}", 90));
        var input = Of(deep);
        Assert.Contains(input.Notes, n => n.Message == "It nests too deeply.");
        string deeper = string.Concat(Enumerable.Repeat("""{"items":""", 20_000)) + "{}" + string.Concat(Enumerable.Repeat("}", 20_000));
        Assert.NotEmpty(Of(deeper).Notes);
    }

    /// <summary>Each definition holds the next one twice: written out, it would have 2^20 members.</summary>
    [Fact]
    public void Schema_WhoseReferencesDouble_IsCutSoon()
    {
        var schema = new StringBuilder("""{"type":"object","properties":{"x":{"$ref":"#/$defs/d0"}},"$defs":{""");
        for (int i = 0; i < 20; i++)
            schema.Append(i == 0 ? "" : ",").Append("""  "dN":{"type":"object","properties":{"a":{"$ref":"#/$defs/dM"},"b":{"$ref":"#/$defs/dM"}}}""".Replace("N", $"{i}", StringComparison.Ordinal).Replace("M", $"{i + 1}", StringComparison.Ordinal));
        schema.Append(""","d20":{"type":"string"}}}""");
        var watch = System.Diagnostics.Stopwatch.StartNew();
        var input = Of(schema.ToString());
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(10), $"{watch.Elapsed}");
        Assert.InRange(input.Notes.Count, 1, Limits.Errors);
        Assert.Contains(input.Notes, n => n.Message.StartsWith("The schema is too large", StringComparison.Ordinal));
    }

    /// <summary>As many references as fit, to one schema with as many values as fit: read each time, it would be a billion steps.</summary>
    [Fact]
    public void Schema_WhoseReferencesLeadToMuch_IsReadInLinearTime()
    {
        string values = string.Join(',', Enumerable.Range(0, 25_000).Select(i => $"{i}"));
        string references = string.Join(',', Enumerable.Range(0, 4_000).Select(i => $$"""  "p{{i}}":{"$ref":"#/$defs/d"}"""));
        var watch = System.Diagnostics.Stopwatch.StartNew();
        Of("""{"type":"object","properties":{REFERENCES},"$defs":{"d":{"type":"object","properties":{"v":{"enum":[VALUES]}}}}}""".Replace("REFERENCES", references, StringComparison.Ordinal).Replace("VALUES", values, StringComparison.Ordinal));
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(10), $"{watch.Elapsed}");
    }

    private static InputType Of(string schema) => InputTypes.Of(Encoding.UTF8.GetBytes(schema));
}
