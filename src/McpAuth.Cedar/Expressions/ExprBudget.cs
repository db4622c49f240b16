namespace McpAuth.Cedar.Expressions;

/// <summary>
/// The size of the expressions read from one text. <c>x has a.b</c> and <c>x is T in y</c> are read as longer expressions in which <c>x</c> stands
/// several times. It is one object, but whoever walks the expression comes by every time, and nested in one another they would double the way at each
/// level. So a text may repeat only so much.
/// </summary>
/// <param name="length">Of the text: what it may repeat grows with it, but never faster.</param>
internal sealed class ExprBudget(int length)
{
    private readonly long most = Math.Max(1_000_000, length);
    private long repeated;

    /// <summary>Nodes so far, those repeated counted as often as they stand there.</summary>
    public long Nodes { get; set; }

    /// <summary>Takes note that a part of this size stands there so many times; false when the text repeats too much.</summary>
    public bool Repeat(long size, int times)
    {
        // The attributes of a path repeat as well: of a.b.c the first stands twice, …
        long more = (size * (times - 1)) + ((long)times * times / 2);
        repeated += more;
        Nodes += more;
        return repeated <= most;
    }
}
