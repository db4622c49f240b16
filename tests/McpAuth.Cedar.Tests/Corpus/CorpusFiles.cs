using System.Formats.Tar;
using System.IO.Compression;
using McpAuth.Testing;

namespace McpAuth.Cedar.Tests.Corpus;

/// <summary>All files of one archive of the corpus, by their path in it as the tests name each other.</summary>
internal static class CorpusFiles
{
    public static Dictionary<string, byte[]> Read(string archive)
    {
        Dictionary<string, byte[]> files = new(StringComparer.Ordinal);
        using FileStream packed = File.OpenRead(Path.Combine(Vectors.Folder, "cedar", archive));
        using var unpacked = new GZipStream(packed, CompressionMode.Decompress);
        using var tar = new TarReader(unpacked);
        while (tar.GetNextEntry() is { } entry)
        {
            if (entry.DataStream is null || Path.GetFileName(entry.Name).StartsWith("._", StringComparison.Ordinal)) continue;
            var content = new MemoryStream();
            entry.DataStream.CopyTo(content);
            string name = entry.Name.StartsWith("./", StringComparison.Ordinal) ? entry.Name[2..] : entry.Name;
            files.Add(name.StartsWith("handwritten/", StringComparison.Ordinal) ? name["handwritten/".Length..] : name, content.ToArray());
        }
        return files;
    }
}
