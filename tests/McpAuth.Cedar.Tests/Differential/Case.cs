using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Differential;

/// <param name="Head">Effect and scope.</param>
/// <param name="IsTemplate">Whether the scope has slots.</param>
internal sealed record CasePolicy(string Id, string Head, bool IsTemplate, (bool Unless, Term Term)[] Conditions)
{
    public override string ToString() => $"{Head}{string.Concat(Conditions.Select(c => $" {(c.Unless ? "unless" : "when")} {{ {c.Term} }}"))};";
}

internal sealed record CaseLink(string TemplateId, string Id, EntityUid? Principal, EntityUid? Resource);

/// <param name="Context">JSON.</param>
internal sealed record CaseRequest(EntityUid Principal, EntityUid Action, EntityUid Resource, string Context)
{
    public string Json => $"{{\"principal\":{Case.Uid(Principal)},\"action\":{Case.Uid(Action)},\"resource\":{Case.Uid(Resource)},\"context\":{Context}}}";
}

/// <summary>One policy set, schema and entity graph, and requests to them: what two engines are both asked about.</summary>
/// <param name="Entities">JSON, one each.</param>
internal sealed record Case(string Schema, CasePolicy[] Policies, CaseLink[] Links, string[] Entities, CaseRequest[] Requests)
{
    public string EntitiesJson => $"[{string.Join(",\n ", Entities)}]";

    public string PoliciesText => string.Join('\n', Policies.Select(p => $"@id({Words.Quote(p.Id)}) {p}"));

    public static string Uid(EntityUid uid) => $"{{\"type\":{JsonSerializer.Serialize(uid.Type)},\"id\":{JsonSerializer.Serialize(uid.Id)}}}";

    /// <summary>The question to the reference.</summary>
    public string ToJson()
    {
        JsonObject call = Set(p => p.ToString());
        call["op"] = "world";
        call["schema"] = Schema;
        return WithData(call);
    }

    /// <summary>The question what the requests come to when the policies are written otherwise; the first set is the one of this case.</summary>
    public string ToJson(params ReadOnlySpan<Func<CasePolicy, JsonNode?>> writings)
    {
        var sets = new JsonArray { Set(p => p.ToString()) };
        foreach (Func<CasePolicy, JsonNode?> written in writings) sets.Add((JsonNode)Set(written));
        return WithData(new() { ["op"] = "written", ["sets"] = sets });
    }

    private JsonObject Set(Func<CasePolicy, JsonNode?> written)
    {
        JsonObject Texts(bool templates) => new(Policies.Where(p => p.IsTemplate == templates).Select(p => KeyValuePair.Create(p.Id, written(p))));
        return new() { ["policies"] = Texts(templates: false), ["templates"] = Texts(templates: true), ["links"] = new JsonArray([.. Links.Select(Link)]) };
    }

    private string WithData(JsonObject call)
    {
        call["entities"] = JsonNode.Parse(EntitiesJson);
        call["requests"] = new JsonArray([.. Requests.Select(r => JsonNode.Parse(r.Json))]);
        return call.ToJsonString();
    }

    /// <summary>Every case that lacks something of this one.</summary>
    public IEnumerable<Case> Smaller()
    {
        if (Requests.Length > 1)
            foreach (CaseRequest request in Requests) yield return this with { Requests = [request] };
        for (int i = 0; i < Policies.Length; i++)
            yield return this with { Policies = Without(Policies, i), Links = [.. Links.Where(l => l.TemplateId != Policies[i].Id)] };
        for (int i = 0; i < Links.Length; i++) yield return this with { Links = Without(Links, i) };
        for (int i = 0; i < Entities.Length; i++) yield return this with { Entities = Without(Entities, i) };
        for (int i = 0; i < Policies.Length; i++)
        {
            for (int c = 0; c < Policies[i].Conditions.Length; c++)
            {
                yield return With(i, Without(Policies[i].Conditions, c));
                foreach (Term smaller in Policies[i].Conditions[c].Term.Smaller())
                {
                    (bool, Term)[] conditions = [.. Policies[i].Conditions];
                    conditions[c].Item2 = smaller;
                    yield return With(i, conditions);
                }
            }
        }
        if (Requests is [{ Context: not "{}" } only]) yield return this with { Requests = [only with { Context = "{}" }] };
    }

    public override string ToString()
    {
        var text = new StringBuilder();
        text.Append("schema:\n").Append(Schema).Append("\npolicies:\n").Append(PoliciesText);
        foreach (CaseLink link in Links) text.Append('\n').Append(link);
        text.Append("\nentities:\n").Append(EntitiesJson).Append("\nrequests:");
        foreach (CaseRequest request in Requests) text.Append('\n').Append(request.Json);
        return text.ToString();
    }

    private static JsonNode Link(CaseLink link)
    {
        var values = new JsonObject();
        if (link.Principal is not null) values["?principal"] = JsonNode.Parse(Uid(link.Principal));
        if (link.Resource is not null) values["?resource"] = JsonNode.Parse(Uid(link.Resource));
        return new JsonObject { ["templateId"] = link.TemplateId, ["newId"] = link.Id, ["values"] = values };
    }

    private static T[] Without<T>(T[] all, int index) => [.. all[..index], .. all[(index + 1)..]];

    private Case With(int policy, (bool, Term)[] conditions)
    {
        CasePolicy[] policies = [.. Policies];
        policies[policy] = policies[policy] with { Conditions = conditions };
        return this with { Policies = policies };
    }
}
