using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Evaluation;

/// <summary>
/// A part of a compiled condition. A tree of sealed nodes with one virtual call each, as deep as the expression it was made of, hence bounded by
/// <see cref="Limits.Depth"/>. Nodes throw nothing and, but for sets and records that a policy builds of what is not constant, allocate nothing.
/// </summary>
internal abstract class Node
{
    /// <summary>The value; no value when it failed (<see cref="Frame.Failure"/>).</summary>
    public abstract Value Evaluate(ref Frame frame);

    /// <summary>The same where a truth value is needed: nodes that make one answer it here without the detour.</summary>
    public virtual Truth Test(ref Frame frame)
    {
        Value value = Evaluate(ref frame);
        if (value.Is(Value.Scalar.Bool, out long bit)) return (Truth)bit;
        if (!value.IsNone) frame.Failure = new(FailureCode.WrongType, Actual: value.Kind, Expected: ValueKind.Bool);
        return Truth.Failed;
    }

    /// <summary>
    /// What a chain comes to whose operand failed: it failed. Only where that operand is merely <see cref="FailureCode.NotYetKnown"/> do the others count: one that
    /// decides the chain whatever the operand will be, decides it now.
    /// </summary>
    public static Truth Unless(Truth decisive, ReadOnlySpan<Node> others, ref Frame frame)
    {
        Failure open = frame.Failure;
        if (open.Code != FailureCode.NotYetKnown) return Truth.Failed;
        foreach (Node other in others)
            if (other.Test(ref frame) == decisive) return decisive;
        frame.Failure = open;
        return Truth.Failed;
    }

    /// <summary>For an operand that must be of one kind: says why it is not. What already failed keeps its reason.</summary>
    protected static Value WrongType(ref Frame frame, Value value, ValueKind expected) =>
        value.IsNone ? default : frame.Fail(new(FailureCode.WrongType, Actual: value.Kind, Expected: expected));
}

/// <summary>A node whose value is a truth value: it says what it comes to, the rest follows.</summary>
internal abstract class TestNode : Node
{
    public abstract override Truth Test(ref Frame frame);

    public sealed override Value Evaluate(ref Frame frame) => Test(ref frame) switch
    {
        Truth.True => Value.True,
        Truth.False => Value.False,
        _ => default,
    };

    protected static Truth Of(bool value) => value ? Truth.True : Truth.False;

    /// <inheritdoc cref="Node.WrongType"/>
    protected static Truth Failed(ref Frame frame, Value value, ValueKind expected)
    {
        if (!value.IsNone) frame.Failure = new(FailureCode.WrongType, Actual: value.Kind, Expected: expected);
        return Truth.Failed;
    }
}
