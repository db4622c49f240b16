namespace McpAuth.EndToEnd.Harness;

/// <summary>Where the programs are that were built together with these tests.</summary>
internal static class Built
{
    // …/tests/EndToEnd/bin/<configuration>/<framework>/
    private static readonly DirectoryInfo Here = new(AppContext.BaseDirectory);

    public static string Configuration => Here.Parent!.Name;

    public static string Root => Here.Parent!.Parent!.Parent!.Parent!.Parent!.FullName;

    /// <param name="project">Relative to the root, e.g. <c>src/McpAuthServer</c>.</param>
    public static string Dll(string project) => Path.Combine(Root, project, "bin", Configuration, Here.Name, Path.GetFileName(project) + ".dll");
}
