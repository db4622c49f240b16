using System.Globalization;

namespace McpAuth.Testing;

/// <summary>Where PostgreSQL's server programs are on this machine.</summary>
public static class PostgresBinaries
{
    private static readonly Lazy<string?> Found = new(Find);

    /// <summary>The folder with <c>initdb</c> and <c>postgres</c>; null when there is none.</summary>
    public static string? Folder => Found.Value;

    public static Requirement Requirement { get; } = new(
        Folder is not null, "PostgreSQL's server programs (initdb, postgres) are not installed: Debian's package postgresql has them.");

    /// <summary>The path of one program.</summary>
    /// <exception cref="InvalidOperationException">PostgreSQL is not installed.</exception>
    public static string Program(string name) => Path.Combine(Folder ?? throw new InvalidOperationException(Requirement.Reason), name);

    /// <summary>Debian keeps them out of the path, one folder per major version; the newest is taken.</summary>
    private static string? Find()
    {
        const string Debian = "/usr/lib/postgresql";
        var versions = Directory.Exists(Debian) ? Directory.GetDirectories(Debian) : [];
        return versions.OrderByDescending(Version).Select(v => Path.Combine(v, "bin"))
            .Concat((Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries))
            .FirstOrDefault(folder => File.Exists(Path.Combine(folder, "initdb")) && File.Exists(Path.Combine(folder, "postgres")));
    }

    private static int Version(string folder) =>
        int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out var version) ? version : 0;
}

/// <summary>A fact that needs PostgreSQL; skipped with the reason where it is not installed, failed there under CI.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PostgresFactAttribute : SkipUnlessFactAttribute
{
    public PostgresFactAttribute()
        : base(PostgresBinaries.Requirement)
    {
    }
}

/// <summary>The same for theories.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PostgresTheoryAttribute : SkipUnlessTheoryAttribute
{
    public PostgresTheoryAttribute()
        : base(PostgresBinaries.Requirement)
    {
    }
}
