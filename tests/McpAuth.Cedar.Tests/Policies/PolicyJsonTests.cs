using System.Text;
using McpAuth.Cedar.Policies;

namespace McpAuth.Cedar.Tests.Policies;

[Trait("Spec", "Cedar-policies-json")]
public sealed class PolicyJsonTests
{
    private const string Any = """ "principal":{"op":"All"},"action":{"op":"All"},"resource":{"op":"All"} """;

    /// <summary>The second is what Cedar 4.12 itself writes of the first.</summary>
    [Theory]
    [InlineData("true && false && true", """{"&&":{"left":{"&&":{"left":{"Value":true},"right":{"Value":false}}},"right":{"Value":true}}}""")]
    [InlineData("principal is T in resource", """{"is":{"left":{"Var":"principal"},"entity_type":"T","in":{"Var":"resource"}}}""")]
    [InlineData("principal is T in resource && true", """{"&&":{"left":{"is":{"left":{"Var":"principal"},"entity_type":"T","in":{"Var":"resource"}}},"right":{"Value":true}}}""")]
    [InlineData("principal has a.b", """{"&&":{"left":{"has":{"left":{"Var":"principal"},"attr":"a"}},"right":{"has":{"left":{".":{"left":{"Var":"principal"},"attr":"a"}},"attr":"b"}}}}""")]
    [InlineData("-(5) > --5", """{">":{"left":{"neg":{"arg":{"Value":5}}},"right":{"neg":{"arg":{"Value":-5}}}}}""")]
    [InlineData("[1, T::\"x\"]", """{"Set":[{"Value":1},{"Value":{"__entity":{"type":"T","id":"x"}}}]}""")]
    [InlineData("{a: 1, \"b c\": principal}", """{"Record":{"a":{"Value":1},"b c":{"Var":"principal"}}}""")]
    [InlineData("ip(\"1.1.1.1\").isInRange(ip(\"1.0.0.0/8\"))", """{"isInRange":[{"ip":[{"Value":"1.1.1.1"}]},{"ip":[{"Value":"1.0.0.0/8"}]}]}""")]
    [InlineData("if !true then context.isEmpty() else context.hasTag(\"x\")",
        """{"if-then-else":{"if":{"!":{"arg":{"Value":true}}},"then":{"isEmpty":{"arg":{"Var":"context"}}},"else":{"hasTag":{"left":{"Var":"context"},"right":{"Value":"x"}}}}}""")]
    public void Expression_IsWrittenAsCedarWritesIt(string expression, string json)
    {
        PolicySet set = PolicySet.Parse($"permit(principal, action, resource) when {{ {expression} }};").Value;
        Assert.Equal($$"""{"effect":"permit",{{Any.Trim()}},"conditions":[{"kind":"when","body":{{json}}}]}""", set.Policies[0].ToJson());
    }

    [Fact]
    public void Scope_IsWrittenAsCedarWritesIt()
    {
        PolicySet set = PolicySet.Parse("""@a("b") forbid(principal in U::"a", action in [Action::"a", Action::"b"], resource is R in ?resource);""").Value;
        Assert.Equal("""
            {"effect":"forbid","principal":{"op":"in","entity":{"type":"U","id":"a"}},
            "action":{"op":"in","entities":[{"type":"Action","id":"a"},{"type":"Action","id":"b"}]},
            "resource":{"op":"is","entity_type":"R","in":{"slot":"?resource"}},"conditions":[],"annotations":{"a":"b"}}
            """.ReplaceLineEndings(""), set.Templates[0].ToJson());
    }

    [Fact]
    public void Set_WithTemplatesAndLinks_IsReadAsItWasWritten()
    {
        PolicySet set = PolicySet.Parse("""
            permit(principal == ?principal, action, resource in ?resource);
            permit(principal, action, resource) when { context.a };
            """).Value.Link("policy0", "linked", new("User", "a"), new("Folder", "b")).Value;
        Parsed<PolicySet> read = PolicySet.ParseJson(Encoding.UTF8.GetBytes(set.ToJson()));
        Assert.Equal(set.ToJson(), read.Value.ToJson());
        Assert.True(read.Value.TryGet("linked", out Policy? linked));
        Assert.Equal(("policy0", "User::\"a\"", "Folder::\"b\""), (linked.Template!.Id, linked.PrincipalSlot!.ToString(), linked.ResourceSlot!.ToString()));
    }

