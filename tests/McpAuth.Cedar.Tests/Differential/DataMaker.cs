using System.Text.Json;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Differential;

/// <summary>Makes entities and requests, mostly as the schema says, as JSON.</summary>
internal sealed class DataMaker(Dice dice, Model model, ModelMaker shapes)
{
    public string[] Entities()
    {
        var made = new List<string>();
        foreach (KindOfEntity kind in model.Entities)
            foreach (string id in Ids(kind).Take(3))
                if (!dice.Chance(10)) made.Add(Entity(kind, id));
        return [.. made];
    }

    public CaseRequest Request()
    {
        KindOfAction action = dice.Of<KindOfAction>(model.Actions.AsSpan(2..));
        if (dice.Chance(3)) action = action with { Uid = new(action.Uid.Type, "none") };
        EntityUid principal = Uid(dice.Chance(95) ? dice.Of(action.Principals) : dice.Of(model.Entities).Name);
        EntityUid resource = Uid(dice.Chance(95) ? dice.Of(action.Resources) : dice.Of(model.Entities).Name);
        return new(principal, action.Uid, resource, Record(action.Context, dice.Chance(5)));
    }

    public EntityUid Uid(string type) => new(type, model.Entities.FirstOrDefault(e => e.Name == type)?.Ids is { } ids && dice.Below(200) > 0 ? dice.Of(ids) : dice.Of<string>(Words.Ids.AsSpan(..4)));

    public string Json(Shape shape) => shape.Tag switch
    {
        Tag.Bool => dice.Of("true", "false"),
        Tag.Long => dice.Of(Words.Longs),
        Tag.Text => JsonSerializer.Serialize(dice.Of(Words.Texts)),
        Tag.Decimal => Extension("decimal", dice.Of(Words.Decimals)),
        Tag.Ip => Extension("ip", dice.Of(Words.Ips)),
        Tag.Datetime => dice.Chance(10) ? $$$"""{"__extn":{"fn":"offset","args":[{{{Extension("datetime", dice.Of(Words.Datetimes))}}},{{{Extension("duration", "1h")}}}]}}""" : Extension("datetime", dice.Of(Words.Datetimes)),
        Tag.Duration => Extension("duration", dice.Of(Words.Durations)),
        Tag.Entity => dice.Chance(90) ? $"{{\"__entity\":{Case.Uid(Uid(shape.Name))}}}" : Case.Uid(Uid(shape.Name)),
        Tag.Set => $"[{string.Join(',', Enumerable.Range(0, dice.Below(4)).Select(_ => Json(shape.Element!)))}]",
        _ => Record(shape.Fields!, dice.Below(200) == 0),
    };

    private string Extension(string function, string text)
    {
        if (dice.Below(300) == 0) text = dice.Of(Words.Malformed);
        string quoted = JsonSerializer.Serialize(text);
        return dice.Chance(90) ? $$$"""{"__extn":{"fn":"{{{function}}}","arg":{{{quoted}}}}}""" : quoted;
    }

    private string Record(Field[] fields, bool wrong)
    {
        var members = new List<string>();
        foreach (Field field in fields)
        {
            if (!field.Required && dice.Chance(40)) continue;
            if (wrong && dice.Chance(40)) continue;
            members.Add($"{JsonSerializer.Serialize(field.Name)}:{(wrong && dice.Chance(40) ? Json(shapes.Shape(0) is { Tag: not Tag.Entity } other ? other : Shape.Long) : Json(field.Shape))}");
        }
        if (wrong && dice.Chance(30)) members.Add("\"more\":1");
        return $"{{{string.Join(',', members)}}}";
    }

    private string Entity(KindOfEntity kind, string id)
    {
        // Groups are only in those that come later, so that there is no cycle; or there is, once in a while.
        IEnumerable<EntityUid> above = kind.Parents.SelectMany(type => Ids(model.Entities.First(e => e.Name == type)).Take(3).Select(i => new EntityUid(type, i)))
            .Where(p => p.Type != kind.Name || Array.IndexOf(Words.Ids, p.Id) > Array.IndexOf(Words.Ids, id) || dice.Below(400) == 0);
        if (kind.Name.EndsWith("Doc", StringComparison.Ordinal)) above = above.Where(p => p.Type == kind.Name || !model.Entities[1].Parents.Contains(kind.Name));
        if (dice.Below(400) == 0) above = above.Append(Uid(dice.Of(model.Entities).Name));
        string tags = kind.Tags is null ? dice.Below(400) == 0 ? ",\"tags\":{\"t\":1}" : ""
            : $",\"tags\":{{{string.Join(',', dice.Some(["t", "u", "é"], 50).Select(t => $"\"{t}\":{Json(kind.Tags)}"))}}}";
        return $"{{\"uid\":{Case.Uid(new(kind.Name, id))},\"attrs\":{Record(kind.Fields, dice.Below(150) == 0)},\"parents\":[{string.Join(',', dice.Some(above, 40).Select(Case.Uid))}]{tags}}}";
    }

    private static string[] Ids(KindOfEntity kind) => kind.Ids ?? Words.Ids;
}
