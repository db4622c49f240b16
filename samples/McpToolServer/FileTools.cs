using System.ComponentModel;
using ModelContextProtocol;
using ModelContextProtocol.Server;

namespace McpToolServer;

/// <summary>The tools. What they may be used for is not decided here: the guard decides each call before it arrives.</summary>
[McpServerToolType]
internal sealed class FileTools(Folder folder)
{
    private const int MostEntries = 1000, MostMatches = 100, MostFilesSearched = 2000, LineShown = 200;

    [McpServerTool(Name = "list_files", Title = "List files", ReadOnly = true, Idempotent = true, OpenWorld = false)]
    [Description("Lists the files and folders directly inside a folder.")]
    public IReadOnlyList<FileEntry> ListFiles(
        [Description("The folder, relative, with '/' between the parts. Leave out for the top.")] string path = "")
    {
        string at = folder.Resolve(path);
        if (!Directory.Exists(at)) throw new McpException($"{path}: there is no such folder.");
        // Links are left out: no tool follows them.
        return
        [
            .. new DirectoryInfo(at).EnumerateFileSystemInfos().Where(e => e.LinkTarget is null)
                .OrderBy(e => e.Name, StringComparer.Ordinal).Take(MostEntries)
                .Select(e => e is FileInfo file ? new FileEntry(folder.Relative(e.FullName), "file", file.Length) : new FileEntry(folder.Relative(e.FullName), "folder", null)),
        ];
    }

    [McpServerTool(Name = "read_file", Title = "Read a file", ReadOnly = true, Idempotent = true, OpenWorld = false)]
    [Description("Reads a text file of at most 1 MiB.")]
    public string ReadFile([Description("The file, relative, with '/' between the parts.")] string path) => folder.Read(path);

    [McpServerTool(Name = "search_files", Title = "Search files", ReadOnly = true, Idempotent = true, OpenWorld = false)]
    [Description("Finds lines that contain a text, in the text files of a folder and the folders below it. Case does not matter.")]
    public SearchResult SearchFiles(
        [Description("The text to find; not a pattern.")] string text,
        [Description("The folder to search, relative. Leave out for the top.")] string path = "")
    {
        if (text.Length is 0 or > 256) throw new McpException("The text to find has 1 to 256 characters.");
        string at = folder.Resolve(path);
        if (!Directory.Exists(at)) throw new McpException($"{path}: there is no such folder.");

        List<SearchMatch> matches = [];
        int searched = 0;
        foreach (string file in FilesBelow(at))
        {
            if (matches.Count >= MostMatches || searched++ >= MostFilesSearched) return new SearchResult(matches, Complete: false);
            string name = folder.Relative(file);
            if (TryRead(name) is not { } content) continue;
            int number = 0;
            foreach (ReadOnlySpan<char> line in content.AsSpan().EnumerateLines())
            {
                number++;
                if (!line.Contains(text, StringComparison.OrdinalIgnoreCase)) continue;
                matches.Add(new SearchMatch(name, number, line[..Math.Min(line.Length, LineShown)].ToString()));
                if (matches.Count >= MostMatches) break;
            }
        }
        return new SearchResult(matches, Complete: matches.Count < MostMatches);
    }

    [McpServerTool(Name = "write_file", Title = "Write a file", Destructive = false, Idempotent = true, OpenWorld = false)]
    [Description("Writes a text file of at most 1 MiB, whole or not at all, and makes missing folders on its way.")]
    public string WriteFile(
        [Description("The file, relative, with '/' between the parts.")] string path,
        [Description("The whole new content.")] string content,
        [Description("Whether an existing file is replaced.")] bool overwrite = false)
    {
        folder.Write(path, content, overwrite);
        return $"Wrote {path}.";
    }

    [McpServerTool(Name = "move_file", Title = "Move a file", Destructive = true, OpenWorld = false)]
    [Description("Moves or renames one file; the destination must not exist.")]
    public string MoveFile([Description("The file to move, relative.")] string source, [Description("Its new path, relative.")] string destination)
    {
        folder.Move(source, destination);
        return $"Moved {source} to {destination}.";
    }

    [McpServerTool(Name = "delete_file", Title = "Delete a file", Destructive = true, OpenWorld = false)]
    [Description("Deletes one file for good.")]
    public string DeleteFile([Description("The file, relative, with '/' between the parts.")] string path)
    {
        folder.Delete(path);
        return $"Deleted {path}.";
    }

    private static IEnumerable<string> FilesBelow(string at) => Directory.EnumerateFiles(at, "*", new EnumerationOptions
    {
        RecurseSubdirectories = true, MaxRecursionDepth = 32, IgnoreInaccessible = true, AttributesToSkip = FileAttributes.ReparsePoint,
    });

    // A file that is binary, too large or gone is no match, and no reason to fail the search.
    private string? TryRead(string name)
    {
        try
        {
            return folder.Read(name);
        }
        catch (McpException)
        {
            return null;
        }
    }
}

/// <param name="Kind"><c>file</c> or <c>folder</c>.</param>
internal sealed record FileEntry(string Path, string Kind, long? Bytes);

internal sealed record SearchMatch(string Path, int Line, string Text);

/// <param name="Complete">False when the search stopped at a limit.</param>
internal sealed record SearchResult(IReadOnlyList<SearchMatch> Matches, bool Complete);
