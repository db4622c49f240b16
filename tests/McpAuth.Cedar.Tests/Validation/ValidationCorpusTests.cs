using System.Text;
using System.Text.Json;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Tests.Schemas;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Validation;

namespace McpAuth.Cedar.Tests.Validation;

/// <summary>The verdicts that the Rust validator 4.12 gave for every policy of the corpus.</summary>
[Trait("Spec", "Cedar-Validation")]
public sealed class ValidationCorpusTests
{
    [CorpusFact]
    public void Validator_OnEveryPolicyOfTheCorpus_GivesThePublishedVerdictInBothModes()
    {
        Dictionary<string, byte[]> policies = CorpusArchive.Read("corpus-tests.tar.gz", ".cedar");
        Dictionary<string, byte[]> schemas = CorpusArchive.Read("corpus-tests.tar.gz", ".cedarschema");
        Dictionary<string, byte[]> verdicts = CorpusArchive.Read("corpus-tests-validation.tar.gz", ".validation.json");
        List<string> different = [];
        foreach ((string name, byte[] json) in verdicts)
        {
            using JsonDocument expected = JsonDocument.Parse(json);
            JsonElement verdict = expected.RootElement.GetProperty("policyValidation");
            PolicySet set = PolicySet.Parse(Encoding.UTF8.GetString(policies[name])).Value;
            CedarSchema schema = CedarSchema.Parse(Encoding.UTF8.GetString(schemas[name])).Value;
            foreach ((ValidationMode mode, string member) in new[] { (ValidationMode.Strict, "strict"), (ValidationMode.Permissive, "permissive") })
            {
                List<Diagnostic> errors = [.. Validator.Validate(set, schema, mode).Where(d => d.Severity == Severity.Error)];
                if (errors.Count == 0 == verdict.GetProperty(member).GetBoolean()) continue;
                string published = verdict.TryGetProperty($"{member}Errors", out JsonElement all) ? all.ToString() : "valid";
                different.Add($"{name} {mode}: {(errors.Count == 0 ? "valid" : errors[0].Render())}\n  published: {published}");
            }
        }
        Assert.True(different.Count == 0, $"{different.Count} of {verdicts.Count * 2}:\n{string.Join('\n', different.Take(20))}");
        Assert.Equal(7750, verdicts.Count);
    }
}
