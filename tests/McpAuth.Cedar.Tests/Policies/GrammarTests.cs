using McpAuth.Cedar.Policies;

namespace McpAuth.Cedar.Tests.Policies;

/// <summary>What the grammar takes and what it does not, each judged by Cedar 4.12 itself.</summary>
[Trait("Spec", "Cedar-policies")]
public sealed class GrammarTests
{
    public static TheoryData<string> GoodExpressions =>
    [
        "1", "-1", "--1", "---1", "----1", "!true", "!!true", "!!!true", "!!!!true", "- 5", "-(5)", "9223372036854775807",
        "-9223372036854775808", "--9223372036854775808", "007", "1.foo", "-5.foo", "if true then 1 else 2", "(if true then 1 else 2) + 1",
        "if if true then true else false then 1 else 2", "(1 < 2) < 3", "1 - -1", "1 - - 1", "1--1", "1 * 2 + 3", "principal has a",
        "principal has \"a b\"", "principal has a.b.c", "principal has principal", "principal has context.a", "principal[\"if\"]",
        "principal[\"a\"][\"b\"].c", "principal.a.b.c", "\"a\".b", "true.b", "[1].b", "{a:1}.b", "{a:1}.a", "{\"a\":1}[\"a\"]",
        "principal like \"a*\"", "principal like \"a\\*\"", "principal like \"\\u{2a}\"", "principal is T", "principal is A::B",
        "principal is principal", "principal is T in resource", "(principal is T) in resource", "principal in [A::\"a\", B::\"b\"]",
        "principal.contains(1)", "principal.contains(1,)", "principal.isEmpty()", "principal.getTag(\"a\")", "principal.containsAll([])",
        "ip(\"1\")", "ip()", "ip(\"a\",\"b\")", "ip(1)", "principal.isIpv4()", "principal.isIpv4(1,2,3)", "decimal(\"1\").lessThan(1)",
        "[1,2,3]", "[1,2,3,]", "[]", "{}", "{a:1,}", "{\"if\":1}", "{principal:1}", "T::\"a\"", "A::B::\"a\"", "A :: B :: \"a\"",
        "principal::\"a\"", "action::B::\"c\"", "__cedarx::\"a\"", "T::\"\\x7f\"", "\"\\u{0}\"", "\"\\u{1_0}\"", "\"\\u{10_}\"",
        "\"\\u{10ffff}\"", "\"\\u{000041}\"", "\"\\'\"", "\"'\"", "\"\\0\"", "\"\\n\\r\\t\"", "\"a\nb\"", "\"a\tb\"", "\"a\0b\"",
        "\"\u00E9\U0001F600\"", "1 ", " 2 && 3", "true && true ", " true", "((1))", "permit::\"a\"", "when::\"a\"", "principal.permit",
        "principal.when", "{permit:1}", "{when:1}", "1 // c\n", "1\u00A0+\u20031", "principal . a", "principal.contains (1)", "ip (\"1\")",
        "!principal.a", "-principal.a", "!(1)", "! !true", "1 !=2", "principal != resource", "1 >= 2", "1 > 2", "1 <= 2", "true && !false",
        "1 + 2 - 3 * 4", "(1 + 2) * 3", "principal.a has b", "principal has a && principal has b", "!principal has a", "-1 has a",
        "1 + 1 has a", "if (true) then {a:1} else [1]", "{a: if true then 1 else 2}", "[if true then 1 else 2]",
        "ip(if true then \"a\" else \"b\")", "1 || 2", "true || false && true", "(1 || 2) || 3", "1 || (2 || 3)",
    ];

