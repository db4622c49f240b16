namespace McpAuth.Testing;

/// <summary>Test vectors that others published, read where they lie: <c>MCPAUTH_VECTORS</c>, or <c>../shared/vectors</c> beside the repository.</summary>
public static class Vectors
{
    public static string Folder { get; } = Environment.GetEnvironmentVariable("MCPAUTH_VECTORS") is { Length: > 0 } named
        ? named : Path.Combine(RepositoryRoot.Path, "..", "shared", "vectors");

    /// <summary>Whether <paramref name="folder"/> of the vectors is there.</summary>
    public static Requirement Has(string folder) => new(Directory.Exists(Path.Combine(Folder, folder)),
        $"The test vectors '{folder}' are not at {Folder}; set MCPAUTH_VECTORS to the folder that holds them.");
}
