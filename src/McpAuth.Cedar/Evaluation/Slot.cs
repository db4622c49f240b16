using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Evaluation;

/// <summary>What is known of an attribute of the context, within one decision.</summary>
internal enum SlotState : byte
{
    Unknown,
    Present,

    /// <summary>What it would be an attribute of is there, and has none of that name.</summary>
    Missing,

    /// <summary>It cannot be asked for: an attribute on the way is missing, or is neither record nor entity; or it has no exact value.</summary>
    Failed,
}

/// <summary>An attribute of the context within one decision: its value, or why it has none. Small, for a decision begins and ends with all of them empty.</summary>
internal struct Slot
{
    private Value content; // of what failed, the name that the reason gives
    private FailureCode code;
    private byte actual;
    private byte expected;

    public SlotState State { readonly get; private set; }

    /// <summary>No value where it is only known to be there, or where it is not.</summary>
    public readonly Value Value => State == SlotState.Present ? content : default;

    /// <summary>Why it has no value, where it is missing or failed.</summary>
    public readonly Failure Failure => new(code, content.AsString ?? "", (ValueKind)actual, (ValueKind)expected);

    /// <param name="value">No value: it is there, and nobody will ask for more.</param>
    public void Found(Value value)
    {
        content = value;
        State = SlotState.Present;
    }

    public void Missing(Failure reason) => Without(SlotState.Missing, reason);

    public void Failed(Failure reason) => Without(SlotState.Failed, reason);

    private void Without(SlotState state, Failure reason)
    {
        content = Value.Of(reason.Name);
        (code, actual, expected) = (reason.Code, (byte)reason.Actual, (byte)reason.Expected);
        State = state;
    }
}
