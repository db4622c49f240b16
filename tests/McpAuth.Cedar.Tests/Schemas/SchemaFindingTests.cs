using System.Text;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Tests.Schemas;

[Trait("Spec", "Cedar-Schema")]
public sealed class SchemaFindingTests
{
    [Theory]
    [InlineData("entty A;", "entty", "unexpected_token", "'entity'")]
    [InlineData("entity A tgs Long;", "tgs", "unexpected_token", "'tags'")]
    [InlineData("entity A { x: Strng };", "Strng", "unknown_type", "'String'")]
    [InlineData("namespace N { entity User; entity A { x: Usr }; }", "Usr", "unknown_type", "'User'")]
    [InlineData("entity Team; entity A in Tem;", "Tem", "unknown_entity_type", "'Team'")]
    [InlineData("action view; action a in [veiw];", "veiw", "unknown_action", "'view'")]
    [InlineData("entity A; action a appliesTo { principle: A, resource: A };", "principle", "unexpected_token", "'principal'")]
    [InlineData("entity A; action a { principal: A, resource: A };", "{", "unexpected_token", null)]
    [InlineData("entity A;\nentity B { x: Long, y Long };", "Long }", "unexpected_token", null)]
    [InlineData("entity A enum [\"\\q\"];", "\\q", "invalid_escape", null)]
    [InlineData("entity A; entity B, A;", "A;", "duplicate_declaration", null)]
    [InlineData("type A = { x: B }; type B = Set<A>;", "A =", "common_type_cycle", null)]
    [InlineData("action a in b; action b in c; action c in a;", "a in", "action_cycle", null)]
    [InlineData("entity A; action a appliesTo { principal: A };", "{ principal: A }", "missing_member", null)]
    public void Parse_OfAFault_PointsAtItAndNamesTheNearOne(string text, string at, string code, string? help)
    {
        Diagnostic error = CedarSchema.Parse(text).Diagnostics[0];
        Assert.Equal(code, error.Code);
        SourceSpan span = error.Where!.Span;
        Assert.StartsWith(text.Substring(span.Start, span.Length), at, StringComparison.Ordinal);
        Assert.Equal(at[0], text[span.Start]);
        if (help is not null) Assert.Contains(help, error.Help, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_OfACycleOfActions_ShowsTheWay() =>
        Assert.Contains("'Action::\"a\"' → 'Action::\"b\"' → 'Action::\"c\"' → 'Action::\"a\"'",
            Assert.Single(CedarSchema.Parse("action a in b; action b in c; action c in a;").Diagnostics).Message, StringComparison.Ordinal);

    [Fact]
    public void Parse_OfSeveralFaultyDeclarations_ReportsEach()
    {
        const string Text = "entity A {x Long};\nentity B;\naction in;\nnamespace N { type T = ; entity C; }\nentity D";
        Assert.Equal([1, 3, 4, 5], CedarSchema.Parse(Text).Diagnostics.Select(d => d.Where!.Line));
    }

    [Theory]
    [InlineData("""{"":{"entityTypes":{"A":{"shap":{}}},"actions":{}}}""", "$[''].entityTypes.A.shap", "'shape'")]
    [InlineData("""{"N":{"entityTypes":{"A":{"shape":{"type":"Record","attributes":{"a b":{"type":"Set","element":{"type":"Lng"}}}}}},"actions":{}}}""",
        "$.N.entityTypes.A.shape.attributes['a b'].element", "'Long'")]
    [InlineData("""{"N":{"entityTypes":{"A":{"memberOfTypes":["A","B"]}},"actions":{}}}""", "$.N.entityTypes.A.memberOfTypes[1]", "'A'")]
    [InlineData("""{"N":{"entityTypes":{},"actions":{"a":{"memberOf":[{"id":"view"}]},"veiw":{}}}}""", "$.N.actions.a.memberOf[0]", "'veiw'")]
    [InlineData("""{"N":{"entityTypes":{},"actions":{"a":{"attributes":{"x":1}}}}}""", "$.N.actions.a.attributes", "context")]
    public void ParseJson_OfAFault_GivesItsPathAndNamesTheNearOne(string json, string path, string help)
    {
        Diagnostic error = Assert.Single(CedarSchema.ParseJson(Encoding.UTF8.GetBytes(json)).Diagnostics);
        Assert.Equal(path, error.Path);
        Assert.Contains(help, error.Help, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("entity A { x: Long, x: String };", "duplicate_attribute")]
    [InlineData("entity ipaddr;", "shadowed_builtin")]
    [InlineData("type decimal = Long;", "shadowed_builtin")]
    [InlineData("entity A; type A = Long;", "shadowed_entity")]
    public void Parse_OfWhatMayBeAMistake_Warns(string text, string code)
    {
        Parsed<CedarSchema> schema = CedarSchema.Parse(text);
        Assert.True(schema.Ok);
        Assert.Equal((code, Severity.Warning), (Assert.Single(schema.Diagnostics).Code, schema.Diagnostics[0].Severity));
    }

    [Fact]
    public void Parse_OfAnAttributeThatStandsTwice_TakesTheLastAsCedarDoes() =>
        Assert.Same(CedarType.String, CedarSchema.Parse("entity A { x: Long, x: String };").Value.EntityTypes["A"].Attributes.Attributes["x"].Type);

    [Fact]
    public void ToCedar_WhereACommonTypeAndAnEntityTypeShareAName_GivesTheCommonTypeAnother()
    {
        const string Json = """
            {"N":{"commonTypes":{"A":{"type":"Record","attributes":{"n":{"type":"Long"}}},"A_":{"type":"ipaddr"},"ipaddr":{"type":"Extension","name":"ipaddr"}},
                  "entityTypes":{"A":{"shape":{"type":"A"}},"B":{"shape":{"type":"Record","attributes":{
                    "e":{"type":"Entity","name":"A"},"c":{"type":"A"},"u":{"type":"A_"},"p":{"type":"Extension","name":"ipaddr"},"l":{"type":"Long"}}}}},
                  "actions":{"x":{"appliesTo":{"principalTypes":["A"],"resourceTypes":["B"],"context":{"type":"A"}}}}},
             "M":{"commonTypes":{"S":{"type":"Record","attributes":{"t":{"type":"T"},"a":{"type":"Entity","name":"N::A"},"ac":{"type":"Entity","name":"Action"}}},"T":{"type":"String"}},
                  "entityTypes":{"Long":{}},"actions":{"y":{}}},
             "K":{"entityTypes":{"C":{"shape":{"type":"M::S"},"tags":{"type":"N::A"}}},"actions":{"z":{}}},
             "":{"commonTypes":{"G":{"type":"Record","attributes":{"ac":{"type":"Entity","name":"Action"}}}},"entityTypes":{},"actions":{"root":{}}},
             "L":{"entityTypes":{"D":{"shape":{"type":"G"}}},"actions":{"w":{}}}}
            """;
        CedarSchema schema = CedarSchema.ParseJson(Encoding.UTF8.GetBytes(Json)).Value;
        string text = schema.ToCedar();
        Parsed<CedarSchema> again = CedarSchema.Parse(text);
        Assert.True(again.Ok, again.Ok ? "" : again.Diagnostics[0].Render() + text);
        Assert.True(new SchemaComparison().Same(schema, again.Value), text);
    }

    [Fact]
    public void ToCedar_KeepsCommonTypesAnnotationsAndQuotedNames()
    {
        const string Text = """
            @doc("all \"of\" it")
            namespace N {
              type T = {a?: Set<Long>, "b c": ipaddr};
              @id
              entity A, B in [C] {@why("x") x: T} tags T;
              entity C;
              action "do it", "it" in ["all"] appliesTo {
                principal: [A],
                resource: [B, C],
                context: T
              };
              action "all";
            }

            """;
        Assert.Equal(Text.ReplaceLineEndings("\n"), CedarSchema.Parse(Text).Value.ToCedar());
    }
}
