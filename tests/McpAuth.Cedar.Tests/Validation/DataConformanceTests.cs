using System.Text.Json;
using McpAuth.Cedar.Schemas;

namespace McpAuth.Cedar.Tests.Validation;

[Trait("Spec", "Cedar-Validation")]
public sealed class DataConformanceTests
{
    private static readonly CedarSchema Schema = CedarSchema.Parse("""
        entity Org in [Org];
        entity Team in [Org];
        entity Color enum ["red", "green"];
        entity User in [Team] { name: String, age?: Long, color?: Color, groups: Set<Team>, home: { street: String, zip?: Long } } tags decimal;
        entity Doc;
        action read in [all] appliesTo { principal: [User, Color], resource: [Doc], context: { ip: ipaddr, note?: String, who?: User, did?: Action } };
        action all;
        """).Value;

    private const string Ip = """{"ip": {"__extn": {"fn": "ip", "arg": "10.0.0.1"}}}""";

    [Theory]
    [InlineData("User", "a", "read", "Doc", "d", Ip)]
    [InlineData("Color", "red", "read", "Doc", "d", Ip)]
    [InlineData("User", "a", "read", "Doc", "d", """{"note": "x", "ip": {"__extn": {"fn": "ip", "arg": "::1/64"}}}""")]
    [InlineData("User", "a", "read", "Doc", "d", """{"who": {"__entity": {"type": "User", "id": "b"}}, "did": {"__entity": {"type": "Action", "id": "all"}}, "ip": {"__extn": {"fn": "ip", "arg": "::1/64"}}}""")]
    public void Conforms_OfARequestTheSchemaAllows_IsTrueAndAllocatesNothing(string principalType, string principal, string action, string resourceType, string resource, string context)
    {
        Request request = Make(principalType, principal, action, resourceType, resource, context);
        Assert.True(Schema.Conforms(request));
        Assert.Null(Schema.FaultOf(request));
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++) Schema.FaultOf(request);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Theory]
    [InlineData("User", "a", "reed", "Doc", "d", Ip, "did you mean Action::\"read\"")]
    [InlineData("Usr", "a", "read", "Doc", "d", Ip, "did you mean 'User'")]
    [InlineData("Color", "blue", "read", "Doc", "d", Ip, "Color::\"blue\"")]
    [InlineData("Team", "a", "read", "Doc", "d", Ip, "these are Color, User")]
    [InlineData("User", "a", "read", "User", "d", Ip, "these are Doc")]
    [InlineData("User", "a", "all", "Doc", "d", "{}", "only a group")]
    [InlineData("User", "a", "read", "Doc", "d", "{}", "'ip' is missing")]
    [InlineData("User", "a", "read", "Doc", "d", """{"ip": "10.0.0.1"}""", "context.ip: expected IpAddress, but this is String")]
    [InlineData("User", "a", "read", "Doc", "d", """{"ip": {"__extn": {"fn": "ip", "arg": "::1"}}, "not": "x"}""", "did you mean 'note'")]
    [InlineData("User", "a", "read", "Doc", "d", """{"ip": {"__extn": {"fn": "ip", "arg": "::1"}}, "note": 1}""", "context.note")]
    [InlineData("User", "a", "read", "Doc", "d", """{"ip": {"__extn": {"fn": "ip", "arg": "::1"}}, "zzz": 1}""", "'zzz' is unknown")]
    [InlineData("User", "a", "read", "Doc", "d", """{"ip": {"__extn": {"fn": "ip", "arg": "::1"}}, "who": {"__entity": {"type": "Team", "id": "b"}}}""", "an entity of type User")]
    [InlineData("User", "a", "read", "Doc", "d", """{"ip": {"__extn": {"fn": "ip", "arg": "::1"}}, "did": {"__entity": {"type": "Action", "id": "b"}}}""", "Action::\"b\"")]
    public void FaultOf_OfARequestTheSchemaDoesNotAllow_SaysWhy(string principalType, string principal, string action, string resourceType, string resource, string context, string fault)
    {
        Request request = Make(principalType, principal, action, resourceType, resource, context);
        Assert.False(Schema.Conforms(request));
        Assert.Contains(fault, Schema.FaultOf(request), StringComparison.Ordinal);
    }

    private const string Attributes = """{"name": "n", "groups": [{"__entity": {"type": "Team", "id": "t"}}], "home": {"street": "s"}}""";

    [Theory]
    [InlineData("User", "a", Attributes, "[]", "{}", null)]
    [InlineData("User", "a", Attributes, """[{"type": "Team", "id": "t"}]""", """{"x": {"__extn": {"fn": "decimal", "arg": "1.5"}}}""", null)]
    [InlineData("User", "a", Attributes, """[{"type": "Org", "id": "o"}]""", "{}", null)]
    [InlineData("Org", "a", "{}", """[{"type": "Org", "id": "o"}]""", "{}", null)]
    [InlineData("Color", "red", "{}", "[]", "{}", null)]
    [InlineData("Action", "all", "{}", "[]", "{}", null)]
    [InlineData("Action", "read", "{}", """[{"type": "Action", "id": "all"}]""", "{}", null)]
    [InlineData("User", "a", "{}", "[]", "{}", "is missing")]
    [InlineData("User", "a", """{"name": 1, "groups": [], "home": {"street": "s"}}""", "[]", "{}", "attributes.name: expected String")]
    [InlineData("User", "a", """{"name": "n", "groups": [1], "home": {"street": "s"}}""", "[]", "{}", "attributes.groups[…]")]
    [InlineData("User", "a", """{"name": "n", "groups": [], "home": {"street": "s", "zap": 1}}""", "[]", "{}", "did you mean 'zip'")]
    [InlineData("User", "a", """{"name": "n", "groups": [], "home": {"street": "s"}, "color": {"__entity": {"type": "Color", "id": "blue"}}}""", "[]", "{}", "there is no entity Color::\"blue\"")]
    [InlineData("User", "a", Attributes, """[{"type": "Doc", "id": "t"}]""", "{}", "may be in one of type Doc")]
    [InlineData("User", "a", Attributes, """[{"type": "User", "id": "t"}]""", "{}", "may be in one of type User")]
    [InlineData("User", "a", Attributes, "[]", """{"x": 1}""", "tags.x: expected Decimal")]
    [InlineData("Doc", "a", "{}", "[]", """{"x": 1}""", "have none")]
    [InlineData("Color", "blue", "{}", "[]", "{}", "Color::\"blue\"")]
    [InlineData("Colour", "red", "{}", "[]", "{}", "did you mean 'Color'")]
    [InlineData("Action", "raed", "{}", "[]", "{}", "did you mean 'read'")]
    [InlineData("Action", "read", "{}", "[]", "{}", "other groups")]
    [InlineData("Action", "all", """{"x": 1}""", "[]", "{}", "attributes or tags")]
    public void FaultOf_OfAnEntity_SaysWhatIsNotAsDeclared(string type, string id, string attributes, string parents, string tags, string? fault)
    {
        string json = $$"""[{"uid": {"type": "{{type}}", "id": "{{id}}"}, "attrs": {{attributes}}, "parents": {{parents}}, "tags": {{tags}}}]""";
        using JsonDocument document = JsonDocument.Parse(json);
        string? found = Schema.FaultOf(CorpusData.Entities(document.RootElement).Single());
        if (fault is null) Assert.Null(found);
        else Assert.Contains(fault, found, StringComparison.Ordinal);
    }

    private static Request Make(string principalType, string principal, string action, string resourceType, string resource, string context)
    {
        using JsonDocument document = JsonDocument.Parse(context);
        return new(new(principalType, principal), new("Action", action), new(resourceType, resource), CorpusData.Record(document.RootElement));
    }
}
