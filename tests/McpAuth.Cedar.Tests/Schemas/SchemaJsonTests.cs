using System.Text;
using McpAuth.Cedar.Schemas;

namespace McpAuth.Cedar.Tests.Schemas;

/// <summary>Documents that Cedar 4.12 was given: it took the ones and refused the others.</summary>
[Trait("Spec", "Cedar-Schema")]
public sealed class SchemaJsonTests
{
    public static TheoryData<string> Taken { get; } =
    [
        "{}",
        "{\"\":{\"entityTypes\":{},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{},\"commonTypes\":{}}}",
        "{\"N\":{\"entityTypes\":{},\"actions\":{},\"annotations\":{\"a\":\"b\",\"c\":null}}}",
        "{\"N\":{\"entityTypes\":{},\"actions\":{},\"annotations\":{\"if\":\"c\"}}}",
        "{\"N::M\":{\"entityTypes\":{},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Long\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Long\",\"required\":true}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Long\",\"required\":false}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Long\",\"annotations\":{\"x\":\"y\"}}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{},\"additionalAttributes\":false}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Set\",\"element\":{\"type\":\"Long\"}}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Boolean\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Bool\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"String\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"ipaddr\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"decimal\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"__cedar::Long\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"__cedar::Bool\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Entity\",\"name\":\"A\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"EntityOrCommon\",\"name\":\"A\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"EntityOrCommon\",\"name\":\"Long\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Extension\",\"name\":\"ipaddr\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"T\"}}}}},\"actions\":{},\"commonTypes\":{\"T\":{\"type\":\"Long\"}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Entity\",\"name\":\"Action\"}}}}},\"actions\":{\"x\":{}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Record\",\"attributes\":{\"b\":{\"type\":\"Long\",\"required\":false}}}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"T\"}}},\"actions\":{},\"commonTypes\":{\"T\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Long\"}}}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"EntityOrCommon\",\"name\":\"T\"}}},\"actions\":{},\"commonTypes\":{\"T\":{\"type\":\"Record\",\"attributes\":{}}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{}}}},\"actions\":{},\"commonTypes\":{\"T\":{\"type\":\"Long\",\"annotations\":{\"a\":\"b\"}}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{}}}},\"actions\":{},\"commonTypes\":{\"Action\":{\"type\":\"Long\"}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"memberOfTypes\":[\"B\"]},\"B\":{}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"memberOfTypes\":[\"B\",\"B\"]},\"B\":{}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"tags\":{\"type\":\"Long\"}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"annotations\":{\"a\":\"b\"}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"enum\":[\"a\"]}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"enum\":[\"a\",\"a\"]}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"enum\":[\"a\"],\"annotations\":{}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"B\":{\"memberOfTypes\":[\"A\"]},\"A\":{\"enum\":[\"a\"]}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{\"a\":{}}}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{\"a\":{\"memberOf\":null,\"appliesTo\":null,\"attributes\":null}}}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{\"a\":{\"memberOf\":[{\"id\":\"b\"}]},\"b\":{}}}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{\"a\":{\"memberOf\":[{\"id\":\"b\",\"type\":\"Action\"}]},\"b\":{}}}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{\"a\":{\"memberOf\":[{\"id\":\"b\",\"type\":null}]},\"b\":{}}}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{\"\":{}}}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{\"a b\\n\":{}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{}},\"actions\":{\"a\":{\"appliesTo\":{\"principalTypes\":[\"A\"],\"resourceTypes\":[\"A\"]}}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{}},\"actions\":{\"a\":{\"appliesTo\":{\"principalTypes\":[],\"resourceTypes\":[]}}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{}},\"actions\":{\"a\":{\"appliesTo\":{\"principalTypes\":[\"A\"],\"resourceTypes\":[\"A\"],\"context\":{\"type\":\"Record\",\"attributes\":{}}}}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{}},\"actions\":{\"a\":{\"appliesTo\":{\"principalTypes\":[\"A\"],\"resourceTypes\":[\"A\"],\"context\":{\"type\":\"T\"}}}},\"commonTypes\":{\"T\":{\"type\":\"Record\",\"attributes\":{}}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{}},\"actions\":{\"a\":{\"appliesTo\":{\"principalTypes\":[\"A\"],\"resourceTypes\":[\"A\"],\"context\":{\"type\":\"EntityOrCommon\",\"name\":\"T\"}}}},\"commonTypes\":{\"T\":{\"type\":\"Record\",\"attributes\":{}}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"enum\":[\"\\ud83d\\ude00\"]}},\"actions\":{}}}",
        "{\"N\":{\"entityTypes\":{\"A\":{}},\"actions\":{\"x\":{}}},\"M\":{\"entityTypes\":{\"B\":{\"memberOfTypes\":[\"N::A\"]}},\"actions\":{\"a\":{\"memberOf\":[{\"type\":\"N::Action\",\"id\":\"x\"}]}}}}",
    ];

