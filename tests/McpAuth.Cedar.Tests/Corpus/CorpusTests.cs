using System.Diagnostics;
using System.Text;
using System.Text.Json;
using McpAuth.Cedar.Data;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Tests.Schemas;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Validation;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Corpus;

/// <summary>
/// The published tests, done as the reference's own harness does them: policies and schema read from text, entities and contexts by the schema, each request
/// checked by the schema and decided. Decision, reasons and erroring policies must be those published.
/// </summary>
[Trait("Spec", "Cedar-Authorization")]
public class CorpusTests
{
    [CorpusFact]
    public void Authorizer_OnEveryRequestOfTheCorpus_GivesThePublishedAnswer() => Run("corpus-tests.tar.gz", tests: 7809, requests: 62_472);

    [CorpusFact]
    public void Authorizer_OnEveryHandwrittenRequest_GivesThePublishedAnswer() => Run("handwritten.tar.gz", tests: 22, requests: 74);

    private static void Run(string archive, int tests, int requests)
    {
        var clock = Stopwatch.StartNew();
        Dictionary<string, byte[]> files = CorpusFiles.Read(archive);
        var differences = new List<string>();
        int ranTests = 0, ranRequests = 0;
        Parallel.ForEach(files.Where(f => f.Key.EndsWith(".json", StringComparison.Ordinal) && !f.Key.EndsWith("entities.json", StringComparison.Ordinal)), file =>
        {
            using JsonDocument test = JsonDocument.Parse(file.Value);
            (int count, IReadOnlyList<string> different) = Run(test.RootElement, files);
            lock (differences)
            {
                ranTests++;
                ranRequests += count;
                differences.AddRange(different.Select(d => $"{file.Key}: {d}"));
            }
        });
        Assert.True(differences.Count == 0, $"{differences.Count} differences in {ranTests} tests, {ranRequests} requests, {clock.Elapsed.TotalSeconds:0} s:\n{string.Join('\n', differences.Order(StringComparer.Ordinal).Take(20))}");
        Assert.Equal((tests, requests), (ranTests, ranRequests));
    }

    private static (int Requests, IReadOnlyList<string> Differences) Run(JsonElement test, Dictionary<string, byte[]> files)
    {
        var differences = new List<string>();
        int count = test.GetProperty("requests").GetArrayLength();
        string File(string member) => test.GetProperty(member).GetString()!;
        Parsed<PolicySet> policies = PolicySet.Parse(Encoding.UTF8.GetString(files[File("policies")]));
        Parsed<CedarSchema> schema = CedarSchema.Parse(Encoding.UTF8.GetString(files[File("schema")]));
        if (!policies.Ok || !schema.Ok) return (count, [.. policies.Diagnostics.Concat(schema.Diagnostics).Select(d => d.Render())]);
        Parsed<EntityStore> entities = EntityStore.ParseJson(files[File("entities")], schema.Value);
        if (!entities.Ok) return (count, [.. entities.Diagnostics.Select(d => d.ToString())]);

        bool valid = Validator.Validate(policies.Value, schema.Value).All(d => d.Severity != Severity.Error);
        if (valid != test.GetProperty("shouldValidate").GetBoolean()) differences.Add($"validates: {valid}");
        Authorizer authorizer = Authorizer.CedarCompatible(policies.Value);
        foreach (JsonElement expected in test.GetProperty("requests").EnumerateArray())
        {
            if (Read(expected, schema.Value) is not { Ok: true, Value: { } request } read)
            {
                differences.AddRange(Read(expected, schema.Value).Diagnostics.Select(d => $"{expected.GetProperty("description")}: {d}"));
                continue;
            }
            AuthorizationResponse response = authorizer.Authorize(request, entities.Value);
            string answer = Text(response.Decision == Decision.Allow ? "allow" : "deny", response.Reasons, response.Errors.Select(e => e.PolicyId));
            string published = Text(expected.GetProperty("decision").GetString()!, Ids(expected, "reason"), Ids(expected, "errors"));
            if (answer != published)
                differences.Add($"{expected.GetProperty("description")}: {answer}, published {published}{string.Concat(response.Errors.Select(e => $"; {e}"))}");
        }
        return (count, differences);
    }

    private static Parsed<Request> Read(JsonElement expected, CedarSchema schema)
    {
        string json = $$"""
            {"principal":{{expected.GetProperty("principal").GetRawText()}},"action":{{expected.GetProperty("action").GetRawText()}},
             "resource":{{expected.GetProperty("resource").GetRawText()}},"context":{{expected.GetProperty("context").GetRawText()}}}
            """;
        bool check = !expected.TryGetProperty("validateRequest", out JsonElement asked) || asked.GetBoolean();
        Parsed<Request> request = Request.ParseJson(Encoding.UTF8.GetBytes(json), check ? schema : null);
        if (check || !request.Ok) return request;
        Parsed<CedarRecord> context = ContextJson.Parse(Encoding.UTF8.GetBytes(expected.GetProperty("context").GetRawText()), schema, request.Value.Action);
        return context.Ok ? new(request.Value with { Context = context.Value }) : new Parsed<Request>(context.Diagnostics);
    }

    private static IEnumerable<string> Ids(JsonElement expected, string member) => expected.GetProperty(member).EnumerateArray().Select(id => id.GetString()!);

    private static string Text(string decision, IEnumerable<string> reasons, IEnumerable<string> errors) =>
        $"{decision} by [{string.Join(' ', reasons.Order(StringComparer.Ordinal))}] errors [{string.Join(' ', errors.Order(StringComparer.Ordinal))}]";
}
