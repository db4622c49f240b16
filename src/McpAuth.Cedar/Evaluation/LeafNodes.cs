using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Evaluation;

internal sealed class ConstantNode(Value value) : Node
{
    public Value Value { get; } = value;

    public override Value Evaluate(ref Frame frame) => Value;
}

/// <summary>What fails whatever the request, such as <c>ip("here")</c>: known when it is compiled, an error only when it is reached.</summary>
internal sealed class FailingNode(Failure failure) : Node
{
    public override Value Evaluate(ref Frame frame) => frame.Fail(failure);
}

internal sealed class PrincipalNode : Node
{
    public override Value Evaluate(ref Frame frame) => Value.Of(frame.Principal);
}

internal sealed class ActionNode : Node
{
    public override Value Evaluate(ref Frame frame) => Value.Of(frame.Action);
}

internal sealed class ResourceNode : Node
{
    public override Value Evaluate(ref Frame frame) => Value.Of(frame.Resource);
}

/// <summary>The context as a whole.</summary>
internal sealed class ContextNode : Node
{
    public override Value Evaluate(ref Frame frame) => Value.Of(frame.Context);
}

/// <summary><c>context.a.b</c>, looked up once a decision.</summary>
internal sealed class ContextPathNode(int path) : Node
{
    public override Value Evaluate(ref Frame frame)
    {
        ref Slot slot = ref frame.Path(path);
        return slot.State == SlotState.Present ? slot.Value : frame.Fail(slot.Failure);
    }
}

/// <summary><c>context.a has b</c>.</summary>
internal sealed class HasContextPathNode(int path) : TestNode
{
    public override Truth Test(ref Frame frame)
    {
        ref Slot slot = ref frame.Path(path);
        switch (slot.State)
        {
            case SlotState.Present: return Truth.True;
            case SlotState.Missing: return Truth.False;
            default:
                frame.Failure = slot.Failure;
                return Truth.Failed;
        }
    }
}
