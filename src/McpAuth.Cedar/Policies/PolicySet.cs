using System.Diagnostics.CodeAnalysis;

namespace McpAuth.Cedar.Policies;

/// <summary>Policies and templates with distinct ids. Immutable: adding, removing and linking give another set.</summary>
public sealed partial class PolicySet
{
    private readonly Dictionary<string, Policy> byId;

    /// <summary>Ids are distinct; readers and <c>With…</c> see to that.</summary>
    internal PolicySet(IEnumerable<Policy> all)
    {
        byId = all.ToDictionary(p => p.Id, StringComparer.Ordinal);
        Policies = [.. byId.Values.Where(p => !p.IsTemplate)];
        Templates = [.. byId.Values.Where(p => p.IsTemplate)];
    }

    public static PolicySet Empty { get; } = new([]);

    /// <summary>Static and linked policies, in the order they were read or added: what decides.</summary>
    public IReadOnlyList<Policy> Policies { get; }

    public IReadOnlyList<Policy> Templates { get; }

    /// <summary>The policy or template of this id.</summary>
    public bool TryGet(string id, [NotNullWhen(true)] out Policy? policy) => byId.TryGetValue(id, out policy);
}
