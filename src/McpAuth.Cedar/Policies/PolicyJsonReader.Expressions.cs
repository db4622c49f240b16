using System.Text;
using System.Text.Json;
using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Extensions;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Policies;

/// <summary>Expressions in JSON: an object with one member, whose name is the operator.</summary>
internal sealed partial class PolicyJsonReader
{
    private static readonly Dictionary<string, BinaryOperator> BinaryOperators = Enum.GetValues<BinaryOperator>()
        .ToDictionary(op => ExprText.Symbol(op) ?? ExprText.MethodName(op), StringComparer.Ordinal);

    private static readonly string[] OtherOperators =
        ["Value", "Var", "Slot", "!", "neg", "&&", "||", "isEmpty", ".", "has", "like", "is", "if-then-else", "Set", "Record"];

    /// <summary>Whether the budget is spent; said once.</summary>
    private bool exhausted;

    /// <param name="depth">How many expressions this lies in, itself included.</param>
    private Expr Expression(JsonAt at, int depth)
    {
        if (json.Full) return Unknown;
        if (depth > Limits.Depth) return TooDeep(at);
        long before = budget.Nodes++;
        List<KeyValuePair<string, JsonAt>> members = json.Members(at, "An expression");
        if (members.Count != 1)
        {
            if (at.Kind == JsonValueKind.Object) json.Report("wrong_expression", $"An expression has one member, the operator, and this has {members.Count}.", at);
            return Unknown;
        }
        (string op, JsonAt body) = members[0];
        Expr read = Expression(op, body, at, depth, before);
        return read.Depth > Limits.Depth ? TooDeep(at) : read;
    }

    private Expr Expression(string op, JsonAt body, JsonAt at, int depth, long before)
    {
        switch (op)
        {
            case "Value": return Literal(body, depth);
            case "Var": return Var(body);
            case "Slot":
                json.Report("slot_in_condition", "Slots stand in the scope only.", at);
                return Unknown;
            case "!": return Unary(UnaryOperator.Not, body, depth);
            case "neg": return Unary(UnaryOperator.Negate, body, depth);
            case "isEmpty": return Unary(UnaryOperator.IsEmpty, body, depth);
            case "&&" or "||": return Chain(op, body, depth);
            case "." when json.Members(body, "'.'", ["left", "attr"]) is [{ } left, { } attr]:
                return new AttributeExpr(default, Expression(left, depth + 1), pool.Get(json.Text(attr, "The name of an attribute")));
            case "has" when json.Members(body, "'has'", ["left", "attr"]) is [{ } left, { } attr]:
                return Has(left, attr, at, depth, before);
            case "like" when json.Members(body, "'like'", ["left", "pattern"]) is [{ } left, { } pattern]:
                return new LikeExpr(default, Expression(left, depth + 1), Pattern(pattern));
            case "is" when json.Members(body, "'is'", ["left", "entity_type"], "in") is [{ } left, { } type, var ancestor]:
                return Is(left, type, ancestor, at, depth, before);
            case "if-then-else" when json.Members(body, "'if-then-else'", ["if", "then", "else"]) is [{ } condition, { } then, { } otherwise]:
                return new IfExpr(default, Expression(condition, depth + 1), Expression(then, depth + 1), Expression(otherwise, depth + 1));
            case "Set": return new SetExpr(default, All(body, "A set", depth));
            case "Record": return Record(body, depth);
            case "." or "has" or "like" or "is" or "if-then-else": return Unknown;
        }
        if (BinaryOperators.TryGetValue(op, out BinaryOperator binary))
            return json.Members(body, $"'{op}'", ["left", "right"]) is [{ } left, { } right]
                ? new BinaryExpr(default, binary, Expression(left, depth + 1), Expression(right, depth + 1)) : Unknown;
        if (ExtensionFunction.Find(op) is { } function)
        {
            Expr[] arguments = All(body, $"The list of arguments of '{op}'", depth);
            if (!function.IsMethod || arguments.Length > 0) return new CallExpr(default, function, arguments);
            if (body.Kind == JsonValueKind.Array) json.Report("wrong_arity", $"The method '{op}' needs a target: its first argument.", body);
            return Unknown;
        }
        json.Report("unknown_operator", $"There is no operator or function '{op}'.", at,
            NearMiss.Help(op, [.. OtherOperators, .. BinaryOperators.Keys, .. ExtensionFunction.Names]));
        return Unknown;
    }

