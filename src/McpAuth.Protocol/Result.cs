using System.Diagnostics.CodeAnalysis;

namespace McpAuth.Protocol;

/// <summary>Why input was refused: a stable code, text that is safe to show, and where (a JSON path or member name).</summary>
/// <param name="Code">A short, stable, machine-readable name such as <c>duplicate_member</c>.</param>
/// <param name="Message">One sentence for the sender; never quotes a secret.</param>
/// <param name="Path">Where in the input, e.g. <c>$.tools.refund.args</c>; null when it is the whole.</param>
public sealed record Fault(string Code, string Message, string? Path = null)
{
    public override string ToString() => Path is null ? $"{Code}: {Message}" : $"{Code} at {Path}: {Message}";
}

/// <summary>A value or the <see cref="Protocol.Fault"/> that stands in its place. Expected failures are values.</summary>
public readonly struct Result<T>
{
    private readonly T? value;

    private Result(T? value, Fault? fault) => (this.value, Fault) = (value, fault);

    public Fault? Fault { get; }

    [MemberNotNullWhen(false, nameof(Fault))]
    public bool Ok => Fault is null;

    /// <exception cref="InvalidOperationException">There is a fault instead.</exception>
    public T Value => Fault is null ? value! : throw new InvalidOperationException(Fault.ToString());

    public bool TryGet([MaybeNullWhen(false)] out T result, [NotNullWhen(false)] out Fault? fault)
    {
        (result, fault) = (value, Fault);
        return Fault is null;
    }

    public static implicit operator Result<T>(T value) => new(value, null);

    /// <summary>The value; for interface types, which have no implicit conversion.</summary>
    public static Result<T> Of(T value) => new(value, null);

    public static implicit operator Result<T>(Fault fault) => new(default, fault);
}
