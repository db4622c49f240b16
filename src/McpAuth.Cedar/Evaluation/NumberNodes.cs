using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Evaluation;

/// <summary><c>&lt;</c>, <c>&lt;=</c>, <c>&gt;</c>, <c>&gt;=</c>: two numbers, two points in time, or two durations.</summary>
internal sealed class CompareNode(BinaryOperator op, Node left, Node right) : TestNode
{
    public override Truth Test(ref Frame frame)
    {
        Value a = left.Evaluate(ref frame);
        if (a.IsNone) return Truth.Failed;
        Value b = right.Evaluate(ref frame);
        if (b.IsNone) return Truth.Failed;
        if ((a.Is(Value.Scalar.Long, out long x) && b.Is(Value.Scalar.Long, out long y)) ||
            (a.Is(Value.Scalar.Datetime, out x) && b.Is(Value.Scalar.Datetime, out y)) ||
            (a.Is(Value.Scalar.Duration, out x) && b.Is(Value.Scalar.Duration, out y)))
        {
            return Of(op switch
            {
                BinaryOperator.Less => x < y,
                BinaryOperator.LessOrEqual => x <= y,
                BinaryOperator.Greater => x > y,
                _ => x >= y,
            });
        }
        frame.Failure = new(FailureCode.NotComparable, Actual: b.Kind, Expected: a.Kind);
        return Truth.Failed;
    }
}

/// <summary><c>+</c>, <c>-</c>, <c>*</c> on numbers; what does not fit into 64 bits fails.</summary>
internal sealed class ArithmeticNode(BinaryOperator op, Node left, Node right) : Node
{
    public override Value Evaluate(ref Frame frame)
    {
        Value a = left.Evaluate(ref frame);
        if (a.IsNone) return default;
        Value b = right.Evaluate(ref frame);
        if (b.IsNone) return default;
        if (!a.TryGetLong(out long x)) return WrongType(ref frame, a, ValueKind.Long);
        if (!b.TryGetLong(out long y)) return WrongType(ref frame, b, ValueKind.Long);
        Int128 result = op switch
        {
            BinaryOperator.Add => (Int128)x + y,
            BinaryOperator.Subtract => (Int128)x - y,
            _ => (Int128)x * y,
        };
        return result >= long.MinValue && result <= long.MaxValue ? Value.Of((long)result) : frame.Fail(new(FailureCode.Overflow));
    }
}

internal sealed class NegateNode(Node operand) : Node
{
    public override Value Evaluate(ref Frame frame)
    {
        Value value = operand.Evaluate(ref frame);
        if (!value.TryGetLong(out long number)) return WrongType(ref frame, value, ValueKind.Long);
        return number == long.MinValue ? frame.Fail(new(FailureCode.Overflow)) : Value.Of(-number);
    }
}
