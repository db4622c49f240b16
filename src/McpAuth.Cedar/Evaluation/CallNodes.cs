using McpAuth.Cedar.Extensions;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Evaluation;

/// <summary>An extension function of one argument.</summary>
internal sealed class UnaryCallNode(ExtensionFunction function, Node argument) : Node
{
    public override Value Evaluate(ref Frame frame)
    {
        Value a = argument.Evaluate(ref frame);
        if (a.IsNone) return default;
        Value result = ExtensionOperations.Apply(function, [a]);
        return result.IsNone ? frame.Fail(CallFailure.Of(function, a)) : result;
    }
}

/// <summary>An extension method with one argument beside its target.</summary>
internal sealed class BinaryCallNode(ExtensionFunction function, Node left, Node right) : Node
{
    public override Value Evaluate(ref Frame frame)
    {
        Value a = left.Evaluate(ref frame);
        if (a.IsNone) return default;
        Value b = right.Evaluate(ref frame);
        if (b.IsNone) return default;
        Value result = ExtensionOperations.Apply(function, [a, b]);
        return result.IsNone ? frame.Fail(CallFailure.Of(function, a, b)) : result;
    }
}

/// <summary><c>a.isInRange(b)</c>: the one that guards are made of, so it is spared the way through the table.</summary>
internal sealed class IsInRangeNode(ExtensionFunction function, Node left, Node right) : TestNode
{
    public override Truth Test(ref Frame frame)
    {
        Value a = left.Evaluate(ref frame);
        if (a.IsNone) return Truth.Failed;
        Value b = right.Evaluate(ref frame);
        if (b.IsNone) return Truth.Failed;
        if (a.AsIpAddress is { } address && b.AsIpAddress is { } range) return Of(address.IsInRange(range));
        frame.Failure = CallFailure.Of(function, a, b);
        return Truth.Failed;
    }
}

/// <summary>Another number of arguments than the function has: they are evaluated, for their own failures come first, and then it fails.</summary>
internal sealed class MiscalledNode(ExtensionFunction function, Node[] arguments) : Node
{
    public override Value Evaluate(ref Frame frame)
    {
        foreach (Node argument in arguments)
            if (argument.Evaluate(ref frame).IsNone) return default;
        return frame.Fail(new(FailureCode.WrongArgumentCount, function.Name));
    }
}

internal static class CallFailure
{
    /// <summary>Of a type that the function does not take, or of the right type and no value for it.</summary>
    public static Failure Of(ExtensionFunction function, params ReadOnlySpan<Value> arguments)
    {
        for (int i = 0; i < arguments.Length; i++)
            if (arguments[i].Kind != function.Parameters[i]) return new(FailureCode.WrongType, function.Name, arguments[i].Kind, function.Parameters[i]);
        return new(FailureCode.BadArgument, function.Name);
    }
}
