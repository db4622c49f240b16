using System.Text;
using McpAuth.Cedar.Schemas;

namespace McpAuth.Cedar.Tests.Schemas;

[Trait("Spec", "Cedar-Schema")]
public sealed class SchemaCorpusTests
{
    [CorpusFact]
    public void Schema_OfEveryTestOfTheCorpus_IsTheSameInTextAndInJson()
    {
        Dictionary<string, byte[]> texts = CorpusArchive.Read("corpus-tests.tar.gz", ".cedarschema");
        Dictionary<string, byte[]> jsons = CorpusArchive.Read("corpus-tests-json-schemas.tar.gz", ".cedarschema.json");
        List<string> different = [];
        foreach ((string name, byte[] json) in jsons)
        {
            Parsed<CedarSchema> fromText = CedarSchema.Parse(Encoding.UTF8.GetString(texts[name]));
            Parsed<CedarSchema> fromJson = CedarSchema.ParseJson(json);
            if (!fromText.Ok) different.Add($"{name}: {fromText.Diagnostics[0]}");
            else if (!fromJson.Ok) different.Add($"{name}: {fromJson.Diagnostics[0]}");
            else if (!new SchemaComparison().Same(fromText.Value, fromJson.Value)) different.Add($"{name}: not the same");
            else if (!new SchemaComparison().Same(fromText.Value, CedarSchema.Parse(fromJson.Value.ToCedar()).Value)) different.Add($"{name}: not the same when written as text");
            else if (!new SchemaComparison().Same(fromJson.Value, CedarSchema.ParseJson(Encoding.UTF8.GetBytes(fromText.Value.ToJson())).Value)) different.Add($"{name}: not the same when written as JSON");
        }
        Assert.True(different.Count == 0, $"{different.Count} of {jsons.Count}:\n{string.Join('\n', different.Take(10))}");
        Assert.Equal(7750, jsons.Count);
    }

    [CorpusFact]
    public void Schema_OfEveryHandwrittenTest_IsRead()
    {
        foreach ((string name, byte[] text) in CorpusArchive.Read("handwritten.tar.gz", ".cedarschema"))
        {
            Parsed<CedarSchema> schema = CedarSchema.Parse(Encoding.UTF8.GetString(text));
            Assert.True(schema.Ok, $"{name}: {(schema.Ok ? "" : schema.Diagnostics[0].Render())}");
        }
    }
}
