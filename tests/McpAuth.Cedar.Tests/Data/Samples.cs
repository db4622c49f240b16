using System.Text;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Data;

/// <summary>Short words for what the tests of data are full of.</summary>
internal static class Samples
{
    public static byte[] Utf8(string json) => Encoding.UTF8.GetBytes(json);

    public static EntityUid Uid(string type, string id) => new(type, id);

    public static EntityUid User(string id) => new("User", id);

    public static EntityUid Group(string id) => new("Group", id);

    public static EntityDescription In(EntityUid uid, params EntityUid[] parents) => new(uid, null, parents);

    public static CedarRecord Record(params (string Name, Value Value)[] attributes) => new(attributes.Select(a => KeyValuePair.Create(a.Name, a.Value)));

    public static Value Set(params Value[] members) => Value.Of(new CedarSet(members));

    public static Value Ip(string text) => Value.Of(Cedar.Extensions.IpText.Read(text)!);

    /// <summary>Users and groups in groups, tags on users, an enumerated type, two actions of which one is in the other.</summary>
    public static CedarSchema Schema { get; } = CedarSchema.Parse("""
        entity User in Group {
          home?: ipaddr, born?: datetime, score?: decimal, patience?: duration, boss?: User, mood?: Mood, seen?: Set<ipaddr>,
          address?: { zip: Long, street?: String },
        } tags duration;
        entity Group in Org;
        entity Org;
        entity Mood enum ["good", "bad"];
        action any;
        action view in any appliesTo { principal: User, resource: [User, Mood], context: { from: ipaddr, "on behalf of"?: User } };
        """).Value;

    /// <summary>The store of a document that is right.</summary>
    public static EntityStore Store(string json, CedarSchema? schema = null)
    {
        Parsed<EntityStore> parsed = EntityStore.ParseJson(Utf8(json), schema);
        Assert.True(parsed.Ok, string.Join('\n', parsed.Diagnostics));
        return parsed.Value;
    }

    /// <summary>The entities of which only the uid, and perhaps the rest of its members, are written.</summary>
    public static string Entity(string type, string id, string attrs = "{}", string parents = "[]", string more = "") =>
        $$"""{"uid":{"type":"{{type}}","id":"{{id}}"},"attrs":{{attrs}},"parents":{{parents}}{{more}}}""";

    /// <summary>The errors of a document, each as <c>code path</c>.</summary>
    public static string[] Errors<T>(Parsed<T> parsed)
        where T : class
    {
        Assert.False(parsed.Ok);
        Assert.NotEmpty(parsed.Diagnostics);
        return [.. parsed.Diagnostics.Select(d => $"{d.Code} {d.Path}")];
    }
}
