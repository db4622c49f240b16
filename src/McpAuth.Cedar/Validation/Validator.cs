using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Validation.Types;

namespace McpAuth.Cedar.Validation;

/// <summary>Whether policies fit a schema: then none of them fails for want of an attribute, or by a value of the wrong type.</summary>
public static class Validator
{
    /// <summary>All that is wrong with the policies; valid are those of which nothing is an error.</summary>
    /// <param name="maxLevel">
    /// How many steps from an entity of the request to the attributes, tags or parents of another one a policy may take (RFC 76 of Cedar): with 1, only the
    /// request's own entities are looked at. Null for any number.
    /// </param>
    /// <returns>
    /// Errors and warnings, with the policy's id as <see cref="Diagnostic.Path"/> and, when the policy was read from text, the place. Of one policy at
    /// most <see cref="Limits.Errors"/>.
    /// </returns>
    public static IReadOnlyList<Diagnostic> Validate(PolicySet policies, CedarSchema schema, ValidationMode mode = ValidationMode.Strict, int? maxLevel = null)
    {
        ArgumentNullException.ThrowIfNull(policies);
        ArgumentNullException.ThrowIfNull(schema);
        List<Diagnostic> all = [];
        var types = new TypeTable();
        var relations = new TypeRelations(types, mode);
        HashSet<Policy> templates = new(policies.Templates, ReferenceEqualityComparer.Instance);
        foreach (Policy policy in policies.Policies)
        {
            if (policy.Template is not { } template)
            {
                Check(policy);
                continue;
            }
            // What the template says was checked there, for whatever entity is in the slot.
            if (templates.Add(template)) Check(template);
            var findings = new PolicyFindings(policy, all);
            NameChecks.CheckSlots(policy, schema, findings);
            ScopeChecks.Check(policy.Body, schema, findings);
        }
        foreach (Policy template in policies.Templates) Check(template);
        return all;

        void Check(Policy policy)
        {
            var findings = new PolicyFindings(policy, all);
            NameChecks.Check(policy.Body, schema, findings);
            ScopeChecks.Check(policy.Body, schema, findings);
            new PolicyChecker(policy.Body, schema, types, relations, mode, findings, maxLevel).Check();
            TextChecks.Check(policy.Body, findings);
        }
    }
}
