using System.Text;
using McpAuth.Testing;
using ModelContextProtocol;

namespace McpToolServer.Tests;

public sealed class FileToolsTests : IDisposable
{
    private readonly TempDirectory temp = new();
    private readonly string root, outside;
    private readonly FileTools tools;

    public FileToolsTests()
    {
        root = Directory.CreateDirectory(Path.Combine(temp.Path, "root")).FullName;
        outside = Directory.CreateDirectory(Path.Combine(temp.Path, "outside")).FullName;
        Directory.CreateDirectory(Path.Combine(root, "reports", "old"));
        File.WriteAllText(Path.Combine(root, "reports", "a.md"), "Alpha\nRevenue grew.\n");
        File.WriteAllText(Path.Combine(root, "reports", "old", "b.md"), "the revenue fell\n");
        File.WriteAllText(Path.Combine(root, "notes.txt"), "grün\n");
        File.WriteAllText(Path.Combine(outside, "secret.txt"), "REVENUE secret");
        tools = new FileTools(new Folder(root));
    }

    [Fact]
    public void ListFiles_Folder_ShowsFilesAndFoldersInOrder()
    {
        Assert.Equal([new("notes.txt", "file", 6), new("reports", "folder", null)], tools.ListFiles());
        Assert.Equal(["reports/a.md", "reports/old"], tools.ListFiles("reports").Select(e => e.Path));
    }

    [Fact]
    public void ReadFile_Text_IsItsContent()
    {
        Assert.Equal("Alpha\nRevenue grew.\n", tools.ReadFile("reports/a.md"));
        Assert.Equal("grün\n", tools.ReadFile("notes.txt"));
    }

    [Theory]
    [InlineData("../outside/secret.txt")]
    [InlineData("reports/../../outside/secret.txt")]
    [InlineData("reports/../notes.txt")]
    [InlineData("./notes.txt")]
    [InlineData("reports//a.md")]
    [InlineData("reports/")]
    [InlineData("/etc/passwd")]
    [InlineData("reports\\..\\..\\outside\\secret.txt")]
    [InlineData("C:/x")]
    [InlineData("notes.txt\0.md")]
    [InlineData("a\nb")]
    public void EveryTool_PathThatIsNotPlain_IsRefused(string path)
    {
        Assert.Throws<McpException>(() => tools.ReadFile(path));
        Assert.Throws<McpException>(() => tools.ListFiles(path));
        Assert.Throws<McpException>(() => tools.SearchFiles("e", path));
        Assert.Throws<McpException>(() => tools.WriteFile(path, "x", overwrite: true));
        Assert.Throws<McpException>(() => tools.DeleteFile(path));
        Assert.Throws<McpException>(() => tools.MoveFile(path, "new.txt"));
        Assert.Throws<McpException>(() => tools.MoveFile("notes.txt", path));
        Assert.Equal("REVENUE secret", File.ReadAllText(Path.Combine(outside, "secret.txt")));
        Assert.True(File.Exists(Path.Combine(root, "notes.txt")));
    }

    [Fact]
    public void EveryTool_LinkToAFileOutside_IsRefused()
    {
        string secret = Path.Combine(outside, "secret.txt");
        File.CreateSymbolicLink(Path.Combine(root, "link.txt"), secret);
        Assert.Throws<McpException>(() => tools.ReadFile("link.txt"));
        Assert.Throws<McpException>(() => tools.WriteFile("link.txt", "x", overwrite: true));
        Assert.Throws<McpException>(() => tools.DeleteFile("link.txt"));
        Assert.Throws<McpException>(() => tools.MoveFile("link.txt", "new.txt"));
        Assert.Throws<McpException>(() => tools.MoveFile("notes.txt", "link.txt"));
        Assert.DoesNotContain(tools.ListFiles(), e => e.Path == "link.txt");
        Assert.Equal("REVENUE secret", File.ReadAllText(secret));
    }

    [Fact]
    public void EveryTool_LinkInAParent_IsRefused()
    {
        Directory.CreateSymbolicLink(Path.Combine(root, "reports", "out"), outside);
        Assert.Throws<McpException>(() => tools.ReadFile("reports/out/secret.txt"));
        Assert.Throws<McpException>(() => tools.ListFiles("reports/out"));
        Assert.Throws<McpException>(() => tools.WriteFile("reports/out/new.txt", "x"));
        Assert.Throws<McpException>(() => tools.WriteFile("reports/out/deeper/new.txt", "x"));
        Assert.Throws<McpException>(() => tools.MoveFile("notes.txt", "reports/out/notes.txt"));
        Assert.Throws<McpException>(() => tools.DeleteFile("reports/out/secret.txt"));
        Assert.Equal(["secret.txt"], Directory.GetFileSystemEntries(outside).Select(Path.GetFileName));
        Assert.DoesNotContain(tools.SearchFiles("revenue").Matches, m => m.Text.Contains("secret", StringComparison.Ordinal));
    }

    [Fact]
    public void EveryTool_DanglingLink_IsRefused()
    {
        File.CreateSymbolicLink(Path.Combine(root, "gone"), Path.Combine(outside, "made-by-write.txt"));
        Assert.Throws<McpException>(() => tools.WriteFile("gone", "x", overwrite: true));
        Assert.False(File.Exists(Path.Combine(outside, "made-by-write.txt")));
    }

