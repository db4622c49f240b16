using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Differential;

/// <summary>Makes schemas: a few entity types in a few others, one enumerated, actions in groups.</summary>
internal sealed class ModelMaker(Dice dice)
{
    private string[] types = [];

    public Model Make()
    {
        string space = dice.Chance(40) ? dice.Of("App", "A::B") : "";
        string Full(string name) => space.Length == 0 ? name : $"{space}::{name}";
        types = [Full("User"), Full("Group"), Full("Doc"), Full("Mood")];
        KindOfEntity[] entities =
        [
            new(types[0], dice.Some([types[1]], 80), Fields(5), Tags(), null),
            new(types[1], dice.Some([types[1], types[2]], 50), Fields(2), Tags(), null),
            new(types[2], dice.Some([types[1], types[2]], 30), Fields(4), Tags(), null),
            new(types[3], [], [], null, ["good", "bad", "é"]),
        ];
        EntityUid Action(string id) => new(Full("Action"), id);
        var actions = new List<KindOfAction> { new(Action("any"), [], [], [], []), new(Action("reads"), dice.Some([Action("any")], 70), [], [], []) };
        foreach (string id in new[] { "read", "write", "x \"y" })
        {
            actions.Add(new(Action(id), dice.Some([Action("any"), Action("reads")], 40),
                [types[0], .. dice.Some(types[1..], 25)], [types[2], .. dice.Some([types[0], types[3]], 30)], Fields(4)));
        }
        return new(space, entities, [.. actions]);
    }

    public Shape Shape(int depth) => dice.Below(depth > 0 ? 13 : 10) switch
    {
        0 or 1 => Differential.Shape.Bool,
        2 or 3 => Differential.Shape.Long,
        4 => Differential.Shape.Text,
        5 => new(Tag.Decimal),
        6 => new(Tag.Ip),
        7 => new(Tag.Datetime),
        8 => new(Tag.Duration),
        9 => new(Tag.Entity, dice.Of(types)),
        10 or 11 => new(Tag.Set, Element: Shape(depth - 1)),
        _ => new(Tag.Record, Fields: Fields(3, depth - 1)),
    };

    private Shape? Tags() => dice.Chance(50) ? Shape(1) : null;

    private Field[] Fields(int most, int depth = 2) =>
        [.. Enumerable.Range(0, dice.Below(most + 1)).Select(_ => dice.Of(Words.Names)).Distinct().Select(name => new Field(name, Shape(depth), dice.Chance(60)))];
}