    [Theory]
    [InlineData("""{"Value":{"__extn":{"fn":"ip","arg":"1.1.1.1"}}}""", "ip(\"1.1.1.1\")")]
    [InlineData("""{"Value":[1,{"a":"b"}]}""", "[1, {a: \"b\"}]")]
    [InlineData("""{"has":{"left":{"Var":"context"},"attr":["a","b c"]}}""", "context has a && context.a has \"b c\"")]
    [InlineData("""{"like":{"left":{"Value":"x"},"pattern":["Wildcard",{"Literal":"a"},{"Literal":"*b"}]}}""", "\"x\" like \"*a\\*b\"")]
    [InlineData("""{"&&":{"right":{"Value":1},"left":{"&&":{"left":{"Value":2},"right":{"Value":3}}}}}""", "2 && 3 && 1")]
    public void Json_ThatCedarTakes_IsRead(string body, string expected)
    {
        Parsed<PolicySet> read = Read($$"""{"effect":"permit",{{Any}},"conditions":[{"kind":"when","body":{{body}}}]}""");
        Assert.Equal($"permit (principal, action, resource)\nwhen {{ {expected} }};\n", read.Value.ToCedar());
    }

    [Theory]
    [InlineData("{", "malformed_json", "$")]
    [InlineData("[]", "wrong_type", "$")]
    [InlineData("{}", "missing_member", "$")]
    [InlineData("""{"staticPolicies":{},"staticPolicies":{}}""", "duplicate_member", "$.staticPolicies")]
    [InlineData("""{"staticPolicies":{},"template":{}}""", "unknown_member", "$.template")]
    [InlineData("""{"staticPolicies":{"\ud800":{}}}""", "invalid_text", "$.staticPolicies")]
    [InlineData("""{"staticPolicies":{},"templateLinks":[{"templateId":"a","newId":"b","values":{}}]}""", "unknown_template", "$.templateLinks[0].templateId")]
    [InlineData("""{"staticPolicies":{},"templateLinks":[{"templateId":"a","newId":"b","values":{"?action":{}}}]}""", "unknown_member", "$.templateLinks[0].values[\"?action\"]")]
    public void Set_ThatIsWrong_IsRefusedWithThePath(string json, string code, string path)
    {
        var error = Assert.Single(Read(json).Diagnostics);
        Assert.Equal((code, path), (error.Code, error.Path));
    }

