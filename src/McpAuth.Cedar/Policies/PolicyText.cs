using System.Text;
using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Policies;

/// <summary>Policies as the policy language writes them, always laid out in the same way.</summary>
internal static class PolicyText
{
    /// <summary>A line that would be longer is broken, where it can be.</summary>
    private const int Width = 100;

    public static void Append(StringBuilder to, PolicyBody body)
    {
        foreach ((string key, string value) in body.Annotations)
        {
            to.Append('@').Append(key);
            if (value.Length > 0) Quoted(to.Append('('), value).Append(')');
            to.Append('\n');
        }
        Scope(to, body);
        foreach (Condition condition in body.Conditions) Append(to, condition);
        to.Append(";\n");
    }

    private static void Scope(StringBuilder to, PolicyBody body)
    {
        string effect = body.Effect == Effect.Permit ? "permit" : "forbid";
        string principal = Text(body.Principal, "principal"), action = Text(body.Action), resource = Text(body.Resource, "resource");
        if (effect.Length + principal.Length + action.Length + resource.Length + 7 <= Width)
            to.Append($"{effect} ({principal}, {action}, {resource})");
        else to.Append($"{effect} (\n  {principal},\n  {action},\n  {resource}\n)");
    }

    private static void Append(StringBuilder to, Condition condition)
    {
        to.Append('\n').Append(condition.Unless ? "unless { " : "when { ");
        int start = to.Length;
        ExprText.Append(to, condition.Expression);
        if (to.Length - start <= Width || condition.Expression is not ChainExpr chain)
        {
            to.Append(" }");
            return;
        }
        to.Length = start - 1;
        to.Append("\n  ");
        for (int i = ExprText.AppendFirstOperand(to, chain); i < chain.Operands.Count; i++)
        {
            to.Append(chain.And ? " &&\n  " : " ||\n  ");
            ExprText.AppendOperand(to, chain, chain.Operands[i]);
        }
        to.Append("\n}");
    }

    private static string Text(EntityScope scope, string variable)
    {
        string entity = scope.Entity?.ToString() ?? $"?{variable}";
        return scope.Kind switch
        {
            ScopeKind.Equal => $"{variable} == {entity}",
            ScopeKind.In => $"{variable} in {entity}",
            ScopeKind.Is => $"{variable} is {scope.Type}",
            ScopeKind.IsIn => $"{variable} is {scope.Type} in {entity}",
            _ => variable,
        };
    }

    private static string Text(ActionScope scope) => scope.Kind switch
    {
        ScopeKind.Equal => $"action == {scope.Actions[0]}",
        ScopeKind.In when scope.IsList => $"action in [{string.Join(", ", scope.Actions)}]",
        ScopeKind.In => $"action in {scope.Actions[0]}",
        _ => "action",
    };

    private static StringBuilder Quoted(StringBuilder to, string text)
    {
        to.Append('"');
        StringEscapes.Append(to, text);
        return to.Append('"');
    }
}
