using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Policies;

/// <summary>One policy, or a template that becomes policies by being linked. Immutable.</summary>
public sealed partial class Policy
{
    internal Policy(string id, PolicyBody body, Policy? template = null)
    {
        Id = id;
        Body = body;
        Template = template;
    }

    public string Id { get; }

    public Effect Effect => Body.Effect;

    /// <summary>The annotations, in the order written; a key stands once. <c>@key</c> alone has the empty text as its value.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Annotations => Body.Annotations;

    /// <summary>Whether this has open slots: it decides nothing until it is linked.</summary>
    public bool IsTemplate => Body.IsTemplate;

    /// <summary>The template this was linked from; null for a static policy or a template.</summary>
    public Policy? Template { get; }

    /// <summary>The entity in the slot <c>?principal</c> of a linked policy; null when it has no such slot.</summary>
    public EntityUid? PrincipalSlot => Template is not null && Body.Principal.IsSlot ? Body.Principal.Entity : null;

    /// <summary>The same for <c>?resource</c>.</summary>
    public EntityUid? ResourceSlot => Template is not null && Body.Resource.IsSlot ? Body.Resource.Entity : null;

    /// <summary>Where it stands in the text it was read from; null when it came from JSON.</summary>
    public SourceLocation? Location => Body.Source?.Locate(Body.Source.Span);

    internal PolicyBody Body { get; }

    public string? Annotation(string key)
    {
        foreach (KeyValuePair<string, string> annotation in Annotations)
            if (annotation.Key == key) return annotation.Value;
        return null;
    }
}
