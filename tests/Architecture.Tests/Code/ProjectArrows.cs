using System.Xml.Linq;

namespace Architecture.Tests.Code;

/// <summary>Which project may know which. Server and guard never do: they meet on the wire.</summary>
internal static class ProjectArrows
{
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["McpAuth.Protocol"] = [],
        ["McpAuth.Cedar"] = [],
        ["McpAuth.Client"] = ["McpAuth.Protocol"],
        ["McpAuthServer"] = ["McpAuth.Protocol", "McpAuth.Cedar"],
        ["McpGuard.Sdk"] = ["McpAuth.Protocol", "McpAuth.Cedar", "McpAuth.Client"],
        ["McpGuard.Gateway"] = ["McpGuard.Sdk"],
    };

    private static readonly string[] OfASample = ["McpGuard.Sdk", "McpAuth.Client"];

    /// <summary>The projects a project file refers to, by name.</summary>
    public static IReadOnlyList<string> References(string projectXml) =>
        [.. XDocument.Parse(projectXml).Descendants("ProjectReference").Attributes("Include")
            .Select(a => Path.GetFileNameWithoutExtension(a.Value.Replace('\\', '/')))];

    /// <param name="project">Path of the project file from the root.</param>
    /// <param name="references">Names of the projects it refers to.</param>
    /// <returns>A sentence for each reference it may not have; tests and benchmarks may have any.</returns>
    public static IEnumerable<string> Violations(string project, IEnumerable<string> references)
    {
        var name = Path.GetFileNameWithoutExtension(project);
        if (Of(project) is not { } allowed)
            return [];
        return references.Where(r => !allowed.Contains(r)).Select(r => $"{name} may not refer to {r}");
    }

    /// <summary>The same for what the compiler recorded, where a type may also come through an allowed project from one behind it.</summary>
    /// <param name="assemblies">Names of all assemblies it refers to; those of no project of ours are not judged.</param>
    public static IEnumerable<string> CompiledViolations(string project, IEnumerable<string> assemblies)
    {
        var name = Path.GetFileNameWithoutExtension(project);
        if (Of(project) is not { } allowed)
            return [];
        var reachable = allowed.Concat(allowed.SelectMany(a => Allowed[a])).ToHashSet();
        return assemblies.Where(a => Ours(a) && !reachable.Contains(a)).Select(a => $"{name} is compiled against {a}");
    }

    private static string[]? Of(string project)
    {
        if (project.StartsWith("samples/", StringComparison.Ordinal))
            return OfASample;
        // A project nobody wrote a rule for may refer to nothing.
        return project.StartsWith("src/", StringComparison.Ordinal) ? Allowed.GetValueOrDefault(Path.GetFileNameWithoutExtension(project), []) : null;
    }

    private static bool Ours(string assembly) =>
        assembly.StartsWith("McpAuth", StringComparison.Ordinal) || assembly.StartsWith("McpGuard", StringComparison.Ordinal) ||
        assembly is "McpToolServer" or "SummariserAgent";
}
