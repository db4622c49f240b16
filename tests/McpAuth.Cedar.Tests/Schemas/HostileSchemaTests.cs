using System.Text;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Validation;

namespace McpAuth.Cedar.Tests.Schemas;

/// <summary>Schemas that were written to do harm: each is answered at once, with findings.</summary>
[Trait("Spec", "Cedar-Schema")]
public sealed class HostileSchemaTests
{
    public static TheoryData<string> Openers { get; } = ["entity A {a: {a: ", "entity A {a:Set<", "entity A {", "{", "@a(", "namespace N {", "action a in [", "entity A enum [\"", "::", "\"\\", "type T = Set<"];

    [Theory]
    [MemberData(nameof(Openers))]
    public void Parse_OfMillionsOfOpenBraces_AnswersAtOnce(string opener)
    {
        var text = new StringBuilder(opener);
        string rest = opener[opener.IndexOfAny(['{', 'S', '[', '"', ':', '@'])..];
        while (text.Length < Limits.Text - rest.Length) text.Append(rest);
        Parsed<CedarSchema> schema = CedarSchema.Parse(text.ToString());
        Assert.False(schema.Ok);
        Assert.InRange(schema.Diagnostics.Count, 1, Limits.Errors);
    }

    [Fact]
    public void Parse_OfTypesNestedDeeperThanTheLimit_PointsAtTheOneThatIsTooDeep()
    {
        string deep = string.Concat(Enumerable.Repeat("Set<", Limits.Depth)) + "Long" + new string('>', Limits.Depth);
        Assert.Equal("too_deep", Assert.Single(CedarSchema.Parse($"type T = {deep};").Diagnostics).Code);
        string fits = deep[4..^1];
        Assert.True(CedarSchema.Parse($"type T = {fits};").Ok);
        Assert.Equal("too_deep", CedarSchema.Parse($"type T = {fits}; type U = Set<T>;").Diagnostics[0].Code);
    }

    [Fact]
    public void ParseJson_OfTypesNestedDeeperThanTheLimit_Refuses()
    {
        string Nested(int depth) => "{\"\":{\"entityTypes\":{},\"actions\":{},\"commonTypes\":{\"T\":" +
            string.Concat(Enumerable.Repeat("{\"type\":\"Set\",\"element\":", depth - 1)) + "{\"type\":\"Long\"}" + new string('}', depth + 2);
        Assert.True(CedarSchema.ParseJson(Encoding.UTF8.GetBytes(Nested(Limits.Depth))).Ok);
        Assert.Equal("too_deep", Assert.Single(CedarSchema.ParseJson(Encoding.UTF8.GetBytes(Nested(Limits.Depth + 1))).Diagnostics).Code);
        Assert.Equal("invalid_json", Assert.Single(CedarSchema.ParseJson(Encoding.UTF8.GetBytes(Nested(500_000))).Diagnostics).Code);
    }

    [Fact]
    public void ParseJson_OfALongNameAroundManyErrors_DoesNotCopyItForEach()
    {
        string name = new('n', 4_000_000);
        string members = string.Join(',', Enumerable.Range(0, 100_000).Select(i => $"\"m{i}\":0"));
        Parsed<CedarSchema> schema = CedarSchema.ParseJson(Encoding.UTF8.GetBytes($"{{\"{name}\":{{\"entityTypes\":{{{members}}},\"actions\":{{}}}}}}"));
        Assert.Equal(Limits.Errors, schema.Diagnostics.Count);
        Assert.All(schema.Diagnostics, d => Assert.InRange(d.Path!.Length, 1, 500));
    }

    [Theory]
    [InlineData(ValidationMode.Strict)]
    [InlineData(ValidationMode.Permissive)]
    public void Types_ThatDoubleWithEveryCommonType_AreReadComparedWrittenAndValidatedOnce(ValidationMode mode)
    {
        string Doubling(string last)
        {
            var text = new StringBuilder($"type T0 = {{a: {last}, b: Long}};");
            for (int i = 1; i < Limits.Depth - 5; i++) text.Append($"type T{i} = {{a: T{i - 1}, b: T{i - 1}}};");
            return text.Append($"entity E {{x: T{Limits.Depth - 6}, y: T{Limits.Depth - 6}}};").ToString();
        }

        string two = $"namespace M {{ {Doubling("Long")} }} namespace N {{ {Doubling("Long")} }} namespace O {{ {Doubling("String")} }}" +
            "entity R; action act appliesTo { principal: M::E, resource: R, context: { n: N::E, o: O::E } };";
        CedarSchema schema = CedarSchema.Parse(two).Value;
        Assert.True(new SchemaComparison().Same(schema, CedarSchema.Parse(schema.ToCedar()).Value));
        Assert.True(new SchemaComparison().Same(schema, CedarSchema.ParseJson(Encoding.UTF8.GetBytes(schema.ToJson())).Value));
        Assert.Empty(Validate("permit(principal, action, resource) when { principal.x == context.n.y && [principal.x, context.n.x].contains(principal.y) };"));
        IReadOnlyList<Diagnostic> found = Validate("permit(principal, action, resource) when { [principal.x, context.o.x].contains(context.o.y) };");
        if (mode == ValidationMode.Strict) Assert.InRange(Assert.Single(found).Message.Length, 1, 1000);
        else Assert.Empty(found);

        IReadOnlyList<Diagnostic> Validate(string policies) => Validator.Validate(PolicySet.Parse(policies).Value, schema, mode);
    }

