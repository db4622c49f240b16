using System.Text.Json.Nodes;
using McpAuth.Cedar.Entities;
using static McpAuth.Cedar.Tests.Data.Samples;

namespace McpAuth.Cedar.Tests.Differential;

/// <summary>
/// Data that the reference takes and this engine does not, on purpose. In each case what is meant as an entity would be read as a record, or a part of what was
/// sent would be dropped, and a policy would decide on something else than the sender wrote.
/// </summary>
public class StricterDataTests
{
    [ReferenceFact]
    public void Entities_ThatTheReferenceReadsAsSomethingElse_AreRefused()
    {
        using var reference = new Reference();
        foreach ((string attrs, string error) in new[]
        {
            ("""{"x":{"__entity":"A::\"b\""}}""", "wrong_json_type $[0].attrs.x.__entity"), // a record, to the reference
            ("""{"x":{"__extn":{"fn":"ip"}}}""", "missing_member $[0].attrs.x.__extn"),
            ("""{"x":{"__entity":{"type":"A","id":"b"},"y":1}}""", "reserved_name $[0].attrs.x.y"),
            ("""{"x":{"__entity":{"type":"A","id":"b","y":1}}}""", "unknown_member $[0].attrs.x.__entity.y"), // y is dropped
            ("""{"__entity":{"type":"A","id":"b"}}""", "reserved_name $[0].attrs.__entity"), // it cannot be written again
        })
        {
            string entities = $"[{Entity("A", "a", attrs)}]";
            var call = new JsonObject
            {
                ["op"] = "world", ["policies"] = new JsonObject(), ["templates"] = new JsonObject(), ["links"] = new JsonArray(), ["schema"] = "", ["entities"] = JsonNode.Parse(entities), ["requests"] = new JsonArray(),
            };
            Assert.Equal(System.Text.Json.JsonValueKind.Null, reference.Ask(call.ToJsonString()).GetProperty("entities").ValueKind);
            Assert.Equal([error], Errors(EntityStore.ParseJson(Utf8(entities))));
        }
    }
}
