using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Validation;

namespace McpAuth.Cedar.Tests.Validation;

/// <summary>Policies that the validator of Cedar 4.12 was given in strict mode: it found the ones valid, others valid but impossible, others invalid.</summary>
[Trait("Spec", "Cedar-Validation")]
public sealed class StrictVerdictTests
{
    private static readonly CedarSchema Schema = CedarSchema.Parse("""
        entity Org enum ["acme", "globex"];
        entity Team in [Team, Org] { lead?: User };
        entity User in [Team] { name: String, age: Long, nick?: String, manager?: User, address: { street: String, zip?: Long }, groups: Set<Team>, since: datetime, ip?: ipaddr } tags String;
        entity Bot in [Team] { name: String, cost: decimal };
        entity Doc in [Folder] { owner: User, readers: Set<User>, public: Bool, size?: Long, meta: { a?: { b?: { c: Long } } } } tags Set<String>;
        entity Folder in [Folder];
        type Ctx = { ip: ipaddr, mfa: Bool, when: datetime, ttl?: duration, level: Long, note?: String };
        action read, write in [rw] appliesTo { principal: [User, Bot], resource: [Doc, Folder], context: Ctx };
        action rw in [all];
        action all;
        action admin appliesTo { principal: [User], resource: [Org, Doc] };
        action lonely;
        namespace N { entity X { act: Action }; action go appliesTo { principal: X, resource: X }; action run in [go] appliesTo { principal: X, resource: X, context: { a?: Action } }; }
        """).Value;

