using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Evaluation;

/// <summary>A set that is not constant.</summary>
internal sealed class SetNode(Node[] members) : Node
{
    public override Value Evaluate(ref Frame frame)
    {
        var values = new Value[members.Length];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = members[i].Evaluate(ref frame);
            if (values[i].IsNone) return default;
        }
        return Value.Of(new CedarSet(values));
    }
}

/// <summary>A record that is not constant.</summary>
internal sealed class RecordNode(string[] names, Node[] members) : Node
{
    public override Value Evaluate(ref Frame frame)
    {
        var attributes = new KeyValuePair<string, Value>[members.Length];
        for (int i = 0; i < attributes.Length; i++)
        {
            Value value = members[i].Evaluate(ref frame);
            if (value.IsNone) return default;
            attributes[i] = new(names[i], value);
        }
        return Value.Of(new CedarRecord(attributes));
    }
}

internal sealed class ContainsNode(Node set, Node member) : TestNode
{
    public override Truth Test(ref Frame frame)
    {
        Value a = set.Evaluate(ref frame);
        if (a.IsNone) return Truth.Failed;
        Value b = member.Evaluate(ref frame);
        if (b.IsNone) return Truth.Failed;
        return a.AsSet is { } values ? Of(values.Contains(b)) : Failed(ref frame, a, ValueKind.Set);
    }
}

/// <summary><c>containsAll</c> and <c>containsAny</c>.</summary>
internal sealed class ContainsManyNode(BinaryOperator op, Node left, Node right) : TestNode
{
    public override Truth Test(ref Frame frame)
    {
        Value a = left.Evaluate(ref frame);
        if (a.IsNone) return Truth.Failed;
        Value b = right.Evaluate(ref frame);
        if (b.IsNone) return Truth.Failed;
        if (a.AsSet is not { } values) return Failed(ref frame, a, ValueKind.Set);
        if (b.AsSet is not { } others) return Failed(ref frame, b, ValueKind.Set);
        return Of(op == BinaryOperator.ContainsAll ? values.ContainsAll(others) : values.ContainsAny(others));
    }
}

internal sealed class IsEmptyNode(Node set) : TestNode
{
    public override Truth Test(ref Frame frame)
    {
        Value value = set.Evaluate(ref frame);
        return value.AsSet is { } values ? Of(values.Count == 0) : Failed(ref frame, value, ValueKind.Set);
    }
}

internal sealed class LikeNode(Node text, Pattern pattern) : TestNode
{
    public override Truth Test(ref Frame frame)
    {
        Value value = text.Evaluate(ref frame);
        return value.TryGetCharacters(out ReadOnlySpan<char> characters) ? Of(pattern.Matches(characters)) : Failed(ref frame, value, ValueKind.String);
    }
}
