using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using McpAuth.Cedar.Policies;
using McpAuth.Testing;

namespace McpAuth.Cedar.Tests.Policies;

public sealed class CorpusTextTests
{
    private sealed class CorpusTheoryAttribute() : SkipUnlessTheoryAttribute(Vectors.Has("cedar"));

    [CorpusTheory, Trait("Spec", "Cedar-policies")]
    [InlineData("corpus-tests.tar.gz", 7_809)]
    [InlineData("handwritten.tar.gz", 22)]
    public void EveryTextOfTheCorpus_IsReadAndWrittenAndReadAsTheSame(string archive, int count)
    {
        int read = 0;
        foreach ((string name, string text) in Texts(archive))
        {
            Parsed<PolicySet> parsed = PolicySet.Parse(text);
            Assert.True(parsed.Ok, $"{name}: {string.Join('\n', parsed.Diagnostics.Select(d => d.Render()))}");
            Assert.True(SamePolicy.Are(parsed.Value, PolicySet.Parse(parsed.Value.ToCedar()).Value), name);
            Assert.True(SamePolicy.Are(parsed.Value, PolicySet.ParseJson(Encoding.UTF8.GetBytes(parsed.Value.ToJson())).Value), name);
            read++;
        }
        Assert.Equal(count, read);
    }

    private static IEnumerable<(string Name, string Text)> Texts(string archive)
    {
        using var tar = new TarReader(new GZipStream(File.OpenRead(Path.Combine(Vectors.Folder, "cedar", archive)), CompressionMode.Decompress));
        while (tar.GetNextEntry() is { } entry)
        {
            string name = Path.GetFileName(entry.Name);
            if (entry.DataStream is null || name.StartsWith("._", StringComparison.Ordinal) || !name.EndsWith(".cedar", StringComparison.Ordinal)) continue;
            using var reader = new StreamReader(entry.DataStream, new UTF8Encoding(false, throwOnInvalidBytes: true));
            yield return (entry.Name, reader.ReadToEnd());
        }
    }
}