    public static TheoryData<string> Valid { get; } =
    [
        "permit(principal,action,resource);",
        "permit(principal == User::\"a\",action,resource);",
        "permit(principal,action,resource == Org::\"acme\");",
        "permit(principal in Org::\"acme\",action,resource);",
        "permit(principal is User,action,resource);",
        "permit(principal is User in Team::\"t\",action,resource);",
        "permit(principal in Team::\"t\",action,resource is Doc in Folder::\"f\");",
        "permit(principal,action == Action::\"read\",resource);",
        "permit(principal,action == Action::\"read\",resource) when { context.mfa || false == (true && false) || [] };",
        "permit(principal,action in Action::\"all\",resource);",
        "permit(principal,action in Action::\"rw\",resource);",
        "permit(principal,action in [Action::\"read\",Action::\"admin\"],resource);",
        "permit(principal,action == N::Action::\"go\",resource);",
        "permit(principal,action in N::Action::\"go\",resource);",
        "permit(principal == ?principal,action,resource);",
        "permit(principal in ?principal,action,resource in ?resource);",
        "permit(principal is User in ?principal,action,resource == ?resource);",
        "permit(principal is User,action,resource) when {principal.name == \"x\"};",
        "permit(principal is User,action,resource) when {principal has nick && principal.nick == \"x\"};",
        "permit(principal is User,action,resource) when {if principal has nick then principal.nick == \"x\" else false};",
        "permit(principal is User,action,resource) when {principal has nick} when {principal.nick == \"x\"};",
        "permit(principal is User,action,resource) when {principal has manager && principal.manager.name == \"x\"};",
        "permit(principal is User,action,resource) when {principal has manager && principal.manager has nick && principal.manager.nick == \"x\"};",
        "permit(principal is User,action,resource) when {principal has manager.nick && principal.manager.nick == \"x\"};",
        "permit(principal is User,action,resource) when {principal has address.zip && principal.address.zip > 1};",
        "permit(principal is User,action,resource) when {principal has \"nick\" && principal[\"nick\"] == \"x\"};",
        "permit(principal is User,action,resource) when {((principal has nick && principal.age > 1) || principal has nick) && principal.nick == \"x\"};",
        "permit(principal is User,action,resource) when {(principal has nick && principal has ip || principal has nick && principal.age > 2) && principal.nick == \"x\"};",
        "permit(principal,action == Action::\"read\",resource) when {principal is User && principal.age > 3};",
        "permit(principal,action == Action::\"read\",resource) when {principal is Bot || principal.age > 3};",
        "permit(principal,action == Action::\"read\",resource) when {context.mfa};",
        "permit(principal,action in Action::\"all\",resource) when {context.mfa && context.ip.isInRange(ip(\"10.0.0.0/8\"))};",
        "permit(principal,action in Action::\"all\",resource) when {context has ttl && context.ttl < duration(\"1h\")};",
        "permit(principal,action in Action::\"all\",resource) when {context.when < datetime(\"2024-01-01\")};",
        "permit(principal,action in Action::\"all\",resource) when {context.when.offset(duration(\"1d\")) > context.when};",
        "permit(principal,action in Action::\"all\",resource) when {context.when.durationSince(context.when).toDays() == 1};",
        "permit(principal,action in Action::\"all\",resource) when {context has mfa};",
        "permit(principal,action in Action::\"all\",resource) when {decimal(\"1.0\").lessThan(decimal(\"2.0\"))};",
        "permit(principal is User,action,resource) when {principal.age + 1 > 2};",
        "permit(principal is User,action,resource) when {-principal.age < 0};",
        "permit(principal is User,action,resource) when {principal.name like \"a*\"};",
        "permit(principal is User,action,resource) when {principal == User::\"a\"};",
        "permit(principal is User,action,resource) when {principal.age != 1};",
        "permit(principal is User,action,resource) when {principal.groups == [Team::\"a\"]};",
        "permit(principal is User,action,resource) when {[User::\"b\"].contains(principal)};",
        "permit(principal is User,action,resource) when {principal.groups.contains(Team::\"a\")};",
        "permit(principal is User,action,resource) when {principal.groups.containsAll([Team::\"a\"])};",
        "permit(principal is User,action,resource) when {principal.groups.isEmpty()};",
        "permit(principal is User,action,resource) when {{a: 1, b: true} == {a: 2, b: false}};",
        "permit(principal is User,action,resource) when {{a: 1}.a == 1};",
        "permit(principal is User,action,resource) when {{a: 1} has a};",
        "permit(principal is User,action,resource) when {(if principal.age > 1 then principal else User::\"x\").name == \"a\"};",
        "permit(principal is User,action,resource) when {if true then principal.age > 1 else 3};",
        "permit(principal is User,action,resource) when {if false then 3 else principal.age > 1};",
        "permit(principal is User,action,resource) when {if principal has nick then {a: 1} == {a: 2} else {b: 1} == {b: 3}};",
        "permit(principal is User,action,resource) when {principal.hasTag(\"a\")};",
        "permit(principal is User,action,resource) when {principal.hasTag(\"a\") && principal.getTag(\"a\") == \"b\"};",
        "permit(principal is User,action,resource) when {principal.hasTag(principal.name) && principal.getTag(principal.name) == \"b\"};",
        "permit(principal is User,action,resource is Doc) when {resource.hasTag(\"a\") && resource.getTag(\"a\").contains(\"x\")};",
        "permit(principal is User,action,resource) when {principal in Team::\"a\"};",
        "permit(principal is User,action,resource) when {principal in [Team::\"a\", Team::\"b\"]};",
        "permit(principal is User,action,resource) when {principal in principal.groups};",
        "permit(principal is User,action,resource) when {action in Action::\"all\"};",
        "permit(principal is User,action,resource) when {Action::\"read\" in Action::\"all\"};",
        "permit(principal is User,action,resource) when {action == Action::\"read\"};",
        "permit(principal is User,action,resource) when {User::\"a\" in User::\"a\"};",
        "permit(principal is User,action,resource) when {true || principal.nope};",
        "permit(principal,action == N::Action::\"go\",resource) when {principal.act == N::Action::\"go\"};",
        "permit(principal,action == N::Action::\"go\",resource) when {principal.act in N::Action::\"go\"};",
        "permit(principal,action == N::Action::\"run\",resource) when {context has a && context.a in N::Action::\"go\"};",
        "permit(principal,action == N::Action::\"go\",resource) when {principal.act is N::Action};",
        "permit(principal is User,action,resource is Doc) when {resource.meta has a.b.c && resource.meta.a.b.c > 1};",
        "permit(principal is User,action,resource is Doc) when {resource.meta has a && resource.meta.a has b && resource.meta.a.b.c > 1};",
        "permit(principal is User,action,resource is Doc) when {resource.owner == principal && resource.readers.contains(principal)};",
        "permit(principal is User,action,resource is Doc) when {resource has size && resource.size > principal.age};",
        "permit(principal is User,action,resource) when {ip(\"10.0.0.1\") == ip(\"10.0.0.1\")};",
        "permit(principal is User,action,resource) when {principal has ip && principal.ip.isIpv4()};",
        "permit(principal is User,action,resource) when {principal.since.toDate() == principal.since};",
        "permit(principal is User,action,resource) when {principal.since.toTime() > duration(\"1s\")};",
        "permit(principal is Bot,action,resource) when {principal.cost.lessThan(decimal(\"1.0\"))};",
        "permit(principal is User,action,resource) when {principal has name && true} when {principal.name == \"a\"};",
        "permit(principal is User,action,resource) when {principal.age > 1 && principal.age < 3 && principal.age == 2 && principal has nick && principal.nick == \"a\"};",
        "permit(principal is User,action,resource) when {principal has nick && principal has nick && principal.nick == \"a\"};",
        "permit(principal is User,action,resource) when {(true && principal has nick) && principal.nick == \"a\"};",
        "permit(principal is User,action,resource) when {(principal has nick && true) && principal.nick == \"a\"};",
        "permit(principal is User,action,resource) when {(principal has nick || false) && principal.nick == \"a\"};",
        "permit(principal is User,action,resource) when {(false || principal has nick) && principal.nick == \"a\"};",
        "permit(principal is User,action,resource) when {principal has nick && (principal has nick && principal.age > 2) && principal.nick == \"a\"};",
        "permit(principal is User,action,resource) when {(principal has nick && ({a:1} has a && principal.age > 2)) && principal.nick == \"a\"};",
        "permit(principal is User,action,resource) when {principal has nick && principal has ip && (principal has nick && principal.age > 3) && principal.ip.isIpv4()};",
    ];

