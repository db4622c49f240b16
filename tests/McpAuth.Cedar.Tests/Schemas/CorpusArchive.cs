using System.Formats.Tar;
using System.IO.Compression;
using McpAuth.Testing;

namespace McpAuth.Cedar.Tests.Schemas;

/// <summary>A fact that needs the published Cedar corpus.</summary>
internal sealed class CorpusFactAttribute() : SkipUnlessFactAttribute(Vectors.Has("cedar"));

/// <summary>The files of one archive of the corpus.</summary>
internal static class CorpusArchive
{
    /// <summary>Contents by the name of the test, of the files whose names end so.</summary>
    public static Dictionary<string, byte[]> Read(string archive, string ending, string? but = null)
    {
        Dictionary<string, byte[]> files = new(StringComparer.Ordinal);
        using FileStream packed = File.OpenRead(Path.Combine(Vectors.Folder, "cedar", archive));
        using var unpacked = new GZipStream(packed, CompressionMode.Decompress);
        using var tar = new TarReader(unpacked);
        while (tar.GetNextEntry() is { } entry)
        {
            string name = Path.GetFileName(entry.Name);
            if (entry.DataStream is null || name.StartsWith("._", StringComparison.Ordinal) || !name.EndsWith(ending, StringComparison.Ordinal)) continue;
            if (but is not null && name.EndsWith(but, StringComparison.Ordinal)) continue;
            var content = new MemoryStream();
            entry.DataStream.CopyTo(content);
            string? folder = Path.GetFileName(Path.GetDirectoryName(entry.Name));
            // The names of the corpus are hashes; the handwritten tests are told apart by their folder.
            files.Add(archive.StartsWith("handwritten", StringComparison.Ordinal) ? $"{folder}/{name}" : name[..name.IndexOf('.', StringComparison.Ordinal)], content.ToArray());
        }
        return files;
    }
}