    /// <summary>A chain is as deep in JSON as it is long: it is followed along its left side without recursion.</summary>
    private Expr Chain(string op, JsonAt body, int depth)
    {
        var rights = new List<JsonAt>();
        while (true)
        {
            if (json.Members(body, $"'{op}'", ["left", "right"]) is not [{ } left, { } right]) return Unknown;
            rights.Add(right);
            budget.Nodes++;
            if (left.HasOnly(op))
            {
                body = json.Members(left, "An expression")[0].Value;
                continue;
            }
            List<Expr> operands = [Expression(left, depth + 1)];
            for (int i = rights.Count - 1; i >= 0 && !json.Full; i--) operands.Add(Expression(rights[i], depth + 1));
            return operands.Count == 1 ? operands[0] : ChainExpr.Of(default, op == "&&", operands);
        }
    }

    private Expr Var(JsonAt at)
    {
        switch (json.Text(at, "A variable"))
        {
            case "principal": return new VariableExpr(default, Variable.Principal);
            case "action": return new VariableExpr(default, Variable.Action);
            case "resource": return new VariableExpr(default, Variable.Resource);
            case "context": return new VariableExpr(default, Variable.Context);
            case var other:
                if (at.Kind == JsonValueKind.String)
                    json.Report("unknown_name", $"'{other}' is no variable.", at, NearMiss.Help(other, ["principal", "action", "resource", "context"]));
                return Unknown;
        }
    }

    private Expr Unary(UnaryOperator op, JsonAt body, int depth) =>
        json.Members(body, "An operator with one operand", ["arg"]) is [{ } arg] ? new UnaryExpr(default, op, Expression(arg, depth + 1)) : Unknown;

    private Expr Has(JsonAt left, JsonAt attr, JsonAt at, int depth, long before)
    {
        Expr target = Expression(left, depth + 1);
        if (attr.Kind != JsonValueKind.Array) return new HasExpr(default, target, pool.Get(json.Text(attr, "The name of an attribute")));
        var path = new List<string>();
        foreach (JsonAt name in json.Items(attr, "A path")) path.Add(pool.Get(json.Text(name, "The name of an attribute")));
        if (path.Count == 0)
        {
            json.Report("wrong_expression", "'has' needs the name of an attribute.", attr);
            return Unknown;
        }
        return Afford(before, path.Count, at) ? Sugar.HasPath(default, target, path) : Unknown;
    }

    private Expr Is(JsonAt left, JsonAt type, JsonAt? ancestor, JsonAt at, int depth, long before)
    {
        Expr target = Expression(left, depth + 1);
        long after = budget.Nodes;
        string name = TypeName(type);
        if (ancestor is null) return new IsExpr(default, target, name);
        Expr right = Expression(ancestor.Value, depth + 1);
        return Afford(before + budget.Nodes - after, 2, at) ? Sugar.IsIn(default, target, name, right) : Unknown;
    }

    private bool Afford(long before, int times, JsonAt at)
    {
        if (budget.Repeat(budget.Nodes - before, times)) return true;
        if (!exhausted) json.Report("too_large", "'has' with several names, and 'is' with 'in', repeat their left side; here that makes the policies too large.", at);
        exhausted = true;
        return false;
    }

    private Pattern Pattern(JsonAt at)
    {
        var pieces = new List<string>();
        var piece = new StringBuilder();
        foreach (JsonAt item in json.Items(at, "A pattern"))
        {
            if (item.TryText(out string? word) && word == "Wildcard") Cut();
            else if (item.Kind != JsonValueKind.Object) json.Report("invalid_pattern", "A pattern consists of \"Wildcard\" and of {\"Literal\": …}.", item);
            else if (json.Members(item, "A part of a pattern", ["Literal"]) is [{ } literal]) piece.Append(json.Text(literal, "A part of a pattern"));
        }
        Cut();
        return new Pattern([.. pieces]);

        void Cut()
        {
            pieces.Add(piece.ToString());
            piece.Clear();
        }
    }