    public static TheoryData<string> Impossible { get; } =
    [
        "permit(principal,action == Action::\"read\",resource) when {principal is Folder};",
        "permit(principal,action == Action::\"read\",resource) when {principal is Folder && principal.nope};",
        "permit(principal,action in Action::\"all\",resource) when {context has foo};",
        "permit(principal is User,action,resource) when {principal == Bot::\"a\"};",
        "permit(principal is User,action,resource) when {1 == 2};",
        "permit(principal is User,action,resource) when {1 == \"a\"};",
        "permit(principal is User,action,resource) when {{a: 1} has b};",
        "permit(principal is Bot,action,resource) when {principal.hasTag(\"a\")};",
        "permit(principal is Bot,action,resource) when {principal.hasTag(\"a\") && principal.getTag(\"a\") == 3};",
        "permit(principal is User,action,resource) when {principal.hasTag(\"a\") && principal has a};",
        "permit(principal is User,action,resource) when {principal in Doc::\"a\"};",
        "permit(principal is User,action == Action::\"admin\",resource) when {action in Action::\"all\"};",
        "permit(principal is User,action == Action::\"admin\",resource) when {action in User::\"a\"};",
        "permit(principal is User,action,resource) when {action == N::Action::\"go\"};",
        "permit(principal is User,action,resource) when {action has foo};",
        "permit(principal is User,action,resource) when {principal in action};",
        "permit(principal is User,action,resource) when {Org::\"acme\" in Team::\"a\"};",
        "permit(principal is User,action,resource) when {false && principal.nope};",
        "permit(principal,action == N::Action::\"go\",resource) when {principal.act in Action::\"all\"};",
        "permit(principal,action == N::Action::\"go\",resource) when {principal.act == Action::\"all\"};",
        "permit(principal,action == N::Action::\"go\",resource) when {principal.act has x};",
        "permit(principal,action == N::Action::\"go\",resource) when {principal.act == principal};",
    ];

