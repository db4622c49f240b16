using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Differential;

/// <summary>Makes expressions that mostly have the type they should have, for requests with one action, and a principal and a resource of one type.</summary>
internal sealed class ExpressionMaker
{
    private readonly Dice dice;
    private readonly ModelMaker shapes;
    private readonly DataMaker data;
    private readonly Model model;
    private readonly KindOfAction action;
    private readonly KindOfEntity principal, resource;
    private readonly bool typed;
    private readonly List<(Term Term, Shape Shape)> known = [];

    /// <param name="typed">Whether everything has the type that it should have, and every attribute that is read is required.</param>
    public ExpressionMaker(Dice dice, Model model, DataMaker data, ModelMaker shapes, bool typed)
    {
        (this.dice, this.model, this.data, this.shapes, this.typed) = (dice, model, data, shapes, typed);
        action = dice.Of<KindOfAction>(model.Actions.AsSpan(2..));
        string asking = dice.Of(action.Principals), asked = dice.Of(action.Resources);
        principal = model.Entities.First(e => e.Name == asking);
        resource = model.Entities.First(e => e.Name == asked);
        Learn(Term.Leaf("principal"), new(Tag.Entity, principal.Name), 3);
        Learn(Term.Leaf("resource"), new(Tag.Entity, resource.Name), 3);
        Learn(Term.Leaf("context"), new(Tag.Record, Fields: action.Context), 3);
    }

    /// <summary>The scope of the requests that the expressions are made for.</summary>
    public string Scope => $"principal is {principal.Name}, action == {Uid(action.Uid)}, resource is {resource.Name}";

    public Term Make(Shape shape, int depth)
    {
        if (!typed && dice.Chance(6)) shape = shapes.Shape(1);
        if (depth <= 0 || dice.Chance(10)) return Leaf(shape);
        if (dice.Chance(6)) return Term.Of(dice.Of("if § then § else §", "(if § then § else §)"), Make(Shape.Bool, depth - 1), Make(shape, depth - 1), Make(shape, depth - 1));
        return shape.Tag switch
        {
            Tag.Bool => Truth(depth - 1),
            Tag.Long => Number(depth - 1),
            Tag.Set => Term.List("[", "]", [.. Enumerable.Range(0, dice.Below(4)).Select(_ => Make(shape.Element ?? Shape.Long, depth - 1))]),
            Tag.Record => Record(shape, depth - 1),
            Tag.Datetime when dice.Chance(50) => dice.Chance(50) ? Term.Of("§.toDate()", Make(shape, depth - 1)) : Term.Of("§.offset(§)", Make(shape, depth - 1), Make(new(Tag.Duration), depth - 1)),
            Tag.Duration when dice.Chance(50) => dice.Chance(50) ? Term.Of("§.toTime()", Make(new(Tag.Datetime), depth - 1)) : Term.Of("§.durationSince(§)", Make(new(Tag.Datetime), depth - 1), Make(new(Tag.Datetime), depth - 1)),
            _ => Tagged(shape, depth) ?? Leaf(shape),
        };
    }

    /// <summary><c>.name</c>, or <c>["…"]</c> where it must be.</summary>
    private static Term Attribute(Term target, string name) => Term.Of(name is "a" or "b" or "name" or "level" or "__x" ? $"§.{name}" : $"§[{Words.Quote(name)}]", target);

    private void Learn(Term term, Shape shape, int depth)
    {
        known.Add((term, shape));
        if (depth == 0) return;
        Field[]? fields = shape.Tag == Tag.Entity ? model.Entities.First(e => e.Name == shape.Name).Fields : shape.Fields;
        foreach (Field field in (fields ?? []).Where(f => f.Required || (!typed && dice.Chance(60)))) Learn(Attribute(term, field.Name), field.Shape, depth - 1);
    }

