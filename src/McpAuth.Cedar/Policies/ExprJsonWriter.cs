using System.Text.Json;
using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Policies;

/// <summary>Writes expressions as JSON, as Cedar itself writes them.</summary>
internal sealed class ExprJsonWriter(Utf8JsonWriter to)
{
    public void Write(Expr expression)
    {
        to.WriteStartObject();
        switch (expression)
        {
            case LiteralExpr literal:
                to.WritePropertyName("Value");
                Write(literal.Value);
                break;
            case VariableExpr variable:
                to.WriteString("Var", ExprText.Name(variable.Variable));
                break;
            case IfExpr choice:
                to.WriteStartObject("if-then-else");
                Member("if", choice.Condition);
                Member("then", choice.Then);
                Member("else", choice.Otherwise);
                to.WriteEndObject();
                break;
            case ChainExpr chain:
                Write(chain);
                break;
            case UnaryExpr unary:
                to.WriteStartObject(unary.Operator switch { UnaryOperator.Not => "!", UnaryOperator.Negate => "neg", _ => "isEmpty" });
                Member("arg", unary.Operand);
                to.WriteEndObject();
                break;
            case BinaryExpr binary:
                to.WriteStartObject(ExprText.Symbol(binary.Operator) ?? ExprText.MethodName(binary.Operator));
                Member("left", binary.Left);
                Member("right", binary.Right);
                to.WriteEndObject();
                break;
            case AttributeExpr attribute:
                to.WriteStartObject(".");
                Member("left", attribute.Target);
                to.WriteString("attr", attribute.Name);
                to.WriteEndObject();
                break;
            case HasExpr has:
                to.WriteStartObject("has");
                Member("left", has.Target);
                to.WriteString("attr", has.Name);
                to.WriteEndObject();
                break;
            case LikeExpr like:
                to.WriteStartObject("like");
                Member("left", like.Target);
                Write(like.Pattern);
                to.WriteEndObject();
                break;
            case IsExpr type:
                to.WriteStartObject("is");
                Member("left", type.Target);
                to.WriteString("entity_type", type.Type);
                to.WriteEndObject();
                break;
            case SetExpr set:
                List("Set", set.Members);
                break;
            case RecordExpr record:
                to.WriteStartObject("Record");
                for (int i = 0; i < record.Names.Count; i++) Member(record.Names[i], record.Values[i]);
                to.WriteEndObject();
                break;
            case CallExpr call:
                List(call.Function.Name, call.Arguments);
                break;
        }
        to.WriteEndObject();
    }

    /// <summary>JSON has operators with two operands only: the first two within the next, and so on. Written without recursion, whatever the length.</summary>
    private void Write(ChainExpr chain)
    {
        int first = Sugar.IsIsIn(chain) ? 2 : 1;
        for (int i = chain.Operands.Count - 1; i >= first; i--)
        {
            to.WriteStartObject(chain.And ? "&&" : "||");
            to.WritePropertyName("left");
            if (i > first) to.WriteStartObject();
        }
        // The object around the whole is open already; around the first operand it is when the chain has others.
        if (first == chain.Operands.Count) IsIn(chain);
        else if (first == 1) Write(chain.Operands[0]);
        else
        {
            to.WriteStartObject();
            IsIn(chain);
            to.WriteEndObject();
        }
        for (int i = first; i < chain.Operands.Count; i++)
        {
            Member("right", chain.Operands[i]);
            to.WriteEndObject();
            if (i < chain.Operands.Count - 1) to.WriteEndObject();
        }
    }

    private void IsIn(ChainExpr chain)
    {
        var type = (IsExpr)chain.Operands[0];
        to.WriteStartObject("is");
        Member("left", type.Target);
        to.WriteString("entity_type", type.Type);
        Member("in", ((BinaryExpr)chain.Operands[1]).Right);
        to.WriteEndObject();
    }

    private void Write(Value literal)
    {
        if (literal.TryGetBool(out bool truth)) to.WriteBooleanValue(truth);
        else if (literal.TryGetLong(out long number)) to.WriteNumberValue(number);
        else if (literal.AsString is { } text) to.WriteStringValue(text);
        else
        {
            to.WriteStartObject();
            WriteEntity(to, "__entity", literal.AsEntity!);
            to.WriteEndObject();
        }
    }

    public static void WriteEntity(Utf8JsonWriter to, string name, EntityUid entity)
    {
        to.WriteStartObject(name);
        WriteEntity(to, entity);
        to.WriteEndObject();
    }

    public static void WriteEntity(Utf8JsonWriter to, EntityUid entity)
    {
        to.WriteString("type", entity.Type);
        to.WriteString("id", entity.Id);
    }

    /// <summary>Cedar writes every character of a pattern by itself, and reads pieces as well.</summary>
    private void Write(Pattern pattern)
    {
        to.WriteStartArray("pattern");
        for (int i = 0; i < pattern.Pieces.Count; i++)
        {
            if (i > 0) to.WriteStringValue("Wildcard");
            if (pattern.Pieces[i].Length == 0) continue;
            to.WriteStartObject();
            to.WriteString("Literal", pattern.Pieces[i]);
            to.WriteEndObject();
        }
        to.WriteEndArray();
    }

    private void Member(string name, Expr value)
    {
        to.WritePropertyName(name);
        Write(value);
    }

    private void List(string name, IReadOnlyList<Expr> members)
    {
        to.WriteStartArray(name);
        foreach (Expr member in members) Write(member);
        to.WriteEndArray();
    }
}
