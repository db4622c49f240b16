using System.Text.RegularExpressions;

namespace Architecture.Tests;

/// <summary>The working tree these tests were built from.</summary>
internal static partial class Repository
{
    private static readonly HashSet<string> Generated = ["bin", "obj", "artifacts", "node_modules", "TestResults", ".git", ".vs", ".idea"];

    /// <summary>The absolute path, with a slash at the end.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary><c>Debug</c> or <c>Release</c>: what the tests run as is what they judge.</summary>
    public static string Configuration { get; } = OutputPath().Match(AppContext.BaseDirectory.Replace('\\', '/')) is { Success: true } match
        ? match.Groups[1].Value
        : throw new InvalidOperationException($"{AppContext.BaseDirectory} is not an output directory.");

    /// <summary>Every file somebody wrote, by its path from the root, with slashes.</summary>
    public static IEnumerable<string> Files(string under = "")
    {
        var pending = new Stack<DirectoryInfo>([new DirectoryInfo(Path.Combine(Root, under))]);
        while (pending.TryPop(out var directory))
        {
            if (!directory.Exists)
                continue;
            foreach (var file in directory.EnumerateFiles().Where(f => f.LinkTarget is null && !Generated.Contains(f.Name)))
                yield return Path.GetRelativePath(Root, file.FullName).Replace('\\', '/');
            foreach (var child in directory.EnumerateDirectories().Where(d => d.LinkTarget is null && !Generated.Contains(d.Name)))
                pending.Push(child);
        }
    }

    public static IEnumerable<string> Projects() => new[] { "src", "samples", "tests", "benchmarks" }
        .SelectMany(Files).Where(f => f.EndsWith(".csproj", StringComparison.Ordinal)).Order(StringComparer.Ordinal);

    public static string Read(string file) => File.ReadAllText(Path.Combine(Root, file));

    /// <summary>What a project was compiled to.</summary>
    /// <exception cref="FileNotFoundException">It was not.</exception>
    public static string AssemblyOf(string project)
    {
        var name = Path.GetFileNameWithoutExtension(project);
        var path = Path.Combine(Root, Path.GetDirectoryName(project)!, "bin", Configuration, "net10.0", name + ".dll");
        return File.Exists(path) ? path : throw new FileNotFoundException($"{name} is not built as {Configuration}: build the solution first.", path);
    }

    private static string FindRoot()
    {
        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            if (File.Exists(Path.Combine(directory.FullName, "McpAuth.sln")))
                return directory.FullName.TrimEnd('/') + "/";
        }
        throw new InvalidOperationException($"No McpAuth.sln above {AppContext.BaseDirectory}.");
    }

    [GeneratedRegex("/bin/([^/]+)/[^/]+/$")]
    private static partial Regex OutputPath();
}
