using System.Text;
using Microsoft.Win32.SafeHandles;
using ModelContextProtocol;

namespace McpToolServer;

/// <summary>
/// One folder, and nothing outside it. Paths are relative, written with <c>/</c>; symbolic links are not followed, neither at the end
/// nor on the way. Errors are for the model: they name the path as it was given, never where the folder is.
/// </summary>
internal sealed class Folder
{
    public const int MostBytes = 1024 * 1024;
    private static readonly UTF8Encoding Text = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
    private readonly string root;

    public Folder(string path)
    {
        if (!Directory.Exists(path)) throw new DirectoryNotFoundException($"The folder to serve does not exist: {path}");
        root = Real(Path.GetFullPath(path));
    }

    /// <summary>Where a path leads, once every part of it has been looked at: no link, no way out.</summary>
    /// <param name="path">Empty is the folder itself.</param>
    public string Resolve(string path)
    {
        string at = root;
        foreach (string segment in Segments(path))
        {
            at = Path.Combine(at, segment);
            if (new FileInfo(at).LinkTarget is not null) throw Refused(path, "it is, or leads through, a symbolic link");
        }
        return at;
    }

    /// <summary>The path of something inside, as tools take and show it.</summary>
    public string Relative(string inside) => Path.GetRelativePath(root, inside).Replace(Path.DirectorySeparatorChar, '/');

    /// <summary>The text of a file of at most 1 MiB.</summary>
    public string Read(string path)
    {
        string file = Resolve(path);
        if (Directory.Exists(file)) throw Refused(path, "it is a folder");
        byte[] bytes = new byte[MostBytes + 1];
        int length = 0;
        using (SafeFileHandle handle = Open(path, file, FileMode.Open, FileAccess.Read))
        {
            // The size may be wrong by the time it is read, so the reading itself is bounded.
            while (length < bytes.Length && RandomAccess.Read(handle, bytes.AsSpan(length), length) is > 0 and var read) length += read;
        }
        if (length > MostBytes) throw Refused(path, "it is larger than 1 MiB");
        ReadOnlySpan<byte> content = bytes.AsSpan(0, length);
        if (content.Contains((byte)0)) throw NotText(path);
        try
        {
            return Text.GetString(content);
        }
        catch (DecoderFallbackException)
        {
            throw NotText(path);
        }
    }

    /// <summary>Writes a file whole or not at all, and makes the folders on its way.</summary>
    public void Write(string path, string content, bool overwrite)
    {
        if (Text.GetByteCount(content) > MostBytes) throw Refused(path, "the content is larger than 1 MiB");
        string file = MakeParents(path);
        if (Directory.Exists(file)) throw Refused(path, "it is a folder");
        if (File.Exists(file) && !overwrite) throw Refused(path, "it exists; say overwrite to replace it");

        string draft = Path.Combine(Path.GetDirectoryName(file)!, $".{Path.GetRandomFileName()}.draft");
        try
        {
            using (SafeFileHandle handle = Open(path, draft, FileMode.CreateNew, FileAccess.Write))
                RandomAccess.Write(handle, Text.GetBytes(content), 0);
            // Renaming replaces the name itself, also where it has become a link meanwhile.
            File.Move(draft, file, overwrite);
        }
        catch (IOException) when (File.Exists(file) && !overwrite)
        {
            throw Refused(path, "it exists; say overwrite to replace it");
        }
        finally
        {
            File.Delete(draft);
        }
    }

    public void Move(string source, string destination)
    {
        string from = ExistingFile(source), to = MakeParents(destination);
        if (File.Exists(to) || Directory.Exists(to)) throw Refused(destination, "it exists");
        File.Move(from, to, overwrite: false);
    }

    public void Delete(string path) => File.Delete(ExistingFile(path));

    private string ExistingFile(string path)
    {
        string file = Resolve(path);
        if (Directory.Exists(file)) throw Refused(path, "it is a folder");
        return File.Exists(file) ? file : throw Refused(path, "there is no such file");
    }

    private string MakeParents(string path)
    {
        string[] segments = Segments(path);
        if (segments.Length == 0) throw Refused(path, "it names no file");
        for (int i = 1; i < segments.Length; i++)
        {
            string parent = Resolve(string.Join('/', segments[..i]));
            if (File.Exists(parent)) throw Refused(path, "a part of it is a file");
            Directory.CreateDirectory(parent);
        }
        return Resolve(path);
    }

    // A path is looked at and then opened; in between, someone else could put a link in its place. What was really opened
    // is what counts, so the open handle is asked where it is before a byte is read or written.
    private static SafeFileHandle Open(string path, string file, FileMode mode, FileAccess access)
    {
        SafeFileHandle handle;
        try
        {
            handle = File.OpenHandle(file, mode, access);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw Refused(path, "there is no such file");
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException)
        {
            throw Refused(path, "it cannot be opened");
        }
        if (OpenedPath(handle) is { } opened && opened != file)
        {
            handle.Dispose();
            throw Refused(path, "it is, or leads through, a symbolic link");
        }
        return handle;
    }

    private static string? OpenedPath(SafeFileHandle handle) =>
        OperatingSystem.IsLinux() ? new FileInfo($"/proc/self/fd/{handle.DangerousGetHandle()}").LinkTarget : null;

    private static string[] Segments(string path)
    {
        if (path.Length == 0) return [];
        if (path.Length > 1024) throw Refused(path[..64] + "…", "it is too long");
        if (Path.IsPathRooted(path) || path.Contains('\\') || path.Contains(':') || path.Any(char.IsControl))
            throw Refused(path, "paths are relative, with '/' between the parts");
        string[] segments = path.Split('/');
        return segments.Any(s => s is "" or "." or "..") ? throw Refused(path, "'.', '..' and empty parts are not taken") : segments;
    }

    // The folder's own address without links, so that what a handle says can be compared with it.
    private static string Real(string path)
    {
        string at = Path.GetPathRoot(path)!;
        foreach (string segment in path[at.Length..].Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries))
        {
            string next = Path.Combine(at, segment);
            at = new DirectoryInfo(next).ResolveLinkTarget(returnFinalTarget: true) is { } target ? Real(target.FullName) : next;
        }
        return at;
    }

    private static McpException Refused(string path, string why) => new($"{Shown(path)}: {why}.");

    private static McpException NotText(string path) => Refused(path, "it is not a text file");

    private static string Shown(string path) => path.Length == 0 ? "The folder" : new string([.. path.Select(c => char.IsControl(c) ? '?' : c)]);
}
