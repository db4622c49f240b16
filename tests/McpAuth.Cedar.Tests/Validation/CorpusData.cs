using System.Text.Json;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Extensions;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Validation;

/// <summary>Values and entities as the corpus writes them: entities and extension values in their escapes.</summary>
internal static class CorpusData
{
    public static EntityUid Uid(JsonElement json)
    {
        JsonElement plain = json.TryGetProperty("__entity", out JsonElement inner) ? inner : json;
        return new(plain.GetProperty("type").GetString()!, plain.GetProperty("id").GetString()!);
    }

    public static CedarRecord Record(JsonElement json) => new(json.EnumerateObject().Select(p => KeyValuePair.Create(p.Name, Value(p.Value))));

    public static Value Value(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.True or JsonValueKind.False => Cedar.Values.Value.Of(json.GetBoolean()),
        JsonValueKind.Number => Cedar.Values.Value.Of(json.GetInt64()),
        JsonValueKind.String => Cedar.Values.Value.Of(json.GetString()!),
        JsonValueKind.Array => Cedar.Values.Value.Of(new CedarSet([.. json.EnumerateArray().Select(Value)])),
        _ when json.TryGetProperty("__entity", out _) => Cedar.Values.Value.Of(Uid(json)),
        _ when json.TryGetProperty("__extn", out JsonElement call) => Call(call.GetProperty("fn").GetString()!, call.TryGetProperty("arg", out JsonElement one) ? [one] : [.. call.GetProperty("args").EnumerateArray()]),
        _ => Cedar.Values.Value.Of(Record(json)),
    };

    public static IEnumerable<Entity> Entities(JsonElement json)
    {
        List<JsonElement> all = [.. json.EnumerateArray()];
        Dictionary<EntityUid, EntityUid[]> parents = all.ToDictionary(e => Uid(e.GetProperty("uid")), e => e.GetProperty("parents").EnumerateArray().Select(Uid).ToArray());
        foreach (JsonElement entity in all)
        {
            EntityUid uid = Uid(entity.GetProperty("uid"));
            HashSet<EntityUid> ancestors = [];
            var rest = new Stack<EntityUid>(parents[uid]);
            while (rest.TryPop(out EntityUid? next))
                if (ancestors.Add(next) && parents.TryGetValue(next, out EntityUid[]? further)) Array.ForEach(further, rest.Push);
            CedarRecord tags = entity.TryGetProperty("tags", out JsonElement tagged) ? Record(tagged) : CedarRecord.Empty;
            yield return new(uid, Record(entity.GetProperty("attrs")), tags, parents[uid], [.. ancestors]);
        }
    }

    // Where the result of a method stands in the data, only its type matters here: the fuzzer that made the corpus wrote offsets of one datetime.
    private static Value Call(string function, JsonElement[] arguments)
    {
        ExtensionFunction known = ExtensionFunction.Find(function)!;
        return known.IsMethod ? Value(arguments[0]) : ExtensionText.Read(known.Result, Value(arguments[0]).AsString!);
    }
}
