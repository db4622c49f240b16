namespace McpAuth.Testing;

/// <summary>Programs as a shell finds them.</summary>
public static class SearchPath
{
    /// <returns>The absolute path of the first <paramref name="program"/> in <c>PATH</c>; null when there is none.</returns>
    public static string? Find(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries).Where(Path.IsPathRooted).Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);
}
