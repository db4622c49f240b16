using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Policies;

/// <summary>Other sets made of this one.</summary>
public sealed partial class PolicySet
{
    /// <summary>
    /// The set with a further policy: the template with entities in its slots. There must be an entity for each slot and for no other, and the new id
    /// must be free; else there are errors (<c>unknown_template</c>, <c>missing_slot</c>, <c>surplus_slot</c>, <c>duplicate_id</c>).
    /// </summary>
    public Parsed<PolicySet> Link(string templateId, string newId, EntityUid? principal = null, EntityUid? resource = null)
    {
        var errors = new List<Diagnostic>();
        if (byId.ContainsKey(newId)) errors.Add(DuplicateId(newId));
        if (!byId.TryGetValue(templateId, out Policy? template) || !template.IsTemplate)
        {
            errors.Add(new Diagnostic("unknown_template", $"There is no template '{templateId}'.", Path: newId,
                Help: NearMiss.Help(templateId, Templates.Select(t => t.Id))));
            return new(errors);
        }
        Policy? linked = template.Link(newId, principal, resource, errors);
        return linked is null || errors.Count > 0 ? new(errors) : new(new PolicySet([.. byId.Values, linked]));
    }

    /// <summary>The set with the policies and templates of <paramref name="others"/> as well; an error when an id would stand twice.</summary>
    public Parsed<PolicySet> With(PolicySet others)
    {
        var errors = new List<Diagnostic>();
        foreach (string id in others.byId.Keys)
            if (byId.ContainsKey(id) && errors.Count < Limits.Errors) errors.Add(DuplicateId(id));
        return errors.Count > 0 ? new(errors) : new(new PolicySet([.. byId.Values, .. others.byId.Values]));
    }

    /// <summary>
    /// The set with one policy or template more; an error when its id is used, or when it is linked from a template that is not in this set.
    /// </summary>
    public Parsed<PolicySet> WithPolicy(Policy policy)
    {
        if (byId.ContainsKey(policy.Id)) return new([DuplicateId(policy.Id)]);
        if (policy.Template is { } template && !(byId.TryGetValue(template.Id, out Policy? mine) && ReferenceEquals(mine, template)))
            return new([new Diagnostic("unknown_template", $"The template '{template.Id}' of this policy is not in the set.", Path: policy.Id)]);
        return new(new PolicySet([.. byId.Values, policy]));
    }

    /// <summary>
    /// The set without the policy or template of that id; an error when there is none (<c>unknown_policy</c>), or when policies are linked from it
    /// (<c>template_in_use</c>).
    /// </summary>
    public Parsed<PolicySet> Without(string id)
    {
        if (!byId.TryGetValue(id, out Policy? removed))
            return new([new Diagnostic("unknown_policy", $"There is no policy '{id}'.", Path: id, Help: NearMiss.Help(id, byId.Keys))]);
        Policy? user = Policies.FirstOrDefault(p => ReferenceEquals(p.Template, removed));
        if (user is not null)
            return new([new Diagnostic("template_in_use", $"The policy '{user.Id}' is linked from the template '{id}'.", Path: id, Help: "remove it first")]);
        return new(new PolicySet(byId.Values.Where(p => !ReferenceEquals(p, removed))));
    }

    internal static Diagnostic DuplicateId(string id) => new("duplicate_id", $"The id '{id}' is used already.", Path: id);
}
