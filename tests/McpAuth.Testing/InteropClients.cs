namespace McpAuth.Testing;

/// <summary>Clients that others wrote for Node.js, and axe-core, the accessibility rules: what <c>tests/interop/package-lock.json</c> names.</summary>
public static class InteropClients
{
    /// <summary>The absolute path of <c>tests/interop</c>.</summary>
    public static string Folder { get; } = Path.Combine(RepositoryRoot.Path, "tests", "interop");

    /// <summary>The absolute path of <c>node</c>; null when there is none.</summary>
    public static string? Node { get; } = SearchPath.Find("node");

    /// <summary>Node.js itself and the installed packages.</summary>
    public static Requirement Requirement { get; } =
        new Requirement(Node is not null, "Node.js is not installed: Debian's package nodejs has it.")
            .And(new(File.Exists(Package(".package-lock.json")), "The packages of tests/interop are not installed: 'npm ci --prefix tests/interop' does that."));

    /// <summary>The absolute path of a file of an installed package.</summary>
    public static string Package(string relative) => Path.Combine(Folder, "node_modules", relative);
}

/// <summary>A fact that needs Node.js, the packages of <c>tests/interop</c> and a browser; skipped with the reasons without them, failed there under CI.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class InteropFactAttribute : SkipUnlessFactAttribute
{
    public InteropFactAttribute()
        : base(InteropClients.Requirement.And(Chromium.Requirement))
    {
    }
}

/// <summary>The same for theories.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class InteropTheoryAttribute : SkipUnlessTheoryAttribute
{
    public InteropTheoryAttribute()
        : base(InteropClients.Requirement.And(Chromium.Requirement))
    {
    }
}

/// <summary>A fact that needs Node.js and the packages of <c>tests/interop</c>, and no browser.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class NodeFactAttribute : SkipUnlessFactAttribute
{
    public NodeFactAttribute()
        : base(InteropClients.Requirement)
    {
    }
}

/// <summary>The same for theories.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class NodeTheoryAttribute : SkipUnlessTheoryAttribute
{
    public NodeTheoryAttribute()
        : base(InteropClients.Requirement)
    {
    }
}
