using Xunit;

namespace McpAuth.Testing;

/// <summary>Something of the machine a test cannot do without, such as PostgreSQL.</summary>
/// <param name="Met">Whether it is there.</param>
/// <param name="Reason">What is missing and how to get it; shown when the test is skipped.</param>
public sealed record Requirement(bool Met, string Reason)
{
    /// <summary>Whether this run may skip nothing: the test then runs, and fails for want of what it needs.</summary>
    public static bool NothingMaySkip => Environment.GetEnvironmentVariable("CI") == "true";

    /// <summary>What to put into <see cref="FactAttribute.Skip"/>.</summary>
    public string? Skip => SkipWhen(NothingMaySkip);

    /// <summary>Both; the reason names what is missing of the two.</summary>
    public Requirement And(Requirement other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return Met ? other : other.Met ? this : new(false, $"{Reason} {other.Reason}");
    }

    /// <summary>The decision alone.</summary>
    public string? SkipWhen(bool nothingMaySkip) => Met || nothingMaySkip ? null : Reason;
}

/// <summary>A fact that is skipped, with the reason, where its requirement is not met; except under CI, where it runs and fails.</summary>
public abstract class SkipUnlessFactAttribute : FactAttribute
{
    // The derived attribute decides; xunit reads Skip when it discovers the test.
    protected SkipUnlessFactAttribute(Requirement requirement)
    {
        ArgumentNullException.ThrowIfNull(requirement);
        Skip = requirement.Skip;
    }
}

/// <summary>The same for theories.</summary>
public abstract class SkipUnlessTheoryAttribute : TheoryAttribute
{
    protected SkipUnlessTheoryAttribute(Requirement requirement)
    {
        ArgumentNullException.ThrowIfNull(requirement);
        Skip = requirement.Skip;
    }
}
