using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Evaluation;

/// <summary>Operands from the left until one is false; every operand reached must be a truth value.</summary>
internal sealed class AndNode(Node[] operands) : TestNode
{
    public override Truth Test(ref Frame frame)
    {
        for (int i = 0; i < operands.Length; i++)
        {
            Truth truth = operands[i].Test(ref frame);
            if (truth != Truth.True) return truth == Truth.Failed ? Unless(Truth.False, operands.AsSpan(i + 1), ref frame) : truth;
        }
        return Truth.True;
    }
}

/// <summary>Operands from the left until one is true; every operand reached must be a truth value.</summary>
internal sealed class OrNode(Node[] operands) : TestNode
{
    public override Truth Test(ref Frame frame)
    {
        for (int i = 0; i < operands.Length; i++)
        {
            Truth truth = operands[i].Test(ref frame);
            if (truth != Truth.False) return truth == Truth.Failed ? Unless(Truth.True, operands.AsSpan(i + 1), ref frame) : truth;
        }
        return Truth.False;
    }
}

internal sealed class NotNode(Node operand) : TestNode
{
    public override Truth Test(ref Frame frame) => operand.Test(ref frame) switch
    {
        Truth.True => Truth.False,
        Truth.False => Truth.True,
        _ => Truth.Failed,
    };
}

internal sealed class IfNode(Node condition, Node then, Node otherwise) : Node
{
    public override Value Evaluate(ref Frame frame) => condition.Test(ref frame) switch
    {
        Truth.True => then.Evaluate(ref frame),
        Truth.False => otherwise.Evaluate(ref frame),
        _ => default,
    };

    public override Truth Test(ref Frame frame) => condition.Test(ref frame) switch
    {
        Truth.True => then.Test(ref frame),
        Truth.False => otherwise.Test(ref frame),
        _ => Truth.Failed,
    };
}

/// <summary>Never fails by itself: values of different types are unequal.</summary>
internal sealed class EqualNode(Node left, Node right, bool negated) : TestNode
{
    public override Truth Test(ref Frame frame)
    {
        Value a = left.Evaluate(ref frame);
        if (a.IsNone) return Truth.Failed;
        Value b = right.Evaluate(ref frame);
        if (b.IsNone) return Truth.Failed;
        return Of(a.Equals(b) != negated);
    }
}