    private Expr[] All(JsonAt at, string what, int depth)
    {
        var members = new List<Expr>();
        foreach (JsonAt item in json.Items(at, what))
        {
            if (json.Full) break;
            members.Add(Expression(item, depth + 1));
        }
        return [.. members];
    }

    private RecordExpr Record(JsonAt at, int depth)
    {
        var names = new List<string>();
        var values = new List<Expr>();
        foreach ((string name, JsonAt value) in json.Members(at, "A record"))
        {
            names.Add(pool.Get(name));
            values.Add(Expression(value, depth + 1));
        }
        return new RecordExpr(default, [.. names], [.. values]);
    }

    // true, 1, "a", [values], {names: values}, {"__entity":{"type":…,"id":…}}, {"__extn":{"fn":…,"arg":…}}
    private Expr Literal(JsonAt at, int depth)
    {
        if (depth > Limits.Depth) return TooDeep(at);
        budget.Nodes++;
        switch (at.Kind)
        {
            case JsonValueKind.True or JsonValueKind.False:
                return new LiteralExpr(default, Value.Of(at.Kind == JsonValueKind.True));
            case JsonValueKind.Number:
                if (at.TryInteger(out long number)) return new LiteralExpr(default, Value.Of(number));
                json.Report("integer_out_of_range", "A number is an integer between -9223372036854775808 and 9223372036854775807.", at);
                return Unknown;
            case JsonValueKind.String:
                return new LiteralExpr(default, Value.Of(json.Text(at, "A text")));
            case JsonValueKind.Array:
                var members = new List<Expr>();
                foreach (JsonAt item in json.Items(at, "A set"))
                    if (!json.Full) members.Add(Literal(item, depth + 1));
                return new SetExpr(default, [.. members]);
            case JsonValueKind.Object when JsonInput.TryMember(at, "__entity", out _):
                return Entity(at) is { } entity ? new LiteralExpr(default, Value.Of(entity)) : Unknown;
            case JsonValueKind.Object when JsonInput.TryMember(at, "__extn", out _):
                return Extension(at, depth);
            case JsonValueKind.Object when JsonInput.TryMember(at, "__expr", out _):
                json.Report("unsupported_escape", "'__expr' is no longer part of Cedar.", at);
                return Unknown;
            case JsonValueKind.Object:
                var names = new List<string>();
                var values = new List<Expr>();
                foreach ((string name, JsonAt value) in json.Members(at, "A record"))
                {
                    names.Add(pool.Get(name));
                    values.Add(Literal(value, depth + 1));
                }
                return new RecordExpr(default, [.. names], [.. values]);
            default:
                json.Report("wrong_type", "Null is no value.", at);
                return Unknown;
        }
    }

    private Expr Extension(JsonAt at, int depth)
    {
        if (json.Members(at, "An extension value", ["__extn"]) is not [{ } call]) return Unknown;
        if (json.Members(call, "An extension value", ["fn"], "arg", "args") is not [{ } functionAt, var arg, var args]) return Unknown;
        string name = json.Text(functionAt, "The name of a function");
        if (ExtensionFunction.Find(name) is not { } function)
        {
            if (functionAt.Kind == JsonValueKind.String)
                json.Report("unknown_function", $"There is no function '{name}'.", functionAt, NearMiss.Help(name, ExtensionFunction.Names));
            return Unknown;
        }
        var arguments = new List<Expr>();
        if (arg is { } single) arguments.Add(Literal(single, depth + 1));
        if (args is { } several)
            foreach (JsonAt each in json.Items(several, "The list of arguments"))
                if (!json.Full) arguments.Add(Literal(each, depth + 1));
        if (arg is null == args is null || arguments.Count == 0)
        {
            json.Report("wrong_arity", "An extension value has an argument: 'arg', or 'args'.", call);
            return Unknown;
        }
        return new CallExpr(default, function, [.. arguments]);
    }

    private static LiteralExpr Unknown { get; } = new(default, Value.True);

    private LiteralExpr TooDeep(JsonAt at)
    {
        json.Report("too_deep", $"Expressions nest at most {Limits.Depth} deep.", at);
        return Unknown;
    }
}
