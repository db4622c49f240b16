using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Extensions;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Evaluation;

/// <summary>A small world: Ann, of the staff of the company, reads a report in a folder.</summary>
internal static class World
{
    public static readonly EntityUid Ann = new("User", "ann"), Bob = new("User", "bob"), Staff = new("Group", "staff"), Company = new("Group", "company");
    public static readonly EntityUid Report = new("Doc", "report"), Folder = new("Folder", "reports"), Read = new("Action", "read"), Reading = new("Action", "reading"), Any = new("Action", "any");

    public static readonly EntityStore Entities = Store(
        Entity(Ann, [Staff, Company], new()
        {
            ["age"] = Value.Of(42L), ["name"] = Value.Of("Ann"), ["manager"] = Value.Of(Bob), ["admin"] = Value.Of(false),
            ["home"] = Record(("city", Value.Of("Paris")), ("zip", Value.Of(75L))),
        }, new() { ["dept"] = Value.Of("finance") }),
        Entity(Bob, [Company], new() { ["age"] = Value.Of(60L) }),
        Entity(Staff, [Company]), Entity(Company, []),
        Entity(Report, [Folder], new() { ["owner"] = Value.Of(Ann) }), Entity(Folder, []),
        Entity(Read, [Reading, Any]), Entity(Reading, [Any]), Entity(Any, []));

    public static readonly Request Request = new(Ann, Read, Report, Record(
        ("amount", Value.Of(100L)), ("text", Value.Of("a/b/c")), ("yes", Value.True), ("no", Value.False),
        ("tags", Set(Value.Of("x"), Value.Of("y"))), ("none", Set()), ("user", Value.Of(Bob)), ("stranger", Value.Of(new EntityUid("User", "zoe"))),
        ("ip", ExtensionText.Read(ValueKind.IpAddress, "10.1.2.3")), ("price", Value.OfDecimal(12_5000)),
        ("now", Value.OfDatetime(1_700_000_000_000)), ("ttl", Value.OfDuration(90_061_001)),
        ("args", Record(("path", Value.Of("/data/7/x")), ("deep", Record(("n", Value.Of(1L))))))).AsRecord!);

    public static Value Record(params (string Name, Value Value)[] attributes) =>
        Value.Of(new CedarRecord(attributes.Select(a => KeyValuePair.Create(a.Name, a.Value))));

    public static Value Set(params Value[] members) => Value.Of(new CedarSet(members));

    public static Entity Entity(EntityUid uid, EntityUid[] ancestors, Dictionary<string, Value>? attributes = null, Dictionary<string, Value>? tags = null) =>
        new(uid, new CedarRecord(attributes ?? []), new CedarRecord(tags ?? []), ancestors, ancestors);

    public static EntityStore Store(params Entity[] entities) => new(entities.ToDictionary(e => e.Uid));

    /// <summary>What a condition comes to, by a policy that has nothing else.</summary>
    public static string Outcome(string condition)
    {
        Authorizer authorizer = Authorizer.CedarCompatible(PolicySet.Parse($"permit(principal, action, resource) when {{ {condition} }};").Value);
        AuthorizationResponse response = authorizer.Authorize(Request, Entities);
        if (response.Errors.Count > 0) return response.Errors[0].Message;
        return response.Decision == Decision.Allow ? "true" : "false";
    }

    public static AuthorizationResponse Authorize(string policies, Request? request = null) =>
        Authorizer.CedarCompatible(PolicySet.Parse(policies).Value).Authorize(request ?? Request, Entities);
}
