using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Validation;

namespace McpAuth.Cedar.Tests.Differential;

/// <summary>Puts one case to this engine, and compares with what the reference answered.</summary>
internal sealed class Comparison
{
    /// <summary>How often each thing was compared, so that a run proves what it seems to.</summary>
    public SortedDictionary<string, int> Counts { get; } = new(StringComparer.Ordinal);

    /// <summary>Where the two differ; empty where they agree.</summary>
    public IReadOnlyList<string> Differences(Case @case, JsonElement answer)
    {
        var differences = new List<string>();
        Parsed<PolicySet> policies = Policies(@case);
        Parsed<CedarSchema> schema = CedarSchema.Parse(@case.Schema);
        Parsed<EntityStore> entities = EntityStore.ParseJson(Encoding.UTF8.GetBytes(@case.EntitiesJson));
        Same("policies", policies, answer.GetProperty("set"), differences);
        Same("schema", schema, answer.GetProperty("schema"), differences);
        Same("entities", entities, answer.GetProperty("entities"), differences);
        if (schema.Ok && answer.GetProperty("schema").ValueKind == JsonValueKind.Null)
        {
            Parsed<EntityStore> typed = EntityStore.ParseJson(Encoding.UTF8.GetBytes(@case.EntitiesJson), schema.Value);
            Same("entities by schema", typed, answer.GetProperty("typed"), differences);
            if (policies.Ok && typed.Ok && answer.GetProperty("checked") is { ValueKind: JsonValueKind.Object } known)
                Decided(Request.ParseJson(Encoding.UTF8.GetBytes(@case.Requests[0].Json), schema.Value), Authorizer.CedarCompatible(policies.Value), typed.Value, known, " by schema", differences);
            if (policies.Ok && answer.GetProperty("invalid").ValueKind == JsonValueKind.Array) Validity(policies.Value, schema.Value, answer.GetProperty("invalid"), differences);
        }
        if (policies.Ok && entities.Ok) Decisions(@case, policies.Value, entities.Value, answer.GetProperty("answers"), "", differences);
        return differences;
    }

    /// <summary>Whether each reads the same from what the other writes, and from what we lay out anew.</summary>
    public IReadOnlyList<string> WrittenDifferences(Case @case, Reference reference)
    {
        var differences = new List<string>();
        Parsed<PolicySet> policies = Policies(@case);
        Parsed<EntityStore> entities = EntityStore.ParseJson(Encoding.UTF8.GetBytes(@case.EntitiesJson));
        if (!policies.Ok || !entities.Ok) return [];
        Policy Ours(CasePolicy p) => policies.Value.TryGet(p.Id, out Policy? policy) ? policy : throw new KeyNotFoundException(p.Id);
        JsonElement answer = reference.Ask(@case.ToJson(p => Ours(p).ToCedar(), p => JsonNode.Parse(Ours(p).ToJson(), documentOptions: Reference.Deep)));
        string[] how = ["", " from our text", " from our JSON"];
        for (int i = 1; i < how.Length; i++)
        {
            JsonElement set = answer.GetProperty("sets")[i];
            if (set.GetProperty("set").ValueKind == JsonValueKind.String) differences.Add($"written: they refuse what comes{how[i]}: {set.GetProperty("set")}");
            else Decisions(@case, policies.Value, entities.Value, set.GetProperty("answers"), how[i], differences);
        }
        JsonElement first = answer.GetProperty("sets")[0].GetProperty("answers");
        Read(PolicySet.ParseJson(Encoding.UTF8.GetBytes(answer.GetProperty("json").GetRawText())), " from their JSON");
        Read(PolicySet.ParseJson(Encoding.UTF8.GetBytes(policies.Value.ToJson())), " from our own JSON");
        return differences;

        void Read(Parsed<PolicySet> read, string from)
        {
            if (read.Ok) Decisions(@case, read.Value, entities.Value, first, from, differences);
            else differences.Add($"written: we refuse what comes{from}: {string.Join("; ", read.Diagnostics)}");
        }
    }

