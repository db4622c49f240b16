namespace McpAuth.Testing;

/// <summary>The working tree this assembly was built in.</summary>
public static class RepositoryRoot
{
    /// <summary>The absolute path of the folder with <c>McpAuth.sln</c>; the current directory when there is none above the assembly.</summary>
    public static string Path { get; } = Find();

    private static string Find()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(System.IO.Path.Combine(folder.FullName, "McpAuth.sln")))
            folder = folder.Parent;
        return folder?.FullName ?? Environment.CurrentDirectory;
    }
}
