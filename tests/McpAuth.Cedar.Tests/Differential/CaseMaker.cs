using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Differential;

/// <summary>Makes whole cases: a schema, and policies, templates, links, entities and requests that mostly are as it says.</summary>
internal static class CaseMaker
{
    /// <param name="extremes">Whether policies may hold numbers beyond 2^53, which JavaScript would round in JSON.</param>
    public static Case Make(int seed, int policies = 8, int requests = 8, bool extremes = true)
    {
        var dice = new Dice(seed) { Extremes = extremes };
        var shapes = new ModelMaker(dice);
        Model model = shapes.Make();
        var data = new DataMaker(dice, model, shapes);
        CasePolicy[] made = [.. Enumerable.Range(0, 1 + dice.Below(policies)).Select(i => Policy(dice, model, data, shapes, $"p{i}"))];
        CaseLink[] links = [.. made.Where(p => p.IsTemplate).SelectMany(p => Enumerable.Range(0, dice.Below(3)).Select(i => new CaseLink(p.Id, $"{p.Id}-{i}",
            p.Head.Contains("?principal", StringComparison.Ordinal) ? data.Uid(dice.Of<KindOfEntity>(model.Entities.AsSpan(..2)).Name) : null,
            p.Head.Contains("?resource", StringComparison.Ordinal) ? data.Uid(dice.Of<KindOfEntity>(model.Entities.AsSpan(1..3)).Name) : null)))];
        return new(model.ToString(), made, links, data.Entities(), [.. Enumerable.Range(0, requests).Select(_ => data.Request())]);
    }

    private static CasePolicy Policy(Dice dice, Model model, DataMaker data, ModelMaker shapes, string id)
    {
        bool template = dice.Chance(12);
        string Scope(string name, string[] types, bool slot)
        {
            string entity = slot ? $"?{name}" : Text(data.Uid(dice.Of(types)));
            return dice.Below(slot ? 3 : 12) switch
            {
                0 => $"{name} == {entity}",
                1 => $"{name} in {entity}",
                2 => $"{name} is {dice.Of(types)} in {entity}",
                3 => $"{name} is {dice.Of(types)}",
                _ => name,
            };
        }
        static string Text(EntityUid uid) => $"{uid.Type}::{Words.Quote(uid.Id)}";
        string Action() => Text(dice.Of(model.Actions).Uid);
        var expressions = new ExpressionMaker(dice, model, data, shapes, typed: dice.Chance(70));
        string scope = expressions.Scope;
        if (template || dice.Chance(60))
        {
            int slots = template ? 1 + dice.Below(3) : 0;
            string action = dice.Below(8) switch
            {
                0 => $"action == {Action()}",
                1 => $"action in {Action()}",
                2 => $"action in [{string.Join(", ", Enumerable.Range(0, 1 + dice.Below(3)).Select(_ => Action()))}]",
                _ => "action",
            };
            scope = $"{Scope("principal", [model.Entities[0].Name, model.Entities[1].Name], (slots & 1) != 0)}, {action}, {Scope("resource", [model.Entities[1].Name, model.Entities[2].Name], (slots & 2) != 0)}";
        }
        (bool, Term)[] conditions = [.. Enumerable.Range(0, dice.Of(0, 1, 1, 1, 1, 2)).Select(_ => (dice.Chance(25), expressions.Make(Shape.Bool, 1 + dice.Below(dice.Chance(5) ? 8 : 4))))];
        return new(id, $"{dice.Of("permit", "permit", "forbid")}({scope})", template, conditions);
    }
}