    public static Parsed<PolicySet> Policies(Case @case)
    {
        Parsed<PolicySet> set = PolicySet.Parse(@case.PoliciesText, PolicyIds.FromAnnotation);
        foreach (CaseLink link in @case.Links)
            if (set.Ok) set = set.Value.Link(link.TemplateId, link.Id, link.Principal, link.Resource);
        return set;
    }

    /// <summary>Decisions, reasons and erroring policies of every request.</summary>
    public void Decisions(Case @case, PolicySet policies, EntityStore entities, JsonElement answers, string how, List<string> differences)
    {
        Authorizer authorizer = Authorizer.CedarCompatible(policies);
        for (int i = 0; i < Math.Min(answers.GetArrayLength(), @case.Requests.Length); i++)
            Decided(Request.ParseJson(Encoding.UTF8.GetBytes(@case.Requests[i].Json)), authorizer, entities, answers[i], how, differences);
    }

    private void Decided(Parsed<Request> request, Authorizer authorizer, EntityStore entities, JsonElement answer, string how, List<string> differences)
    {
        Same($"requests{how}", request, answer.TryGetProperty("failure", out JsonElement failure) ? failure : default, differences);
        if (!request.Ok || failure.ValueKind == JsonValueKind.String) return;
        AuthorizationResponse response = authorizer.Authorize(request.Value, entities);
        string ours = Text(response.Decision == Decision.Allow ? "allow" : "deny", response.Reasons, response.Errors.Select(e => e.PolicyId));
        string theirs = Text(answer.GetProperty("decision").GetString()!, answer.GetProperty("reasons").EnumerateArray().Select(r => r.GetString()!),
            answer.GetProperty("errors").EnumerateArray().Select(e => e[0].GetString()!));
        Count($"decisions{how}: {(response.Decision == Decision.Allow ? "allow" : response.Reasons.Count > 0 ? "forbidden" : "nothing permits")}{(response.Errors.Count > 0 ? ", with errors" : "")}");
        if (ours != theirs)
            differences.Add($"decision{how} to {request.Value.ToJson()}: ours {ours}, theirs {theirs}\n  our errors: {string.Join("; ", response.Errors)}\n  their errors: {answer.GetProperty("errors")}");
    }

    private void Same<T>(string what, Parsed<T> ours, JsonElement theirs, List<string> differences)
        where T : class
    {
        bool accepted = theirs.ValueKind is JsonValueKind.Null or JsonValueKind.Undefined;
        Count($"{what}: {(ours.Ok ? "accepted" : "refused")}");
        if (ours.Ok != accepted)
            differences.Add($"{what}: {(ours.Ok ? $"we accept, they say {theirs}" : $"they accept, we say {string.Join("; ", ours.Diagnostics.Take(3))}")}");
    }

    private void Validity(PolicySet policies, CedarSchema schema, JsonElement invalid, List<string> differences)
    {
        Diagnostic[] errors = [.. Validator.Validate(policies, schema).Where(d => d.Severity == Severity.Error)];
        string[] ours = [.. errors.Select(d => d.Path!).Distinct().Order(StringComparer.Ordinal)];
        string[] theirs = [.. invalid.EnumerateArray().Select(e => e[0].GetString()!).Distinct().Order(StringComparer.Ordinal)];
        Count($"validation: {(ours.Length == 0 ? "all valid" : "some invalid")}");
        Counts["policies valid"] = Counts.GetValueOrDefault("policies valid") + policies.Policies.Count - ours.Length;
        if (!ours.SequenceEqual(theirs))
            differences.Add($"validation: ours invalid [{string.Join(' ', ours)}], theirs [{string.Join(' ', theirs)}]\n  ours: {string.Join("\n    ", errors.Select(e => e.Render()))}\n  theirs: {invalid}");
    }

    private static string Text(string decision, IEnumerable<string> reasons, IEnumerable<string> errors) =>
        $"{decision} by [{string.Join(' ', reasons.Order(StringComparer.Ordinal))}] errors [{string.Join(' ', errors.Order(StringComparer.Ordinal))}]";

    private void Count(string what) => Counts[what] = Counts.GetValueOrDefault(what) + 1;
}
