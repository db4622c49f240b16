using System.Text;
using System.Text.Json;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Tests.Schemas;

namespace McpAuth.Cedar.Tests.Validation;

/// <summary>The verdicts that were published for the entities and requests of the corpus: all of them conform.</summary>
[Trait("Spec", "Cedar-Validation")]
public sealed class DataCorpusTests
{
    [CorpusFact]
    public void Schema_OnEveryRequestOfTheCorpus_GivesThePublishedVerdict()
    {
        Dictionary<string, byte[]> verdicts = CorpusArchive.Read("corpus-tests-validation.tar.gz", ".validation.json");
        Dictionary<string, byte[]> schemas = CorpusArchive.Read("corpus-tests.tar.gz", ".cedarschema");
        Dictionary<string, byte[]> tests = CorpusArchive.Read("corpus-tests.tar.gz", ".json", but: ".entities.json");
        List<string> different = [];
        int requests = 0;
        foreach ((string name, byte[] json) in verdicts)
        {
            using JsonDocument expected = JsonDocument.Parse(json), test = JsonDocument.Parse(tests[name]);
            CedarSchema schema = CedarSchema.Parse(Encoding.UTF8.GetString(schemas[name])).Value;
            foreach ((JsonElement verdict, JsonElement request) in expected.RootElement.GetProperty("requestValidation").EnumerateArray().Zip(test.RootElement.GetProperty("requests").EnumerateArray()))
            {
                requests++;
                string? fault = schema.FaultOf(new Request(
                    CorpusData.Uid(request.GetProperty("principal")), CorpusData.Uid(request.GetProperty("action")), CorpusData.Uid(request.GetProperty("resource")),
                    CorpusData.Record(request.GetProperty("context"))));
                if (fault is null != verdict.GetProperty("strict").GetBoolean()) different.Add($"{name}: {fault ?? "conforms"}");
            }
        }
        Assert.True(different.Count == 0, $"{different.Count} of {requests}:\n{string.Join('\n', different.Take(10))}");
        Assert.Equal(62000, requests);
    }

    [CorpusFact]
    public void Schema_OnEveryEntityOfTheCorpus_GivesThePublishedVerdict()
    {
        Dictionary<string, byte[]> verdicts = CorpusArchive.Read("corpus-tests-validation.tar.gz", ".validation.json");
        Dictionary<string, byte[]> schemas = CorpusArchive.Read("corpus-tests.tar.gz", ".cedarschema");
        Dictionary<string, byte[]> data = CorpusArchive.Read("corpus-tests.tar.gz", ".entities.json");
        List<string> different = [];
        int entities = 0;
        foreach ((string name, byte[] json) in verdicts)
        {
            using JsonDocument expected = JsonDocument.Parse(json), all = JsonDocument.Parse(data[name]);
            CedarSchema schema = CedarSchema.Parse(Encoding.UTF8.GetString(schemas[name])).Value;
            JsonElement perEntity = expected.RootElement.GetProperty("entityValidation").GetProperty("perEntity");
            foreach (Entity entity in CorpusData.Entities(all.RootElement))
            {
                if (!perEntity.TryGetProperty($"{entity.Uid.Type}::{entity.Uid.Id}", out JsonElement verdict)) continue;
                entities++;
                string? fault = schema.FaultOf(entity);
                if (fault is null == verdict.TryGetProperty("errors", out _)) different.Add($"{name}: {fault ?? "conforms"}");
            }
        }
        Assert.True(different.Count == 0, $"{different.Count} of {entities}:\n{string.Join('\n', different.Take(10))}");
        Assert.True(entities > 10_000, $"only {entities}");
    }
}
