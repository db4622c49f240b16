using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Evaluation;

/// <summary><c>resource.arg_x</c>, where a call's arguments are the resource's attributes too: of the resource it is the context's, of anything else its own.</summary>
internal sealed class ArgumentNode(Node target, string name, int path) : Node
{
    public override Value Evaluate(ref Frame frame)
    {
        Value value = target.Evaluate(ref frame);
        if (value.IsNone) return default;
        if (value.AsEntity is not { } uid || !uid.Equals(frame.Resource)) return frame.Attribute(value, name);
        ref Slot slot = ref frame.Path(path);
        return slot.State == SlotState.Present ? slot.Value : frame.Fail(new(FailureCode.NoEntityAttribute, name));
    }
}

/// <summary><c>resource has arg_x</c>.</summary>
internal sealed class HasArgumentNode(Node target, string name, int path) : TestNode
{
    public override Truth Test(ref Frame frame)
    {
        Value value = target.Evaluate(ref frame);
        if (value.IsNone) return Truth.Failed;
        if (value.AsEntity is not { } uid || !uid.Equals(frame.Resource)) return frame.Has(value, name);
        return Of(frame.Path(path).State == SlotState.Present);
    }
}
