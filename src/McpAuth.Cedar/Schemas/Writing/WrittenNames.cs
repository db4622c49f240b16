using McpAuth.Cedar.Schemas.Resolution;
using McpAuth.Cedar.Schemas.Syntax;

namespace McpAuth.Cedar.Schemas.Writing;

/// <summary>
/// The names of types as the text form must write them. In text a name is a common type when there is one, and an entity type else; JSON can say which it means,
/// so that a common type that shares its name with an entity type must be called something else in text.
/// </summary>
internal sealed class WrittenNames
{
    private readonly SchemaNames names;
    private readonly HashSet<string> taken;
    private readonly Dictionary<string, string> renamed = new(StringComparer.Ordinal);

    public WrittenNames(SchemaNames names)
    {
        this.names = names;
        taken = new(names.Commons.Keys.Concat(names.Entities.Keys).Concat(names.ActionTypes).Select(SchemaWords.BaseName), StringComparer.Ordinal);
        foreach (string name in names.Commons.Keys.Where(names.IsEntity)) renamed.Add(name, Fresh(SchemaWords.BaseName(name)));
    }

    /// <summary>A common type that stands for the type <c>Action</c> of the empty namespace, where that name alone would mean another; null when nobody needs it.</summary>
    public string? ActionAlias { get; private set; }

    public string OfCommonType(string? space, string name) => renamed.GetValueOrDefault(SchemaWords.Qualify(space, name), name);

    /// <summary>A built-in type, by its plain name unless something in the schema is called so.</summary>
    public string OfBuiltin(string name) => taken.Contains(name) ? SchemaWords.Qualify(SchemaWords.Cedar, name) : name;

    /// <param name="from">The namespace in which the name was written.</param>
    /// <param name="into">That in which it is to be written.</param>
    public string Of(NamedTypeSyntax type, string? from, string? into)
    {
        Resolved resolved = names.Resolve(from, type.Name, type.Kind)!.Value;
        if (resolved.Builtin is not null) return OfBuiltin(SchemaWords.BaseName(resolved.Name));
        if (resolved.IsCommon && renamed.TryGetValue(resolved.Name, out string? other)) return Renamed(resolved.Name, other, into);
        if (from == into) return type.Name;
        // Nothing else is called like what the empty namespace declares, but for the types of actions.
        if (resolved.Name == SchemaWords.Action && into is not null && names.ActionTypes.Contains(SchemaWords.Qualify(into, SchemaWords.Action)))
            return ActionAlias ??= Fresh(SchemaWords.Action);
        return resolved.Name;
    }

    private static string Renamed(string name, string other, string? into)
    {
        if (!SchemaWords.IsQualified(name)) return other;
        string space = name[..name.LastIndexOf("::", StringComparison.Ordinal)];
        return space == into ? other : SchemaWords.Qualify(space, other);
    }

    private string Fresh(string name)
    {
        do name += "_";
        while (SchemaNames.IsBuiltin(name) || !taken.Add(name));
        return name;
    }
}
