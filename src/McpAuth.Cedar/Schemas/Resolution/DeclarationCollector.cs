using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Schemas.Resolution;

/// <summary>Collects what a schema declares, and checks what can be told by the declared names alone.</summary>
internal sealed class DeclarationCollector(Findings findings)
{
    private readonly SchemaNames names = new();

    public static SchemaNames Collect(SchemaSyntax schema, Findings findings)
    {
        var collector = new DeclarationCollector(findings);
        foreach (NamespaceSyntax space in schema.Namespaces) collector.Add(space);
        collector.CheckShadowing();
        return collector.names;
    }

    private void Add(NamespaceSyntax space)
    {
        foreach (CommonTypeSyntax common in space.CommonTypes)
        {
            if (Reserved(common.Name)) continue;
            if (SchemaWords.IsTypeWord(common.Name.Name))
                findings.Error("reserved_name", $"No common type can be called '{common.Name.Name}': the word means a kind of type.", common.Name.Place);
            else if (!names.Commons.TryAdd(SchemaWords.Qualify(space.Name, common.Name.Name), new(space.Name, common)))
                Duplicate("common type", common.Name);
        }
        foreach (NameSyntax name in space.Entities.SelectMany(e => e.Names))
        {
            if (Reserved(name)) continue;
            if (name.Name == SchemaWords.Action)
                findings.Error("reserved_name", "No entity type can be called 'Action': that is the type of the actions.", name.Place);
            else if (!names.Entities.TryAdd(SchemaWords.Qualify(space.Name, name.Name), name))
                Duplicate("entity type", name);
            else if (names.Commons.ContainsKey(SchemaWords.Qualify(space.Name, name.Name)))
                findings.Warning("shadowed_entity", $"'{name.Name}' is also a common type, and that is what the name refers to where both could be meant.", name.Place);
            else if (SchemaNames.IsBuiltin(name.Name))
                ShadowsBuiltin(name);
        }
        foreach (CommonTypeSyntax common in space.CommonTypes)
            if (SchemaNames.IsBuiltin(common.Name.Name) && !SchemaWords.IsTypeWord(common.Name.Name)) ShadowsBuiltin(common.Name);
        string actionType = SchemaWords.Qualify(space.Name, SchemaWords.Action);
        foreach (NameSyntax id in space.Actions.SelectMany(a => a.Ids))
        {
            names.ActionTypes.Add(actionType);
            if (!names.Actions.TryAdd(new(actionType, id.Name), id.Place)) Duplicate("action", id);
        }
    }

    /// <summary>
    /// RFC 70 of Cedar: what the empty namespace declares can be meant everywhere by its name alone, so no other namespace may declare that name again.
    /// </summary>
    private void CheckShadowing()
    {
        var nameless = new HashSet<string>(names.Commons.Keys.Concat(names.Entities.Keys).Where(n => !SchemaWords.IsQualified(n)), StringComparer.Ordinal);
        IEnumerable<(string, Place)> declared =
            names.Commons.Select(c => (c.Key, c.Value.Syntax.Name.Place)).Concat(names.Entities.Select(e => (e.Key, e.Value.Place)));
        if (nameless.Count > 0)
        {
            foreach ((string name, Place place) in declared)
            {
                if (SchemaWords.IsQualified(name) && nameless.Contains(SchemaWords.BaseName(name)))
                    findings.Error("shadowed_type", $"'{name}' would hide the type '{SchemaWords.BaseName(name)}' that stands outside of any namespace.", place, "Rename one of the two.");
            }
        }
        var actions = new HashSet<string>(names.Actions.Keys.Where(a => a.Type == SchemaWords.Action).Select(a => a.Id), StringComparer.Ordinal);
        if (actions.Count == 0) return;
        foreach ((EntityUid action, Place place) in names.Actions)
        {
            if (action.Type != SchemaWords.Action && actions.Contains(action.Id))
                findings.Error("shadowed_action", $"'{action}' would hide the action of that name that stands outside of any namespace.", place, "Rename one of the two.");
        }
    }

    private bool Reserved(NameSyntax name)
    {
        if (name.Name != SchemaWords.Cedar) return false;
        findings.Error("reserved_name", $"The name '{SchemaWords.Cedar}' belongs to the built-in types.", name.Place);
        return true;
    }

    private void Duplicate(string what, NameSyntax name) => findings.Error("duplicate_declaration", $"The {what} '{name.Name}' is declared twice.", name.Place);

    private void ShadowsBuiltin(NameSyntax name) =>
        findings.Warning("shadowed_builtin", $"'{name.Name}' hides the built-in type of that name.", name.Place, $"The built-in one is still '{SchemaWords.Cedar}::{name.Name}'.");
}
