using System.Text;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Evaluation;

/// <summary>
/// Evaluates policies part by part, to tell what each part came to. Every part is compiled and run by itself: slow, and by construction the same answers
/// as the decision's own nodes give.
/// </summary>
internal sealed class Tracer(string? argumentPrefix = null)
{
    private readonly Compiler compiler = new(argumentPrefix);

    /// <param name="known">As of <see cref="Frame"/>.</param>
    public PolicyExplanation Trace(Policy policy, Request request, EntityStore entities, EntityStore? known = null)
    {
        var scope = new AndNode(
        [
            .. ScopeNodes.Of(RequestPart.Principal, policy.Body.Principal),
            .. ScopeNodes.Of(policy.Body.Action),
            .. ScopeNodes.Of(RequestPart.Resource, policy.Body.Resource),
        ]);
        var parts = policy.Body.Conditions.Select(c => (Condition: c, Part: Compile(c.Expression))).ToList();
        var frame = new Frame(
            request.Principal, request.Action, request.Resource, request.Context, entities, compiler.Paths, new Slot[compiler.Paths.Count], known);
        if (scope.Test(ref frame) != Truth.True) return new(policy, PolicyOutcome.NotSatisfied, InScope: false, []);

        var steps = new List<ExplanationStep>();
        foreach ((Condition condition, Part part) in parts)
        {
            ExplanationStep step = Run(part, policy, ref frame);
            string keyword = condition.Unless ? "unless" : "when";
            if (step.Value.IsNone || !step.Value.TryGetBool(out bool holds))
            {
                string? failure = step.Value.IsNone ? step.Failure : new Failure(FailureCode.WrongType, Actual: step.Value.Kind, Expected: ValueKind.Bool).ToString();
                steps.Add(step with { Expression = $"{keyword} {step.Expression}", Failure = failure, Value = default });
                return new(policy, PolicyOutcome.Failed, InScope: true, steps);
            }
            steps.Add(step with { Expression = $"{keyword} {step.Expression}" });
            if (holds == condition.Unless) return new(policy, PolicyOutcome.NotSatisfied, InScope: true, steps);
        }
        return new(policy, PolicyOutcome.Satisfied, InScope: true, steps);
    }

    private sealed record Part(Expr Expression, Node Node, IReadOnlyList<Part> Parts);

    private Part Compile(Expr expression) => new(expression, compiler.Compile(expression), [.. Children(expression).Select(Compile)]);

    private static IEnumerable<Expr> Children(Expr expression) => (expression switch
    {
        ChainExpr e => e.Operands,
        IfExpr e => [e.Condition, e.Then, e.Otherwise],
        UnaryExpr e => [e.Operand],
        BinaryExpr e => [e.Left, e.Right],
        AttributeExpr e => [e.Target],
        HasExpr e => [e.Target],
        LikeExpr e => [e.Target],
        IsExpr e => [e.Target],
        SetExpr e => e.Members,
        RecordExpr e => e.Values,
        CallExpr e => e.Arguments,
        _ => [],
    });

    private static ExplanationStep Run(Part part, Policy policy, ref Frame frame)
    {
        var steps = new List<ExplanationStep>();
        switch (part.Expression)
        {
            case ChainExpr chain:
                foreach (Part operand in part.Parts)
                {
                    steps.Add(Run(operand, policy, ref frame));
                    // The operand that decides is the last that is evaluated.
                    if (!steps[^1].Value.TryGetBool(out bool value) || value != chain.And) break;
                }
                break;
            case IfExpr:
                steps.Add(Run(part.Parts[0], policy, ref frame));
                if (steps[0].Value.TryGetBool(out bool condition)) steps.Add(Run(part.Parts[condition ? 1 : 2], policy, ref frame));
                break;
            default:
                foreach (Part operand in part.Parts)
                {
                    // What is written out in the expression needs no line of its own.
                    if (operand.Expression is LiteralExpr or VariableExpr || operand.Node is ConstantNode) continue;
                    steps.Add(Run(operand, policy, ref frame));
                    if (steps[^1].Value.IsNone) break;
                }
                break;
        }
        frame.Failure = default;
        Value result = part.Node.Evaluate(ref frame);
        bool own = result.IsNone && !steps.Exists(s => s.Value.IsNone);
        return new(TextOf(part.Expression), result, own ? frame.Failure.ToString() : null, Locate(policy, part.Expression), steps);
    }

    private static string TextOf(Expr expression)
    {
        var text = new StringBuilder();
        ExprText.Append(text, expression);
        return text.ToString();
    }

    private static SourceLocation? Locate(Policy policy, Expr expression) =>
        expression.Span == default ? null : policy.Body.Source?.Locate(expression.Span);
}
