namespace McpAuth.Cedar.Tests.Differential;

/// <summary>Choices that a seed repeats.</summary>
internal sealed class Dice(int seed)
{
    private readonly Random random = new(seed);

    public bool Extremes { get; init; }

    public int Below(int count) => random.Next(count);

    /// <summary>True in so many of a hundred throws.</summary>
    public bool Chance(int percent) => random.Next(100) < percent;

    public T Of<T>(params ReadOnlySpan<T> all) => all[random.Next(all.Length)];

    public T[] Some<T>(IEnumerable<T> all, int percent) => [.. all.Where(_ => Chance(percent))];
}
