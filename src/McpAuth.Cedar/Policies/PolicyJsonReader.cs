using System.Text.Json;
using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Policies;

/// <summary>Reads the JSON form of policies: a set with its templates and links, or one policy or template by itself.</summary>
internal sealed partial class PolicyJsonReader
{
    private readonly JsonInput json = new();
    private readonly StringPool pool = new();
    private readonly ExprBudget budget;

    private PolicyJsonReader(int length) => budget = new ExprBudget(length);

    public static Parsed<PolicySet> Read(ReadOnlySpan<byte> utf8)
    {
        var reader = new PolicyJsonReader(utf8.Length);
        List<Policy> policies = [];
        if (reader.json.Parse(utf8) is { } document)
        {
            if (JsonInput.TryMember(document, "effect", out _))
            {
                if (reader.Body(document) is { } body) policies.Add(new Policy("policy0", body));
            }
            else policies = reader.Set(document);
        }
        return reader.json.Errors.Count > 0 ? new(reader.json.Errors) : new(new PolicySet(policies));
    }

    private List<Policy> Set(JsonAt at)
    {
        var policies = new Dictionary<string, Policy>(StringComparer.Ordinal);
        JsonAt?[]? members = json.Members(at, "A policy set", ["staticPolicies"], "templates", "templateLinks");
        if (members is null) return [];
        All(members[0]!.Value, "static policies", templates: false);
        if (members[1] is { } templates) All(templates, "templates", templates: true);
        if (members[2] is { } links)
            foreach (JsonAt link in json.Items(links, "The list of links"))
                if (!json.Full) Link(link, policies);
        return [.. policies.Values];

        void All(JsonAt ofThem, string what, bool templates)
        {
            foreach ((string id, JsonAt member) in json.Members(ofThem, $"The collection of {what}"))
            {
                if (json.Full) return;
                if (Body(member) is not { } body) continue;
                if (templates && !body.IsTemplate) json.Report("no_slot", "A template has a slot.", member, "move it to 'staticPolicies'");
                else if (!templates && body.IsTemplate) json.Report("unexpected_slot", "A static policy has no slots.", member, "move it to 'templates'");
                else if (!policies.TryAdd(id, new Policy(id, body))) json.Report("duplicate_id", $"The id '{id}' is used already.", member);
            }
        }
    }

    private void Link(JsonAt at, Dictionary<string, Policy> policies)
    {
        if (json.Members(at, "A link", ["templateId", "newId", "values"]) is not [{ } templateAt, { } idAt, { } valuesAt]) return;
        int before = json.Errors.Count;
        string templateId = json.Text(templateAt, "The id of a template"), id = json.Text(idAt, "The id of a policy");
        JsonAt?[]? slots = json.Members(valuesAt, "The values of a link", [], "?principal", "?resource");
        EntityUid? principal = slots?[0] is { } p ? Entity(p) : null, resource = slots?[1] is { } r ? Entity(r) : null;
        if (json.Errors.Count > before) return;
        if (!policies.TryGetValue(templateId, out Policy? template) || !template.IsTemplate)
        {
            json.Report("unknown_template", $"There is no template '{templateId}'.", templateAt,
                NearMiss.Help(templateId, policies.Values.Where(t => t.IsTemplate).Select(t => t.Id)));
            return;
        }
        var misfits = new List<Diagnostic>();
        Policy? linked = template.Link(id, principal, resource, misfits);
        foreach (Diagnostic misfit in misfits) json.Report(misfit.Code, misfit.Message, valuesAt);
        if (linked is not null && !policies.TryAdd(id, linked)) json.Report("duplicate_id", $"The id '{id}' is used already.", idAt);
    }

    private PolicyBody? Body(JsonAt at)
    {
        int before = json.Errors.Count;
        JsonAt?[]? members = json.Members(at, "A policy", ["effect", "principal", "action", "resource", "conditions"], "annotations");
        if (members is not [{ } effectAt, { } principalAt, { } actionAt, { } resourceAt, { } conditionsAt, var annotationsAt]) return null;
        Effect effect = default;
        switch (json.Text(effectAt, "The effect"))
        {
            case "permit": break;
            case "forbid": effect = Effect.Forbid; break;
            case var other:
                if (effectAt.Kind == JsonValueKind.String) json.Report("invalid_effect", "The effect is 'permit' or 'forbid'.", effectAt, NearMiss.Help(other, ["permit", "forbid"]));
                break;
        }
        EntityScope principal = Scope(principalAt, "principal"), resource = Scope(resourceAt, "resource");
        ActionScope action = Action(actionAt);
        var conditions = new List<Condition>();
        foreach (JsonAt condition in json.Items(conditionsAt, "The list of conditions"))
            if (!json.Full && Condition(condition) is { } read) conditions.Add(read);
        var annotations = new List<KeyValuePair<string, string>>();
        if (annotationsAt is { } all)
            foreach ((string key, JsonAt value) in json.Members(all, "The collection of annotations"))
            {
                if (!Identifiers.IsIdentifier(key)) json.Report("invalid_annotation", "The key of an annotation is an identifier.", value);
                annotations.Add(new(pool.Get(key), value.Kind == JsonValueKind.Null ? "" : json.Text(value, "The value of an annotation")));
            }
        return json.Errors.Count > before ? null : new PolicyBody(effect, principal, action, resource, conditions, annotations);
    }

    private Condition? Condition(JsonAt at)
    {
        if (json.Members(at, "A condition", ["kind", "body"]) is not [{ } kindAt, { } bodyAt]) return null;
        string kind = json.Text(kindAt, "The kind of a condition");
        if (kind is not ("when" or "unless") && kindAt.Kind == JsonValueKind.String)
            json.Report("invalid_condition", "The kind of a condition is 'when' or 'unless'.", kindAt, NearMiss.Help(kind, ["when", "unless"]));
        return new Condition(kind == "unless", Expression(bodyAt, 1));
    }
}