    public static TheoryData<string> BadExpressions =>
    [
        "-----1", "!!!!!true", "!-1", "-!true", "9223372036854775808", "-9223372036854775809", "18446744073709551615",
        "18446744073709551616", "1a", "1 + if true then 1 else 2", "true && if true then true else false", "1 < 2 < 3", "1 == 2 == 3",
        "1 in 2 in 3", "1 / 2", "1 % 2", "1 = 2", "principal = resource", "principal has \"a\".b", "principal has if", "principal has in",
        "principal has a[\"b\"]", "principal has a::b", "principal has a + b", "principal has (a)", "principal has 1", "principal has true",
        "principal has a.if", "principal has __cedar", "principal has a.__cedar", "principal.__cedar", "principal.if", "principal.true",
        "principal[\"a\" + \"b\"]", "principal[1]", "principal[(\"a\")]", "principal like \"\\q\"", "principal like (\"a\")",
        "principal like principal", "principal like \"a\" + \"b\"", "principal is \"T\"", "principal is (T)", "principal is T::\"a\"",
        "principal is T in resource in action", "principal is T == resource", "principal is T.x", "principal is if", "principal is in",
        "principal is __cedar", "principal is __cedar::T", "principal is T is U", "principal in resource is T", "principal.contains()",
        "principal.contains(1,2)", "principal.isEmpty(1)", "principal.hasTag()", "principal.containsAny([],[])", "contains(principal)",
        "isEmpty()", "principal.ip(\"1\")", "isIpv4(principal)", "lessThan(1)", "foo(\"x\")", "principal.foo()", "foo::ip(\"x\")", "ip",
        "ip.x", "foo", "foo.bar", "foo.bar()", "foo[\"x\"]", "foo::bar", "foo::bar()", "foo::bar.x", "principal()", "principal(\"x\")",
        "context(1)", "(1)(2)", "\"a\"(\"b\")", "ip(\"a\")(\"b\")", "[,]", "{,}", "{a:1,a:2}", "{a:1,\"a\":2}", "{\"\\x61\":1,a:2}",
        "{if:1}", "{in:1}", "{true:1}", "{__cedar:1}", "{a::b:1}", "{(\"a\"):1}", "{1:1}", "{a b:1}", "{a=1}", "if::\"a\"", "A::if::\"a\"",
        "A::in", "true::\"a\"", "__cedar::\"a\"", "A::__cedar::\"a\"", "A::{a:\"b\"}", "A::{}", "\"\\x80\"", "\"\\x7\"", "\"\\u{}\"",
        "\"\\u{_10}\"", "\"\\u{110000}\"", "\"\\u{d800}\"", "\"\\u{0000041}\"", "\"\\u41\"", "\"\\u{41\"", "\"\\*\"", "\"\\a\"", "\"\\\"",
        "\"\\\n\"", "\"\\\r\"", "\"a\rb\"", "\"a\r\nb\"", "?principal", "?resource", "?foo", "?principal == principal", "?", "#", "'a'",
        "1 & 2", "1 &&", "&& 1", "", "(1", "1)", "()", "then", "else", "in", "is", "has", "like", "permit", "forbid", "when", "unless",
        "1 // c", "/* c */ 1", "\uFEFF1", "1\u001C", "1;", "1 1", "a:1", "@a", ".a", "principal..a", "principal.", "principal.1",
        "principal.a(", "principal.a)", "1! = 2", "true=>false", "a=>b", "1 <> 2", "1 === 2", "1 has a + 1", "1 like \"a\" like \"b\"",
        "1 has a has b", "1 has a == 1", "if true then 1", "if true 1 else 2", "if then else", "if true then 1 else",
        "principal[if true then \"a\" else \"b\"]", "1 ||", "|| 1", "\"a",
    ];

    public static TheoryData<string> GoodScopes =>
    [
        "principal,action,resource", "principal,action,resource,", "principal == U::\"a\",action,resource",
        "principal == (U::\"a\"),action,resource", "principal == U::\"a\",action == Action::\"x\",resource == R::\"r\"",
        "principal in U::\"a\",action,resource", "principal is U,action,resource", "principal is A::U,action,resource",
        "principal is U in G::\"g\",action,resource", "principal == ?principal,action,resource", "principal in ?principal,action,resource",
        "principal == (?principal),action,resource", "principal is U in ?principal,action,resource",
        "principal,action == Action::\"a\",resource", "principal,action == A::Action::\"a\",resource",
        "principal,action in Action::\"a\",resource", "principal,action in [Action::\"a\"],resource",
        "principal,action in [Action::\"a\",],resource", "principal,action in [],resource",
        "principal,action in ([Action::\"a\"]),resource", "principal,action in (Action::\"a\"),resource",
        "principal,action in [(Action::\"a\")],resource", "principal,action,resource == ?resource",
        "principal,action,resource in ?resource", "principal,action,resource is R in ?resource",
        "principal == ?principal,action,resource == ?resource",
    ];

    public static TheoryData<string> BadScopes =>
    [
        "principal,action", "principal", "", "action,principal,resource", "principal,resource,action", "principal,action,resource,foo",
        "principal,action,resource,context", "foo,action,resource", "principal: User,action,resource",
        "principal in [U::\"a\"],action,resource", "principal == [U::\"a\"],action,resource", "principal is U == G::\"g\",action,resource",
        "principal in G::\"g\" is U,action,resource", "principal is (U),action,resource", "principal is \"U\",action,resource",
        "principal is U::\"a\",action,resource", "principal != U::\"a\",action,resource", "principal < U::\"a\",action,resource",
        "principal = U::\"a\",action,resource", "principal has a,action,resource", "principal == ?resource,action,resource",
        "principal == ?foo,action,resource", "principal is ?principal,action,resource", "principal in [?principal],action,resource",
        "principal == \"a\",action,resource", "principal == U,action,resource", "principal == principal,action,resource",
        "principal == U.a,action,resource", "principal == 1,action,resource", "principal == !U::\"a\",action,resource",
        "principal == if true then U::\"a\" else U::\"b\",action,resource", "principal == U::\"a\" + 1,action,resource",
        "principal == U::\"a\" && true,action,resource", "principal == {a:1},action,resource", "principal,action == Foo::\"a\",resource",
        "principal,action == Action::A::\"a\",resource", "principal,action == MyAction::\"a\",resource",
        "principal,action in [[Action::\"a\"]],resource", "principal,action in [Action::\"a\",Foo::\"b\"],resource",
        "principal,action == [Action::\"a\"],resource", "principal,action == ?action,resource", "principal,action in ?action,resource",
        "principal,action in [?action],resource", "principal,action is Action,resource",
        "principal,action is Action in Action::\"a\",resource", "principal,action in Action::\"a\" is Action,resource",
        "principal,action != Action::\"a\",resource", "principal,action: Action,resource", "principal,action,resource == ?principal",
        "principal == if::\"a\",action,resource", "principal == U::\"\\q\",action,resource",
        "principal == __cedar::U::\"a\",action,resource", "principal is __cedar,action,resource",
        "principal is in U::\"a\",action,resource", "principal action resource", "principal in U::\"a\" in V::\"b\",action,resource", ",",
        "principal,,resource", "PRINCIPAL,action,resource", "principal == U::\"a\" ,action,resource  // c",
        "principal,action,resource) @a(\"b\"", "principal,action,resource) forbid(principal,action,resource",
    ];

