namespace McpAuth.Testing;

/// <summary>A directory of one test, readable by its owner only, gone with the test.</summary>
/// <param name="inMemory">Whether it costs no disk anything, where the system has such a place.</param>
public sealed class TempDirectory(bool inMemory = false) : IDisposable
{
    private const string Memory = "/dev/shm", Prefix = "mcpauth-";

    private readonly DirectoryInfo directory = inMemory && !OperatingSystem.IsWindows() && Directory.Exists(Memory)
        ? Directory.CreateDirectory(System.IO.Path.Combine(Memory, Prefix + System.IO.Path.GetRandomFileName()), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute)
        : Directory.CreateTempSubdirectory(Prefix);

    /// <summary>The absolute path, without a slash at the end.</summary>
    public string Path => directory.FullName;

    /// <summary>A path inside; nothing is created.</summary>
    public string this[string relative] => System.IO.Path.Combine(Path, relative);

    /// <returns>The absolute path of the written file.</returns>
    public string Write(string relative, string text)
    {
        var path = this[relative];
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
        return path;
    }

    public void Dispose()
    {
        try
        {
            directory.Delete(recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
            // A test that moves or deletes its directory is within its rights.
        }
    }

    public override string ToString() => Path;
}
