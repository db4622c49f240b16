using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Schemas.Resolution;

/// <summary>Turns a schema as written into one whose names are all resolved, or reports why that cannot be.</summary>
internal sealed class SchemaResolver
{
    private readonly SchemaNames names;
    private readonly TypeResolver types;
    private readonly Findings findings;
    private readonly List<EntityTypeDeclaration> entities = [];
    private readonly List<ActionDeclaration> actions = [];

    private SchemaResolver(SchemaNames names, Findings findings)
    {
        (this.names, this.findings) = (names, findings);
        types = new(names, findings);
    }

    public static Parsed<CedarSchema> Resolve(SchemaSyntax schema, Findings findings)
    {
        if (findings.HasErrors) return findings.Or<CedarSchema>(() => throw new InvalidOperationException());
        SchemaNames names = DeclarationCollector.Collect(schema, findings);
        var resolver = new SchemaResolver(names, findings);
        foreach (NamespaceSyntax space in schema.Namespaces)
        {
            foreach (EntitySyntax entity in space.Entities) resolver.Add(space.Name, entity);
            foreach (ActionSyntax action in space.Actions) resolver.Add(space.Name, action);
        }
        if (!findings.HasErrors) resolver.CheckActionCycles();
        return findings.Or(() => new CedarSchema(resolver.entities, resolver.actions, schema, names));
    }

    // The parts are resolved once a declaration and shared by all of its names: both may be many.
    private void Add(string? space, EntitySyntax entity)
    {
        HashSet<string> parents = Entities(space, entity.Parents, "a parent");
        RecordType shape = types.ResolveRecord(space, entity.Shape, "shape of an entity type");
        CedarType? tags = entity.Tags is null ? null : types.Resolve(space, entity.Tags);
        foreach (NameSyntax name in entity.Names)
            entities.Add(new(SchemaWords.Qualify(space, name.Name), parents, shape, tags, entity.Ids) { Annotations = entity.Annotations });
    }

    private void Add(string? space, ActionSyntax action)
    {
        HashSet<EntityUid> parents = [];
        foreach (ActionNameSyntax parent in action.Parents)
            if (ResolveAction(space, parent) is { } found) parents.Add(found);
        HashSet<string> principals = Entities(space, action.AppliesTo?.Principals ?? [], "a principal");
        HashSet<string> resources = Entities(space, action.AppliesTo?.Resources ?? [], "a resource");
        RecordType context = types.ResolveRecord(space, action.AppliesTo?.Context, "context of an action");
        string type = SchemaWords.Qualify(space, SchemaWords.Action);
        foreach (NameSyntax id in action.Ids)
            actions.Add(new(new(type, id.Name), parents, principals, resources, context) { Annotations = action.Annotations });
    }

    private HashSet<string> Entities(string? space, IReadOnlyList<NameSyntax> all, string what)
    {
        HashSet<string> found = new(StringComparer.Ordinal);
        foreach (NameSyntax name in all)
            if (types.ResolveEntity(space, name, what) is { } type) found.Add(type);
        return found;
    }

    private EntityUid? ResolveAction(string? space, ActionNameSyntax action)
    {
        string type = action.Type ?? SchemaWords.Action;
        EntityUid outer = new(type, action.Id);
        if (space is not null && !SchemaWords.IsQualified(type))
        {
            EntityUid inner = new(SchemaWords.Qualify(space, type), action.Id);
            if (names.Actions.ContainsKey(inner)) return inner;
        }
        if (names.Actions.ContainsKey(outer)) return outer;
        findings.Error("unknown_action", $"There is no action '{(action.Type is null ? action.Id : outer)}' to be in.", action.Place, NearMiss.Help(action.Id, names.Actions.Keys.Select(a => a.Id)));
        return null;
    }

    /// <summary>
    /// Over sets of parents, each of which the names of one declaration share: over single actions it would be as many steps as all their names have
    /// parents together.
    /// </summary>
    private void CheckActionCycles()
    {
        var declared = actions.ToDictionary(a => a.Uid);
        DependencyOrder.Of(
            actions.Select(a => a.Parents).Distinct(),
            parents => parents.Select(p => declared[p].Parents),
            cycle =>
            {
                EntityUid first = actions.First(a => ReferenceEquals(a.Parents, cycle[0])).Uid;
                List<EntityUid> members = [first];
                for (int i = 0; i < cycle.Count - 1; i++) members.Add(cycle[i].First(p => ReferenceEquals(declared[p].Parents, cycle[i + 1])));
                findings.Error("action_cycle", $"The action '{first}' is in itself: {DependencyOrder.Show(members)}.", names.Actions[first]);
            });
    }
}
