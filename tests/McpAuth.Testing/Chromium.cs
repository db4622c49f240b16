namespace McpAuth.Testing;

/// <summary>Where Chromium is on this machine.</summary>
public static class Chromium
{
    /// <summary>The absolute path of the program; null when there is none.</summary>
    public static string? Program { get; } = SearchPath.Find("chromium") ?? SearchPath.Find("google-chrome");

    public static Requirement Requirement { get; } = new(Program is not null, "Chromium is not installed: Debian's package chromium has it.");
}

/// <summary>A fact that needs a browser; skipped with the reason where none is installed, failed there under CI.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ChromiumFactAttribute : SkipUnlessFactAttribute
{
    public ChromiumFactAttribute()
        : base(Chromium.Requirement)
    {
    }
}

/// <summary>The same for theories.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ChromiumTheoryAttribute : SkipUnlessTheoryAttribute
{
    public ChromiumTheoryAttribute()
        : base(Chromium.Requirement)
    {
    }
}