    private Term Leaf(Shape shape)
    {
        (Term Term, Shape Shape)[] fitting = [.. known.Where(k => k.Shape.Fits(shape))];
        if (fitting.Length > 0 && dice.Chance(65)) return dice.Of(fitting).Term;
        return Term.Leaf(shape.Tag switch
        {
            Tag.Bool => dice.Of("true", "false"),
            Tag.Long => dice.Chance(20) && dice.Extremes ? $"({dice.Of(Words.Extremes)})" : dice.Of("0", "1", "2", "7", "-1", "9007199254740991"),
            Tag.Text => Words.Quote(dice.Of(Words.Texts)),
            Tag.Decimal => Extension("decimal", Words.Decimals),
            Tag.Ip => Extension("ip", Words.Ips),
            Tag.Datetime => Extension("datetime", Words.Datetimes),
            Tag.Duration => Extension("duration", Words.Durations),
            Tag.Entity => dice.Chance(8) ? "action" : Uid(data.Uid(shape.Name)),
            Tag.Set => "[]",
            _ => "{}",
        });
    }

    private string Extension(string function, string[] texts) => $"{function}({Words.Quote(dice.Chance(typed ? 1 : 5) ? dice.Of(Words.Malformed) : dice.Of(texts))})";

    private static string Uid(EntityUid uid) => $"{uid.Type}::{Words.Quote(uid.Id)}";