    [Fact]
    public void CommonTypes_ThatReferToOneAnotherInALongChain_AreResolvedWithoutRecursion()
    {
        const int Length = 100_000;
        string chain = string.Concat(Enumerable.Range(1, Length).Select(i => $"type T{i} = T{i - 1};"));
        Assert.True(CedarSchema.Parse("type T0 = Long;" + chain).Ok);
        Parsed<CedarSchema> cycle = CedarSchema.Parse($"type T0 = T{Length};" + chain);
        Assert.Equal("common_type_cycle", cycle.Diagnostics[0].Code);
        Assert.InRange(cycle.Diagnostics[0].Message.Length, 1, 300);
    }

    [Fact]
    public void Hierarchies_OfALongChain_AreFollowedWithoutRecursion()
    {
        const int Length = 50_000;
        string entities = "entity E0;" + string.Concat(Enumerable.Range(1, Length).Select(i => $"entity E{i} in E{i - 1};"));
        string actions = "action a0;" + string.Concat(Enumerable.Range(1, Length).Select(i => $"action a{i} in a{i - 1};"));
        CedarSchema schema = CedarSchema.Parse(entities + actions + $"action go in a{Length} appliesTo {{ principal: E{Length}, resource: E0 }};").Value;
        Assert.Empty(Validator.Validate(PolicySet.Parse("permit(principal in E0::\"x\", action in Action::\"a0\", resource);").Value, schema));
        Parsed<CedarSchema> cycle = CedarSchema.Parse(actions.Replace("action a0;", $"action a0 in a{Length};", StringComparison.Ordinal));
        Assert.Equal("action_cycle", Assert.Single(cycle.Diagnostics).Code);
    }

    [Fact]
    public void Declarations_OfManyNames_ShareWhatIsDeclared()
    {
        string names = string.Join(", ", Enumerable.Range(0, 100_000).Select(i => $"E{i}"));
        string attributes = string.Join(", ", Enumerable.Range(0, 20_000).Select(i => $"a{i}: Set<E{i}>"));
        string actions = string.Join(", ", Enumerable.Range(0, 100_000).Select(i => $"a{i}"));
        string groups = string.Join(", ", Enumerable.Range(0, 100_000).Select(i => $"g{i}"));
        CedarSchema schema = CedarSchema.Parse($"entity {names} in [{names}] {{ {attributes} }}; action {groups}; action {actions} in [{groups}];").Value;
        Assert.Equal(100_000, schema.EntityTypes.Count);
        Assert.True(schema.IsBelow("E5", "E6"));
        Assert.Equal("action_cycle", Assert.Single(CedarSchema.Parse($"action {groups} in [{groups}];").Diagnostics).Code);
    }

    [Fact]
    public void Validator_OnManyKindsOfRequests_LooksOnlyAtThoseThatDiffer()
    {
        string names = string.Join(", ", Enumerable.Range(0, 3_000).Select(i => $"E{i}"));
        CedarSchema schema = CedarSchema.Parse($"entity {names} {{ x: Long }}; action {string.Join(", ", Enumerable.Range(0, 50).Select(i => $"a{i}"))} appliesTo {{ principal: [{names}], resource: [{names}] }};").Value;
        Assert.Empty(Validator.Validate(PolicySet.Parse("permit(principal, action, resource) when { principal.x > 1 };").Value, schema));
        Assert.Empty(Validator.Validate(PolicySet.Parse("permit(principal is E7, action, resource) when { principal.x > resource.x };").Value, schema));
    }

    [Fact]
    public void Parse_OfASpoiledSchema_NeverThrows()
    {
        const string Text = """
            @doc("x") namespace N::M { type T = { a?: Set<Long>, "b c": ipaddr }; entity A, B in [C] { x: T, y: { z: A } } tags T; entity C enum ["a", "\u{1F600}"];
            action "do", it in [N::M::Action::"all", all] appliesTo { principal: [A], resource: B, context: T }; action all; } // end
            """;
        Assert.True(CedarSchema.Parse(Text).Ok);
        string json = CedarSchema.Parse(Text).Value.ToJson();
        var random = new Random(7);
        for (int i = 0; i < 4_000; i++)
        {
            Assert.NotNull(CedarSchema.Parse(Spoil(Text)).Diagnostics);
            Assert.NotNull(CedarSchema.ParseJson(Encoding.UTF8.GetBytes(Spoil(json))).Diagnostics);
        }

        string Spoil(string text)
        {
            var spoiled = new StringBuilder(text);
            for (int i = random.Next(1, 4); i > 0; i--)
            {
                int at = random.Next(spoiled.Length);
                switch (random.Next(4))
                {
                    case 0: spoiled.Remove(at, Math.Min(random.Next(1, 6), spoiled.Length - at)); break;
                    case 1: spoiled.Insert(at, ",;:{}[]<>=?@()\"\\ \uD800éA1"[random.Next(21)]); break;
                    case 2: spoiled[at] = (char)random.Next(0x80); break;
                    default: spoiled.Insert(at, spoiled.ToString(at, Math.Min(random.Next(1, 12), spoiled.Length - at))); break;
                }
            }
            return spoiled.ToString();
        }
    }
}