    public static TheoryData<string> Invalid { get; } =
    [
        "permit(principal == Nope::\"a\",action,resource);",
        "permit(principal == Org::\"acme\",action,resource);",
        "permit(principal,action,resource == Org::\"foo\");",
        "permit(principal in Folder::\"x\",action,resource);",
        "permit(principal in Doc::\"x\",action,resource);",
        "permit(principal is Nope,action,resource);",
        "permit(principal is Folder,action,resource);",
        "permit(principal is Doc in Folder::\"t\",action,resource);",
        "permit(principal is Action,action,resource);",
        "permit(principal,action == Action::\"nope\",resource);",
        "permit(principal,action == Action::\"all\",resource);",
        "permit(principal,action == Action::\"lonely\",resource);",
        "permit(principal,action in [],resource);",
        "permit(principal,action in [Action::\"lonely\"],resource);",
        "permit(principal,action in [Action::\"read\",Action::\"nope\"],resource);",
        "permit(principal is Bot,action == Action::\"admin\",resource);",
        "permit(principal,action == Action::\"admin\",resource is Folder);",
        "permit(principal is User,action == N::Action::\"go\",resource);",
        "permit(principal is Nope in ?principal,action,resource);",
        "permit(principal == ?principal,action,resource) when {principal.name == \"x\"};",
        "permit(principal,action,resource) when {principal.name == \"x\"};",
        "permit(principal is User,action,resource) when {principal.nam == \"x\"};",
        "permit(principal is User,action,resource) when {principal.nick == \"x\"};",
        "permit(principal is User,action,resource) when {principal.nick == \"x\" && principal has nick};",
        "permit(principal is User,action,resource) when {principal has nick || principal.nick == \"x\"};",
        "permit(principal is User,action,resource) when {!(principal has nick) || principal.nick == \"x\"};",
        "permit(principal is User,action,resource) when {if principal has nick then true else principal.nick == \"x\"};",
        "permit(principal is User,action,resource) when {principal.nick == \"x\"} when {principal has nick};",
        "permit(principal is User,action,resource) unless {principal has nick} when {principal.nick == \"x\"};",
        "permit(principal is User,action,resource) unless {!(principal has nick)} when {principal.nick == \"x\"};",
        "permit(principal is User,action,resource) when {(principal has nick || principal has ip) && principal.nick == \"x\"};",
        "permit(principal,action,resource) when {context.mfa};",
        "permit(principal,action in Action::\"all\",resource) when {context.ttl < duration(\"1h\")};",
        "permit(principal,action in Action::\"all\",resource) when {context.when < datetime(\"nope\")};",
        "permit(principal,action in Action::\"all\",resource) when {context.when < 3};",
        "permit(principal,action in Action::\"all\",resource) when {3 < context.when};",
        "permit(principal,action in Action::\"all\",resource) when {context has note && ip(context.note).isLoopback()};",
        "permit(principal,action in Action::\"all\",resource) when {ip(\"1.2.3.4.5\").isLoopback()};",
        "permit(principal,action in Action::\"all\",resource) when {decimal(1).lessThan(decimal(\"2.0\"))};",
        "permit(principal,action in Action::\"all\",resource) when {context.ip == \"1.2.3.4\"};",
        "permit(principal,action in Action::\"all\",resource) when {context.ip.isInRange(\"10.0.0.0/8\")};",
        "permit(principal is User,action,resource) when {principal.age + \"a\" > 2};",
        "permit(principal is User,action,resource) when {principal.name + \"a\" == \"b\"};",
        "permit(principal is User,action,resource) when {-principal.name == 0};",
        "permit(principal is User,action,resource) when {!principal.age};",
        "permit(principal is User,action,resource) when {principal.age};",
        "permit(principal is User,action,resource) when {principal.age like \"a*\"};",
        "permit(principal is User,action,resource) when {principal like \"a*\"};",
        "permit(principal is User,action,resource) when {principal == \"a\"};",
        "permit(principal is User,action,resource) when {principal.name == 1};",
        "permit(principal is User,action,resource) when {principal.groups == []};",
        "permit(principal is User,action,resource) when {principal.groups == [1]};",
        "permit(principal is User,action,resource) when {[1,\"a\"].contains(1)};",
        "permit(principal is User,action,resource) when {[principal, Bot::\"a\"].contains(principal)};",
        "permit(principal is User,action,resource) when {principal.groups.contains(User::\"a\")};",
        "permit(principal is User,action,resource) when {principal.groups.containsAny([\"a\"])};",
        "permit(principal is User,action,resource) when {principal.groups.containsAny(Team::\"a\")};",
        "permit(principal is User,action,resource) when {principal.name.isEmpty()};",
        "permit(principal is User,action,resource) when {principal.name.contains(\"a\")};",
        "permit(principal is User,action,resource) when {{a: 1} == {a: 1, b: 2}};",
        "permit(principal is User,action,resource) when {{a: 1}.b == 1};",
        "permit(principal is User,action,resource) when {principal.address == {street: \"a\", zip: 1}};",
        "permit(principal is User,action,resource) when {principal.address == {street: \"a\"}};",
        "permit(principal is User,action,resource) when {(if principal.age > 1 then principal else Bot::\"x\").name == \"a\"};",
        "permit(principal is User,action,resource) when {if principal.age > 1 then 1 else true};",
        "permit(principal is User,action,resource) when {if 1 then true else false};",
        "permit(principal is User,action,resource) when {(if principal.age > 1 then principal.manager else principal).age > 1};",
        "permit(principal is User,action,resource) when {principal.getTag(\"a\") == \"b\"};",
        "permit(principal is User,action,resource) when {principal.hasTag(\"a\") && principal.getTag(\"b\") == \"b\"};",
        "permit(principal is User,action,resource) when {principal.hasTag(1)};",
        "permit(principal is User,action,resource is Doc) when {resource.hasTag(\"a\") && resource.getTag(\"a\") == \"x\"};",
        "permit(principal is User,action,resource) when {principal.address.hasTag(\"a\")};",
        "permit(principal is User,action,resource) when {principal in [Team::\"a\", Org::\"acme\"]};",
        "permit(principal is User,action,resource) when {principal in \"a\"};",
        "permit(principal is User,action,resource) when {principal in [\"a\"]};",
        "permit(principal is User,action,resource) when {principal.groups in Team::\"a\"};",
        "permit(principal is User,action,resource) when {action in [Action::\"all\", Action::\"nope\"]};",
        "permit(principal is User,action,resource) when {action.foo};",
        "permit(principal is User,action,resource) when {Org::\"nope\" == Org::\"acme\"};",
        "permit(principal is User,action,resource) when {false && Org::\"nope\" == Org::\"acme\"};",
        "permit(principal is User,action,resource) when {principal.nope || true};",
        "permit(principal is User,action,resource is Doc) when {resource.meta.a.b.c > 1};",
        "permit(principal is User,action,resource is Doc) when {resource.public || resource.owner.manager.age > 2};",
        "permit(principal is User,action,resource) when {principal.since > principal.age};",
        "permit(principal is User,action,resource) when {principal.name < \"a\"};",
        "permit(principal is Bot,action,resource) when {principal.cost < decimal(\"1.0\")};",
        "permit(principal is User,action,resource) when {(principal has nick) == true && principal.nick == \"a\"};",
        "permit(principal is User,action,resource) when {(principal has nick || true) && principal.nick == \"a\"};",
    ];

    [Theory]
    [MemberData(nameof(Valid))]
    public void Validator_OfAValidPolicy_FindsNothing(string policy) => Assert.Empty(Validate(policy));

    [Theory]
    [MemberData(nameof(Impossible))]
    public void Validator_OfAPolicyThatNeverMatches_WarnsOnly(string policy) => Assert.Equal("impossible_policy", Assert.Single(Validate(policy)).Code);

    [Theory]
    [MemberData(nameof(Invalid))]
    public void Validator_OfAnInvalidPolicy_SaysWhereAndInWhich(string policy)
    {
        List<Diagnostic> errors = [.. Validate(policy).Where(d => d.Severity == Severity.Error)];
        Assert.NotEmpty(errors);
        Assert.All(errors, e => Assert.Equal("policy0", e.Path));
        Assert.All(errors, e => Assert.InRange(e.Where!.Span.End, 1, policy.Length));
    }

    private static IReadOnlyList<Diagnostic> Validate(string policy) => Validator.Validate(PolicySet.Parse(policy).Value, Schema);
}
