using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Evaluation;

/// <summary><c>a in b</c>, where b is an entity or a set of entities.</summary>
internal sealed class InNode(Node left, Node right) : TestNode
{
    public override Truth Test(ref Frame frame)
    {
        Value a = left.Evaluate(ref frame);
        if (a.IsNone) return Truth.Failed;
        Value b = right.Evaluate(ref frame);
        if (b.IsNone) return Truth.Failed;
        if (a.AsEntity is not { } uid) return Failed(ref frame, a, ValueKind.Entity);
        if (b.AsEntity is { } other) return Of(frame.IsIn(uid, other));
        if (b.AsSet is not { } set) return Failed(ref frame, b, ValueKind.Entity);
        // A member that is no entity fails the whole, wherever it stands: the set has no order.
        foreach (Value member in set.Members)
            if (member.AsEntity is null) return Failed(ref frame, member, ValueKind.Entity);
        foreach (Value member in set.Members)
            if (frame.IsIn(uid, member.AsEntity!)) return Truth.True;
        return Truth.False;
    }
}

internal sealed class IsNode(Node operand, string type) : TestNode
{
    public override Truth Test(ref Frame frame)
    {
        Value value = operand.Evaluate(ref frame);
        return value.AsEntity is { } uid ? Of(uid.Type == type) : Failed(ref frame, value, ValueKind.Entity);
    }
}

internal sealed class AttributeNode(Node target, string name) : Node
{
    public override Value Evaluate(ref Frame frame)
    {
        Value value = target.Evaluate(ref frame);
        return value.IsNone ? default : frame.Attribute(value, name);
    }
}

internal sealed class HasNode(Node target, string name) : TestNode
{
    public override Truth Test(ref Frame frame)
    {
        Value value = target.Evaluate(ref frame);
        return value.IsNone ? Truth.Failed : frame.Has(value, name);
    }
}

internal sealed class GetTagNode(Node target, Node name) : Node
{
    public override Value Evaluate(ref Frame frame)
    {
        Value value = target.Evaluate(ref frame);
        if (value.IsNone) return default;
        Value key = name.Evaluate(ref frame);
        if (key.IsNone) return default;
        if (value.AsEntity is not { } uid) return WrongType(ref frame, value, ValueKind.Entity);
        if (key.AsString is not { } tag) return WrongType(ref frame, key, ValueKind.String);
        Value found = frame.Find(uid) is { } entity ? entity.Tags[tag] : default;
        return found.IsNone ? frame.Fail(new(FailureCode.NoTag)) : found;
    }
}

internal sealed class HasTagNode(Node target, Node name) : TestNode
{
    public override Truth Test(ref Frame frame)
    {
        Value value = target.Evaluate(ref frame);
        if (value.IsNone) return Truth.Failed;
        Value key = name.Evaluate(ref frame);
        if (key.IsNone) return Truth.Failed;
        if (value.AsEntity is not { } uid) return Failed(ref frame, value, ValueKind.Entity);
        if (key.AsString is not { } tag) return Failed(ref frame, key, ValueKind.String);
        return Of(frame.Find(uid) is { } entity && entity.Tags.Contains(tag));
    }
}
