namespace McpAuth.Cedar.Schemas;

/// <summary>Whether two types say the same. What common types share is compared once, since they can share it exponentially often.</summary>
internal sealed class SchemaComparison
{
    private readonly HashSet<(CedarType, CedarType)> same = [];

    public bool Same(CedarSchema a, CedarSchema b) =>
        a.EntityTypes.Count == b.EntityTypes.Count && a.EntityTypes.Values.All(e => b.EntityTypes.TryGetValue(e.Name, out EntityTypeDeclaration? other) && Same(e, other)) &&
        a.Actions.Count == b.Actions.Count && a.Actions.Values.All(e => b.Actions.TryGetValue(e.Uid, out ActionDeclaration? other) && Same(e, other));

    public bool Same(CedarType a, CedarType b)
    {
        if (ReferenceEquals(a, b) || same.Contains((a, b))) return true;
        if (a.Depth != b.Depth) return false;
        bool equal = (a, b) switch
        {
            (EntityType x, EntityType y) => x.Name == y.Name,
            (SetType x, SetType y) => Same(x.Element, y.Element),
            (RecordType x, RecordType y) => Same(x, y),
            _ => false, // there is one object of each primitive type
        };
        if (equal) same.Add((a, b));
        return equal;
    }

    private bool Same(RecordType a, RecordType b)
    {
        if (a.Count != b.Count) return false;
        for (int i = 0; i < a.Count; i++)
        {
            (string nameA, AttributeType typeA) = a.At(i);
            (string nameB, AttributeType typeB) = b.At(i);
            if (nameA != nameB || typeA.Required != typeB.Required || !Same(typeA.Type, typeB.Type)) return false;
        }
        return true;
    }

    private bool Same(EntityTypeDeclaration a, EntityTypeDeclaration b) =>
        a.Parents.SetEquals(b.Parents) && Same(a.Attributes, b.Attributes) && (a.Tags is null ? b.Tags is null : b.Tags is not null && Same(a.Tags, b.Tags)) &&
        (a.Ids is null ? b.Ids is null : b.Ids is not null && a.Ids.SequenceEqual(b.Ids)) && a.Annotations.ToHashSet().SetEquals(b.Annotations);

    private bool Same(ActionDeclaration a, ActionDeclaration b) =>
        a.Parents.SetEquals(b.Parents) && a.Principals.SetEquals(b.Principals) && a.Resources.SetEquals(b.Resources) && Same(a.Context, b.Context) &&
        a.Annotations.ToHashSet().SetEquals(b.Annotations);
}
