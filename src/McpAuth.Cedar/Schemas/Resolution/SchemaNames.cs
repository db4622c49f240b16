using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Schemas.Resolution;

/// <summary>What a name turned out to be.</summary>
/// <param name="Builtin">Of a common type that Cedar itself declares; else null.</param>
internal readonly record struct Resolved(string Name, bool IsCommon, CedarType? Builtin = null);

/// <summary>Everything a schema declares, and what the names in it refer to (RFCs 24, 52 and 70 of Cedar).</summary>
internal sealed class SchemaNames
{
    private static readonly Dictionary<string, CedarType> Builtins = new(StringComparer.Ordinal)
    {
        ["Bool"] = CedarType.Bool,
        ["Long"] = CedarType.Long,
        ["String"] = CedarType.String,
        ["decimal"] = CedarType.Decimal,
        ["ipaddr"] = CedarType.IpAddress,
        ["datetime"] = CedarType.Datetime,
        ["duration"] = CedarType.Duration,
    };

    /// <summary>By full name.</summary>
    public Dictionary<string, CommonDeclaration> Commons { get; } = new(StringComparer.Ordinal);

    public Dictionary<string, NameSyntax> Entities { get; } = new(StringComparer.Ordinal);

    public Dictionary<EntityUid, Place> Actions { get; } = [];

    /// <summary>The types of the actions there are: one a namespace that has any.</summary>
    public HashSet<string> ActionTypes { get; } = new(StringComparer.Ordinal);

    /// <summary>The type of an extension by its name in JSON.</summary>
    public static CedarType? Extension(string name) =>
        Builtins.TryGetValue(name, out CedarType? type) && type is PrimitiveType { Kind: not (ValueKind.Bool or ValueKind.Long or ValueKind.String) } ? type : null;

    public static CedarType Primitive(ValueKind kind) => kind switch { ValueKind.Bool => CedarType.Bool, ValueKind.Long => CedarType.Long, _ => CedarType.String };

    public static IEnumerable<string> ExtensionNames => Builtins.Keys.Where(name => Extension(name) is not null);

    public static bool IsBuiltin(string name) => Builtins.ContainsKey(name);

    public bool IsEntity(string name) => Entities.ContainsKey(name) || ActionTypes.Contains(name);

    /// <summary>
    /// The name as written within a namespace: first that of the namespace itself, then that of the empty one; of each first the common type, then the
    /// entity type. The built-in types are last, so that a schema may have its own <c>decimal</c>.
    /// </summary>
    public Resolved? Resolve(string? space, string name, Reference kind)
    {
        if (SchemaWords.IsQualified(name)) return ResolveFull(name, kind);
        return (space is null ? null : ResolveFull(SchemaWords.Qualify(space, name), kind)) ?? ResolveFull(name, kind);
    }

    /// <summary>The declared names of that kind, as they could be written within the namespace.</summary>
    public IEnumerable<string> Candidates(string? space, Reference kind)
    {
        IEnumerable<string> all = [];
        if (kind != Reference.Entity) all = all.Concat(Commons.Keys).Concat(Builtins.Keys);
        if (kind != Reference.Common) all = all.Concat(Entities.Keys);
        return all.SelectMany(name => space is not null && name.StartsWith($"{space}::", StringComparison.Ordinal) ? [name[(space.Length + 2)..], name] : new[] { name });
    }

    private Resolved? ResolveFull(string name, Reference kind)
    {
        if (kind != Reference.Entity)
        {
            if (Commons.ContainsKey(name)) return new(name, true);
            if (Builtin(name) is { } builtin) return new(name, true, builtin);
        }
        return kind != Reference.Common && IsEntity(name) ? new Resolved(name, false) : null;
    }

    /// <summary><c>__cedar::Long</c> always; <c>Long</c> where nothing in the empty namespace is called so.</summary>
    private CedarType? Builtin(string name)
    {
        string alone = name.StartsWith(SchemaWords.Cedar + "::", StringComparison.Ordinal) ? name[(SchemaWords.Cedar.Length + 2)..] : name;
        if (ReferenceEquals(alone, name) && Entities.ContainsKey(name)) return null;
        return Builtins.GetValueOrDefault(alone);
    }
}

internal sealed record CommonDeclaration(string? Space, CommonTypeSyntax Syntax);