    [Fact]
    public async Task ReadFile_LinkSwappedInWhileReading_NeverShowsWhatIsOutside()
    {
        // The name alternates between a real folder and a link to the folder outside; whatever the check saw, the open decides.
        string inside = Path.Combine(root, "swap"), spare = Path.Combine(root, "spare"), link = Path.Combine(root, "link");
        Directory.CreateDirectory(inside);
        File.WriteAllText(Path.Combine(inside, "secret.txt"), "harmless");
        Directory.CreateSymbolicLink(link, outside);
        using var stop = new CancellationTokenSource();
        Task swapping = Task.Run(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                Directory.Move(inside, spare);
                Directory.Move(link, inside);
                Directory.Move(inside, link);
                Directory.Move(spare, inside);
            }
        });
        int harmless = 0, refused = 0;
        try
        {
            for (int i = 0; i < 5000; i++)
            {
                try
                {
                    Assert.Equal("harmless", tools.ReadFile("swap/secret.txt"));
                    harmless++;
                }
                catch (McpException)
                {
                    refused++;
                }
            }
        }
        finally
        {
            await stop.CancelAsync();
            await swapping;
        }
        Assert.True(harmless > 0 && refused > 0, $"{harmless} read, {refused} refused: the swapping met nothing");
    }

    [Fact]
    public void Folder_ThatIsItselfALink_IsServed()
    {
        string link = Path.Combine(temp.Path, "link-to-root");
        Directory.CreateSymbolicLink(link, root);
        Assert.Equal("grün\n", new FileTools(new Folder(link)).ReadFile("notes.txt"));
    }

    [Fact]
    public void ReadFile_ExactlyTheLimit_IsRead_OneByteMore_IsRefused()
    {
        File.WriteAllText(Path.Combine(root, "big.txt"), new string('x', Folder.MostBytes));
        Assert.Equal(Folder.MostBytes, tools.ReadFile("big.txt").Length);
        File.AppendAllText(Path.Combine(root, "big.txt"), "x");
        Assert.Contains("larger than 1 MiB", Assert.Throws<McpException>(() => tools.ReadFile("big.txt")).Message, StringComparison.Ordinal);
        Assert.Throws<McpException>(() => tools.WriteFile("new.txt", new string('ü', Folder.MostBytes / 2 + 1)));
    }

    [Theory]
    [InlineData(new byte[] { 0x50, 0x4b, 0x00, 0x04 })]
    [InlineData(new byte[] { 0x61, 0xff, 0xfe })]
    public void ReadFile_Binary_IsRefused(byte[] content)
    {
        File.WriteAllBytes(Path.Combine(root, "x.bin"), content);
        Assert.Contains("not a text file", Assert.Throws<McpException>(() => tools.ReadFile("x.bin")).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("none.txt")]
    [InlineData("none/none.txt")]
    [InlineData("notes.txt/x")]
    [InlineData("reports")]
    [InlineData("")]
    public void ReadFile_NoSuchFile_SaysSoWithoutTheFoldersAddress(string path)
    {
        McpException e = Assert.Throws<McpException>(() => tools.ReadFile(path));
        Assert.DoesNotContain(temp.Path, e.Message, StringComparison.Ordinal);
        Assert.Null(e.InnerException);
    }

    [Fact]
    public void SearchFiles_Text_FindsLinesInFilesBelow()
    {
        SearchResult result = tools.SearchFiles("revenue", "reports");
        Assert.True(result.Complete);
        Assert.Equal(
            [new("reports/a.md", 2, "Revenue grew."), new("reports/old/b.md", 1, "the revenue fell")],
            result.Matches.OrderBy(m => m.Path, StringComparer.Ordinal));
        Assert.Throws<McpException>(() => tools.SearchFiles("", "reports"));
    }

    [Fact]
    public void SearchFiles_MoreThanTheLimit_SaysThatItStopped()
    {
        File.WriteAllText(Path.Combine(root, "many.txt"), string.Join('\n', Enumerable.Repeat("needle", 150)));
        SearchResult result = tools.SearchFiles("needle");
        Assert.Equal((100, false), (result.Matches.Count, result.Complete));
    }

    [Fact]
    public void WriteFile_New_MakesFoldersAndLeavesNoDraft()
    {
        tools.WriteFile("out/deep/new.txt", "grün");
        Assert.Equal(Encoding.UTF8.GetBytes("grün"), File.ReadAllBytes(Path.Combine(root, "out", "deep", "new.txt")));
        Assert.Single(Directory.GetFileSystemEntries(Path.Combine(root, "out", "deep")));
    }

    [Fact]
    public void WriteFile_Existing_IsReplacedOnlyWhenAsked()
    {
        Assert.Throws<McpException>(() => tools.WriteFile("notes.txt", "x"));
        Assert.Equal("grün\n", tools.ReadFile("notes.txt"));
        tools.WriteFile("notes.txt", "x", overwrite: true);
        Assert.Equal("x", tools.ReadFile("notes.txt"));
        Assert.Throws<McpException>(() => tools.WriteFile("reports", "x", overwrite: true));
        Assert.Throws<McpException>(() => tools.WriteFile("notes.txt/x", "x"));
    }

    [Fact]
    public void MoveFile_ExistingDestination_IsRefused()
    {
        Assert.Throws<McpException>(() => tools.MoveFile("notes.txt", "reports/a.md"));
        Assert.Throws<McpException>(() => tools.MoveFile("none.txt", "x.txt"));
        tools.MoveFile("notes.txt", "archive/notes.txt");
        Assert.Equal("grün\n", tools.ReadFile("archive/notes.txt"));
        Assert.Throws<McpException>(() => tools.ReadFile("notes.txt"));
    }

    [Fact]
    public void DeleteFile_FileOnly_IsGone()
    {
        tools.DeleteFile("notes.txt");
        Assert.False(File.Exists(Path.Combine(root, "notes.txt")));
        Assert.Throws<McpException>(() => tools.DeleteFile("notes.txt"));
        Assert.Throws<McpException>(() => tools.DeleteFile("reports"));
        Assert.Throws<McpException>(() => tools.DeleteFile(""));
    }

    public void Dispose() => temp.Dispose();
}
