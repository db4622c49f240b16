using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Validation.Types;

namespace McpAuth.Cedar.Validation;

/// <summary>
/// How many steps from entity to entity a condition takes (RFC 76 of Cedar). An attribute, a tag or the parents of an entity of the request are one step.
/// Looks at what the type checker looked at, and only when that found nothing wrong.
/// </summary>
internal sealed class LevelChecker(TypedParts parts, RequestKind request, int most, PolicyFindings findings)
{
    public void Check(Expr expression)
    {
        switch (expression)
        {
            case IfExpr e:
                Check(e.Condition);
                foreach (Expr branch in parts.BranchesOf(e)) Check(branch);
                break;
            case ChainExpr e:
                foreach (Expr operand in parts.OperandsOf(e)) Check(operand);
                break;
            case UnaryExpr e: Check(e.Operand); break;
            case BinaryExpr { Operator: BinaryOperator.HasTag or BinaryOperator.GetTag or BinaryOperator.In } e:
                CheckTarget(expression, e.Left);
                Check(e.Right);
                break;
            case BinaryExpr e:
                Check(e.Left);
                Check(e.Right);
                break;
            case AttributeExpr e: CheckAttribute(e, e.Target); break;
            case HasExpr e: CheckAttribute(e, e.Target); break;
            case LikeExpr e: Check(e.Target); break;
            case IsExpr e: Check(e.Target); break;
            case SetExpr e: CheckAll(e.Members); break;
            case RecordExpr e: CheckAll(e.Values); break;
            case CallExpr e: CheckAll(e.Arguments); break;
        }
    }

    private void CheckAll(IEnumerable<Expr> all)
    {
        foreach (Expr expression in all) Check(expression);
    }

    private void CheckAttribute(Expr expression, Expr target)
    {
        if (parts.TypeOf(target) is StaticEntity) CheckTarget(expression, target);
        else Check(target);
    }

    private void CheckTarget(Expr expression, Expr target)
    {
        int level = LevelOf(target, []);
        if (level >= most)
            findings.Error("level_exceeded", $"This takes {level + 1} steps from an entity of the request, and at most {most} are allowed.", expression.Span);
    }

    /// <summary>How many steps it takes to reach the entity that the expression is.</summary>
    /// <param name="path">The attributes that will be taken of the records on the way, the innermost record's last.</param>
    private int LevelOf(Expr expression, Stack<string> path)
    {
        switch (expression)
        {
            case VariableExpr: return 0;
            case LiteralExpr { Value.AsEntity: { } entity }:
                if (!entity.Equals(request.Action)) Unreachable(expression);
                return 0;
            case IfExpr e:
                Check(e.Condition);
                return parts.BranchesOf(e).Max(branch => LevelOf(branch, new Stack<string>(path.Reverse())));
            case AttributeExpr e when parts.TypeOf(e.Target) is StaticEntity: return LevelOf(e.Target, path) + 1;
            case AttributeExpr e:
                path.Push(e.Name);
                return LevelOf(e.Target, path);
            case BinaryExpr { Operator: BinaryOperator.GetTag } e:
                int level = LevelOf(e.Left, path) + 1;
                Check(e.Right);
                return level;
            case RecordExpr e when path.TryPop(out string? name):
                int taken = 0;
                for (int i = 0; i < e.Names.Count; i++)
                {
                    if (e.Names[i] == name) taken = LevelOf(e.Values[i], path);
                    else Check(e.Values[i]);
                }
                return taken;
            default:
                Unreachable(expression);
                return 0;
        }
    }

    private void Unreachable(Expr expression) =>
        findings.Error("literal_dereference", "Only entities that the request leads to may be looked at, and this one is written out.", expression.Span);
}