    [Theory]
    [InlineData("""{"Var":"principle"}""", "unknown_name", ".Var")]
    [InlineData("""{"Slot":"?principal"}""", "slot_in_condition", "")]
    [InlineData("""{"continsAll":{"left":{"Value":1},"right":{"Value":1}}}""", "unknown_operator", "")]
    [InlineData("""{"==":{"left":{"Value":1}}}""", "missing_member", "[\"==\"]")]
    [InlineData("""{"==":{"left":{"Value":1},"right":{"Value":1},"middle":1}}""", "unknown_member", "[\"==\"].middle")]
    [InlineData("""{"==":{"left":{"Value":1},"left":{"Value":1},"right":{"Value":1}}}""", "duplicate_member", "[\"==\"].left")]
    [InlineData("""{}""", "wrong_expression", "")]
    [InlineData("""{"!":{"arg":{"Value":1}},"neg":{"arg":{"Value":1}}}""", "wrong_expression", "")]
    [InlineData("""{"Value":null}""", "wrong_type", ".Value")]
    [InlineData("""{"Value":1.5}""", "integer_out_of_range", ".Value")]
    [InlineData("""{"Value":9223372036854775808}""", "integer_out_of_range", ".Value")]
    [InlineData("""{"Value":"\udc00"}""", "invalid_text", ".Value")]
    [InlineData("""{"Value":{"__entity":{"type":"if","id":"x"}}}""", "invalid_type", ".Value.__entity.type")]
    [InlineData("""{"Value":{"a":1,"a":2}}""", "duplicate_member", ".Value.a")]
    [InlineData("""{"Value":{"__expr":"1"}}""", "unsupported_escape", ".Value")]
    [InlineData("""{"Record":{"a":{"Value":1},"a":{"Value":1}}}""", "duplicate_member", ".Record.a")]
    [InlineData("""{"is":{"left":{"Value":1},"entity_type":"A :: B"}}""", "invalid_type", ".is.entity_type")]
    [InlineData("""{"like":{"left":{"Value":1},"pattern":["wildcard"]}}""", "invalid_pattern", ".like.pattern[0]")]
    [InlineData("""{"has":{"left":{"Value":1},"attr":[]}}""", "wrong_expression", ".has.attr")]
    [InlineData("""{"isIpv4":[]}""", "wrong_arity", ".isIpv4")]
    [InlineData("""{"&&":{"left":{"&&":{"left":{"Value":1},"rigth":{"Value":1},"right":{"Value":1}}},"right":{"Value":1}}}""", "unknown_member", "[\"&&\"].left[\"&&\"].rigth")]
    public void Expression_ThatIsWrong_IsRefusedWithThePath(string body, string code, string path)
    {
        var error = Assert.Single(Read($$"""{"effect":"permit",{{Any}},"conditions":[{"kind":"when","body":{{body}}}]}""").Diagnostics);
        Assert.Equal((code, "$.conditions[0].body" + path), (error.Code, error.Path));
    }

    [Theory]
    [InlineData("""{"op":"All","x":1}""", "unknown_member", ".x")]
    [InlineData("""{"op":"!=","entity":{"type":"U","id":"a"}}""", "unknown_operator", "")]
    [InlineData("""{"op":"=="}""", "missing_member", "")]
    [InlineData("""{"op":"==","slot":"?resource"}""", "invalid_slot", ".slot")]
    [InlineData("""{"op":"==","entity":"U::\"a\""}""", "wrong_type", ".entity")]
    [InlineData("""{"op":"==","entity":{"type":"U","id":"a"},"slot":"?principal"}""", "missing_member", "")]
    [InlineData("""{"op":"is","entity_type":"U","in":{"type":"U","id":"a"}}""", "unknown_member", ".in.type")]
    [InlineData("""{}""", "missing_member", "")]
    public void Scope_ThatIsWrong_IsRefusedWithThePath(string scope, string code, string path)
    {
        var error = Read($$"""{"effect":"permit","principal":{{scope}},"action":{"op":"All"},"resource":{"op":"All"},"conditions":[]}""").Diagnostics[0];
        Assert.Equal((code, "$.principal" + path), (error.Code, error.Path));
    }

    [Fact]
    public void Template_AmongStaticPolicies_IsRefused()
    {
        const string Template = """{"effect":"permit","principal":{"op":"==","slot":"?principal"},"action":{"op":"All"},"resource":{"op":"All"},"conditions":[]}""";
        Assert.Equal("unexpected_slot", Assert.Single(Read($$$"""{"staticPolicies":{"a":{{{Template}}}}}""").Diagnostics).Code);
        Assert.True(Read($$$"""{"staticPolicies":{},"templates":{"a":{{{Template}}}}}""").Ok);
        Assert.Equal("no_slot", Assert.Single(Read($$$"""{"staticPolicies":{},"templates":{"a":{{{Template.Replace("\"==\",\"slot\":\"?principal\"", "\"All\"", StringComparison.Ordinal)}}}}}""").Diagnostics).Code);
    }

    private static Parsed<PolicySet> Read(string json) => PolicySet.ParseJson(Encoding.UTF8.GetBytes(json));
}