    private Term Record(Shape shape, int depth)
    {
        Field[] fields = shape.Fields is { Length: > 0 } some ? some : [new("a", Shape.Long, true), new("x y", Shape.Text, true)];
        Field[] written = [.. fields.Where(f => f.Required || dice.Chance(50))];
        if (written.Length == 0) return Term.Leaf("{}");
        string[] pieces = [.. written.Select((f, i) => $"{(i == 0 ? "{" : ", ")}{(f.Name is "a" or "b" ? f.Name : Words.Quote(f.Name))}: "), "}"];
        return new(pieces, [.. written.Select(f => Make(f.Shape, depth))]);
    }

    private Term? Tagged(Shape shape, int depth)
    {
        if (principal.Tags is { } tags && tags.Fits(shape) && dice.Chance(60))
            return dice.Chance(50) ? Term.Of("§.getTag(§)", Term.Leaf("principal"), Make(Shape.Text, depth - 2)) : Term.Leaf("principal.getTag(\"t\")");
        return null;
    }

    private Term Number(int depth) => dice.Below(8) switch
    {
        0 or 1 => Term.Of(dice.Of("(§ + §)", "§ + §"), Make(Shape.Long, depth), Make(Shape.Long, depth)),
        2 => Term.Of(dice.Of("(§ - §)", "§ - §"), Make(Shape.Long, depth), Make(Shape.Long, depth)),
        3 => Term.Of(dice.Of("(§ * §)", "§ * §"), Make(Shape.Long, depth), Make(Shape.Long, depth)),
        4 => Term.Of(dice.Of("-§", "-(§)", "--§"), Make(Shape.Long, depth)),
        5 => Term.Of("§." + dice.Of("toMilliseconds", "toSeconds", "toMinutes", "toHours", "toDays") + "()", Make(new(Tag.Duration), depth)),
        _ => Leaf(Shape.Long),
    };

    private Term Truth(int depth)
    {
        switch (dice.Below(20))
        {
            case 0 or 1:
                Shape shape = shapes.Shape(1);
                return Term.Of(dice.Of("(§ == §)", "(§ == §)", "(§ != §)", typed ? "(§ == §)" : "§ == §"), Make(shape, depth), Make(shape, depth));
            case 2:
                Shape ordered = dice.Of(Shape.Long, Shape.Long, new(Tag.Datetime), new(Tag.Duration));
                return Term.Of($"(§ {dice.Of("<", "<=", ">", ">=")} §)", Make(ordered, depth), Make(ordered, depth));
            case 3 or 4: return Chain("&&", depth);
            case 5 or 6: return Chain("||", depth);
            case 7: return Term.Of(dice.Of("!§", "!(§)", "!!§"), Make(Shape.Bool, depth));
            case 8: return Guarded(depth);
            case 9: return Term.Of("(§ in §)", AnyEntity(depth), AnyEntity(depth));
            case 10: return Term.Of("(§ in §)", AnyEntity(depth), Term.List("[", "]", [.. Enumerable.Range(0, dice.Below(3)).Select(_ => AnyEntity(0))]));
            case 11: return Term.Of($"(§ is {dice.Of(model.Entities).Name})", AnyEntity(depth));
            case 12: return Term.Of($"(§ is {dice.Of(model.Entities).Name} in §)", AnyEntity(depth), AnyEntity(depth));
            case 13: return Term.Of($"(§ like {Pattern()})", Make(Shape.Text, depth));
            case 14:
                Shape element = shapes.Shape(0);
                Shape set = new(Tag.Set, Element: element);
                return dice.Chance(40) ? Term.Of("§.contains(§)", Make(set, depth), Make(element, depth))
                    : Term.Of($"§.{dice.Of("containsAll", "containsAny")}(§)", Make(set, depth), Make(set, depth));
            case 15: return Term.Of("§.isEmpty()", Make(new(Tag.Set, Element: shapes.Shape(0)), depth));
            case 16: return Term.Of("§.hasTag(§)", AnyEntity(depth), Make(Shape.Text, depth));
            case 17: return Term.Of($"§.{dice.Of("lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual")}(§)", Make(new(Tag.Decimal), depth), Make(new(Tag.Decimal), depth));
            case 18:
                return dice.Chance(50) ? Term.Of("§.isInRange(§)", Make(new(Tag.Ip), depth), Make(new(Tag.Ip), depth))
                    : Term.Of($"§.{dice.Of("isIpv4", "isIpv6", "isLoopback", "isMulticast")}()", Make(new(Tag.Ip), depth));
            default: return Leaf(Shape.Bool);
        }
    }

    private Term Chain(string op, int depth)
    {
        Term[] operands = [.. Enumerable.Range(0, dice.Chance(5) ? 12 : 2 + dice.Below(2)).Select(_ => Make(Shape.Bool, depth))];
        bool parentheses = dice.Chance(70);
        return new([parentheses ? "(" : "", .. Enumerable.Repeat($" {op} ", operands.Length - 1), parentheses ? ")" : ""], operands);
    }

    /// <summary><c>has</c>, alone or before what it makes safe.</summary>
    private Term Guarded(int depth)
    {
        if (principal.Tags is not null && dice.Chance(30))
        {
            Term name = Make(Shape.Text, 1);
            return Term.Of("(principal.hasTag(§) && §)", name, principal.Tags.Tag == Tag.Bool ? Term.Of("principal.getTag(§)", name) : Term.Of("(principal.getTag(§) == §)", name, Make(principal.Tags, depth)));
        }
        (string variable, Field[] fields) = dice.Of(("principal", principal.Fields), ("resource", resource.Fields), ("context", action.Context));
        Term root = Term.Leaf(variable);
        string absent = dice.Of(Words.Names);
        if (fields.Length == 0) return Term.Of($"(§ has {Words.Quote(absent)})", root);
        Field field = dice.Of(fields);
        Term has = Term.Of($"(§ has {(field.Name is "a" or "b" or "name" ? field.Name : Words.Quote(field.Name))})", root);
        if (field.Shape.Fields is { Length: > 0 } inner && field.Name is "a" or "b" && dice.Chance(50)) return Term.Of($"(§ has {field.Name}.{dice.Of("a", "b", "name")})", root);
        Term value = Attribute(root, field.Name);
        return dice.Below(3) switch
        {
            0 => has,
            1 => Term.Of("(§ && §)", has, field.Shape.Tag == Tag.Bool ? value : Term.Of("(§ == §)", value, Make(field.Shape, depth))),
            _ => Term.Of("(!§ || §)", has, field.Shape.Tag == Tag.Bool ? value : Term.Of("(§ != §)", value, Make(field.Shape, depth))),
        };
    }

    private Term AnyEntity(int depth) => Make(new(Tag.Entity, dice.Of<KindOfEntity>(model.Entities.AsSpan(..3)).Name), depth);

    private string Pattern()
    {
        string pieces = string.Join('*', Enumerable.Range(0, 1 + dice.Below(3)).Select(_ => Words.Quote(dice.Of<string>(Words.Texts.AsSpan(..9)), pattern: true)[1..^1]));
        return $"\"{pieces}\"";
    }
}