    public static TheoryData<string> Refused { get; } =
    [
        "[]",
        "null",
        "",
        "{\"\":{}}",
        "{\"\":{\"entityTypes\":{}}}",
        "{\"\":{\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{},\"foo\":1}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{},\"annotations\":{\"a\":\"b\"}}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{},\"commonTypes\":null}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{}}} x",
        "{\"N\":{\"entityTypes\":{},\"actions\":{},\"annotations\":{\"a b\":\"c\"}}}",
        "{\"N\":{\"entityTypes\":{},\"actions\":{},\"annotations\":null}}",
        "{\"N\":{\"entityTypes\":{},\"actions\":{},\"annotations\":{\"a\":1}}}",
        "{\"N :: M\":{\"entityTypes\":{},\"actions\":{}}}",
        "{\"N::\":{\"entityTypes\":{},\"actions\":{}}}",
        "{\"1\":{\"entityTypes\":{},\"actions\":{}}}",
        "{\"__cedar\":{\"entityTypes\":{},\"actions\":{}}}",
        "{\"in\":{\"entityTypes\":{},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Long\",\"required\":1}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Long\",\"required\":null}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Long\",\"foo\":1}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\"}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{},\"additionalAttributes\":true}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{},\"additionalAttributes\":null}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{},\"name\":\"x\"}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Long\"}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{},\"annotations\":{}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{},\"required\":true}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":null}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Set\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Set\",\"element\":{\"type\":\"Long\",\"required\":false}}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Set\",\"element\":{\"type\":\"Long\"},\"name\":\"x\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Set\",\"element\":null}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Long\",\"name\":\"x\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"A\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Entity\",\"name\":\"B\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Entity\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Entity\",\"name\":\"Long\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"EntityOrCommon\",\"name\":\"Boolean\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"EntityOrCommon\",\"name\":\"B\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Extension\",\"name\":\"ip\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Extension\",\"name\":\"__cedar::ipaddr\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Extension\",\"name\":\"Long\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Extension\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Entity\",\"name\":\"A \"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\" A\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Entity\",\"name\":\"T\"}}}}},\"actions\":{},\"commonTypes\":{\"T\":{\"type\":\"Long\"}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Entity\",\"name\":\"Action\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":1}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":\"Long\"}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"T\"}}},\"actions\":{},\"commonTypes\":{\"T\":{\"type\":\"Long\"}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"T\"}}},\"actions\":{},\"commonTypes\":{\"T\":{\"type\":\"U\"},\"U\":{\"type\":\"T\"}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{}}}},\"actions\":{},\"commonTypes\":{\"T\":{\"type\":\"U\"},\"U\":{\"type\":\"T\"}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{}}}},\"actions\":{},\"commonTypes\":{\"T\":{\"type\":\"Long\",\"required\":true}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{}}}},\"actions\":{},\"commonTypes\":{\"Set\":{\"type\":\"Long\"}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{}}}},\"actions\":{},\"commonTypes\":{\"a b\":{\"type\":\"Long\"}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{}}}},\"actions\":{},\"commonTypes\":{\"N::T\":{\"type\":\"Long\"}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{}}}},\"actions\":{},\"commonTypes\":{\"__cedar\":{\"type\":\"Long\"}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"memberOfTypes\":[\"B\"]}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"memberOfTypes\":null}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":null}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"tags\":null}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"tags\":{\"type\":\"Long\",\"required\":false}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"foo\":1}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":null},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A::B\":{}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"Action\":{}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"a b\":{}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"in\":{}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"enum\":[]}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"enum\":null}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"enum\":[1]}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"enum\":[\"a\"],\"shape\":{\"type\":\"Record\",\"attributes\":{}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"enum\":[\"a\"],\"memberOfTypes\":[]}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{\"a\":null}}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{\"a\":{\"attributes\":{}}}}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{\"a\":{\"attributes\":{\"x\":1}}}}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{\"a\":{\"foo\":1}}}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{\"a\":{\"memberOf\":[{\"id\":\"b\"}]}}}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{\"a\":{\"memberOf\":[{\"id\":\"b\",\"type\":\"N::Action\"}]},\"b\":{}}}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{\"a\":{\"memberOf\":[{\"type\":\"Action\"}]},\"b\":{}}}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{\"a\":{\"memberOf\":[{\"id\":\"b\",\"foo\":1}]},\"b\":{}}}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{\"a\":{\"memberOf\":[\"b\"]},\"b\":{}}}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{\"a\":{\"memberOf\":[{\"id\":\"a\"}]}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{}},\"actions\":{\"a\":{\"appliesTo\":{\"principalTypes\":[\"A\"]}}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{}},\"actions\":{\"a\":{\"appliesTo\":{\"principalTypes\":[\"A\"],\"resourceTypes\":[\"B\"]}}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{}},\"actions\":{\"a\":{\"appliesTo\":{\"principalTypes\":[\"A\"],\"resourceTypes\":[\"A\"],\"context\":{\"type\":\"Long\"}}}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{}},\"actions\":{\"a\":{\"appliesTo\":{\"principalTypes\":[\"A\"],\"resourceTypes\":[\"A\"],\"context\":null}}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{}},\"actions\":{\"a\":{\"appliesTo\":{\"principalTypes\":[\"A\"],\"resourceTypes\":[\"A\"],\"foo\":1}}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{}},\"actions\":{\"a\":{\"appliesTo\":{\"principalTypes\":null,\"resourceTypes\":[\"A\"]}}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{}},\"actions\":{\"a\":{\"appliesTo\":{}}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{}},\"actions\":{\"a\":{\"appliesTo\":{\"principalTypes\":[\"A\"],\"resourceTypes\":[\"A\"],\"context\":{\"type\":\"A\"}}}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"enum\":[\"\\ud800\"]}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{}},\"actions\":{}},}",
        "{\"\":{\"entityTypes\":{\"A\":{}} /* x */,\"actions\":{}}}",
        "{\"N\":{\"entityTypes\":{\"A\":{}},\"actions\":{}},\"M\":{\"entityTypes\":{\"B\":{\"memberOfTypes\":[\"N::A\"]}},\"actions\":{\"a\":{\"memberOf\":[{\"type\":\"N::Action\",\"id\":\"x\"}]}}}}",
        "{\"\":{\"entityTypes\":{\"A\":{}},\"actions\":{}},\"M\":{\"entityTypes\":{\"A\":{}},\"actions\":{}}}",

        // An object as an array of its members, which serde reads.
        "{\"\":{\"entityTypes\":{\"A\":[]},\"actions\":{}}}",
    ];

    public static TheoryData<string> Doubled { get; } =
    [
        "{\"\":{\"entityTypes\":{},\"entityTypes\":{},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{}},\"\":{\"entityTypes\":{},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{},\"A\":{}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{\"a\":{},\"a\":{}}}}",
        "{\"\":{\"entityTypes\":{},\"actions\":{},\"commonTypes\":{\"T\":{\"type\":\"Long\"},\"T\":{\"type\":\"Long\"}}}}",
        "{\"N\":{\"entityTypes\":{},\"actions\":{},\"annotations\":{\"a\":\"b\",\"a\":\"c\"}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Long\"},\"a\":{\"type\":\"Long\"}}}}},\"actions\":{}}}",
        "{\"\":{\"entityTypes\":{\"A\":{\"shape\":{\"type\":\"Record\",\"attributes\":{\"a\":{\"type\":\"Long\",\"type\":\"Long\"}}}}},\"actions\":{}}}",
    ];

    [Theory]
    [MemberData(nameof(Taken))]
    public void ParseJson_OfADocumentThatCedarTakes_GivesASchema(string json)
    {
        Parsed<CedarSchema> schema = CedarSchema.ParseJson(Encoding.UTF8.GetBytes(json));
        Assert.True(schema.Ok, schema.Ok ? "" : schema.Diagnostics[0].Render());
    }

    [Theory]
    [MemberData(nameof(Refused))]
    public void ParseJson_OfADocumentThatCedarRefuses_SaysWhere(string json)
    {
        Parsed<CedarSchema> schema = CedarSchema.ParseJson(Encoding.UTF8.GetBytes(json));
        Assert.False(schema.Ok);
        Assert.All(schema.Diagnostics, d => Assert.StartsWith("$", d.Path, StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Doubled))]
    public void ParseJson_OfAMemberThatStandsTwice_Refuses(string json)
    {
        Parsed<CedarSchema> schema = CedarSchema.ParseJson(Encoding.UTF8.GetBytes(json));
        Assert.Contains(schema.Diagnostics, d => d.Code == "duplicate_member");
    }

    [Theory]
    [MemberData(nameof(Taken))]
    public void Schema_WrittenInEitherForm_AllowsTheSame(string json)
    {
        CedarSchema schema = CedarSchema.ParseJson(Encoding.UTF8.GetBytes(json)).Value;
        CedarSchema fromText = CedarSchema.Parse(schema.ToCedar()).Value, fromJson = CedarSchema.ParseJson(Encoding.UTF8.GetBytes(schema.ToJson())).Value;
        Assert.True(new SchemaComparison().Same(schema, fromText), schema.ToCedar());
        Assert.True(new SchemaComparison().Same(schema, fromJson), schema.ToJson());
    }
}