    public static TheoryData<string> GoodTexts =>
    [
        "", "  ", "// only", "permit(principal,action,resource) when {true} when {false} unless {true};",
        "@a permit(principal,action,resource);", "@a(\"b\") permit(principal,action,resource);",
        "@if(\"b\") @in @__cedar(\"x\") permit(principal,action,resource);", "@ a ( \"b\" ) permit ( principal , action , resource ) ;",
        "permit(principal,action,resource) when { true }; // x",
        "@id(\"x\") permit(principal,action,resource);@id(\"x\") permit(principal,action,resource);",
        "permit (principal, action, resource) when { context.x } ;\u0085", "permit(principal,action,resource)\u2028;",
    ];

    public static TheoryData<string> BadTexts =>
    [
        "permit(principal;action;resource);", "permit(principal,action,resource)", "permit(principal,action,resource);;", ";",
        "Permit(principal,action,resource);", "allow(principal,action,resource);", "permit principal,action,resource;",
        "permit(principal,action,resource) when {};", "permit(principal,action,resource) unless {};",
        "permit(principal,action,resource) if {true};", "permit(principal,action,resource) when true;",
        "permit(principal,action,resource) when {true} and {false};", "permit(principal,action,resource) when {true,false};",
        "@a(\"b\") @a(\"c\") permit(principal,action,resource);", "@a @a permit(principal,action,resource);",
        "@a() permit(principal,action,resource);", "@a(b) permit(principal,action,resource);",
        "@a(\"b\",\"c\") permit(principal,action,resource);", "@(\"b\") permit(principal,action,resource);",
        "@a(\"\\q\") permit(principal,action,resource);", "@a::b(\"c\") permit(principal,action,resource);",
        "@\"a\"(\"c\") permit(principal,action,resource);", "permit(principal,action,resource); forbid(principal,action,resource)",
        "permit(principal == ?principal,action,resource) when {principal == ?principal};",
        "permit(principal,action,resource) when {?resource.x};", "permit(principal,action,resource) when { true } // x",
        "permit(principal,action,resource) when { true }; x", "if(principal,action,resource);", "true(principal,action,resource);",
    ];

    [Theory, MemberData(nameof(GoodExpressions))]
    public void Expression_ThatCedarTakes_IsRead(string part)
    {
        Parsed<PolicySet> parsed = PolicySet.Parse($"permit(principal,action,resource) when {{ {part} }};");
        Assert.True(parsed.Ok, string.Join('\n', parsed.Diagnostics));
    }

    [Theory, MemberData(nameof(BadExpressions))]
    public void Expression_ThatCedarRefuses_IsRefused(string part)
    {
        Parsed<PolicySet> parsed = PolicySet.Parse($"permit(principal,action,resource) when {{ {part} }};");
        Assert.False(parsed.Ok);
    }

    [Theory, MemberData(nameof(GoodScopes))]
    public void Scope_ThatCedarTakes_IsRead(string part)
    {
        Parsed<PolicySet> parsed = PolicySet.Parse($"permit({part});");
        Assert.True(parsed.Ok, string.Join('\n', parsed.Diagnostics));
    }

    [Theory, MemberData(nameof(BadScopes))]
    public void Scope_ThatCedarRefuses_IsRefused(string part)
    {
        Parsed<PolicySet> parsed = PolicySet.Parse($"permit({part});");
        Assert.False(parsed.Ok);
    }

    [Theory, MemberData(nameof(GoodTexts))]
    public void Text_ThatCedarTakes_IsRead(string part)
    {
        Parsed<PolicySet> parsed = PolicySet.Parse(part);
        Assert.True(parsed.Ok, string.Join('\n', parsed.Diagnostics));
    }

    [Theory, MemberData(nameof(BadTexts))]
    public void Text_ThatCedarRefuses_IsRefused(string part)
    {
        Parsed<PolicySet> parsed = PolicySet.Parse(part);
        Assert.False(parsed.Ok);
    }
}
