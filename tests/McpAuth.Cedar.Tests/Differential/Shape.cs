using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Differential;

internal enum Tag
{
    Bool,
    Long,
    Text,
    Decimal,
    Ip,
    Datetime,
    Duration,
    Entity,
    Set,
    Record,
}

/// <summary>A type, as the generator knows it.</summary>
/// <param name="Name">Of an entity: its type.</param>
/// <param name="Element">Of a set.</param>
/// <param name="Fields">Of a record.</param>
internal sealed record Shape(Tag Tag, string Name = "", Shape? Element = null, Field[]? Fields = null)
{
    public static readonly Shape Bool = new(Tag.Bool), Long = new(Tag.Long), Text = new(Tag.Text);

    public bool Fits(Shape other) => Tag == other.Tag && Name == other.Name && (Element is null || other.Element is null || Element.Fits(other.Element));

    /// <summary>As a schema writes it.</summary>
    public override string ToString() => Tag switch
    {
        Tag.Bool => "Bool",
        Tag.Long => "Long",
        Tag.Text => "String",
        Tag.Decimal => "decimal",
        Tag.Ip => "ipaddr",
        Tag.Datetime => "datetime",
        Tag.Duration => "duration",
        Tag.Entity => Name,
        Tag.Set => $"Set<{Element}>",
        _ => Record(Fields!),
    };

    public static string Record(Field[] fields) => $"{{ {string.Join(", ", fields.Select(f => $"{Words.Quote(f.Name)}{(f.Required ? "" : "?")}: {f.Shape}"))} }}";
}

internal sealed record Field(string Name, Shape Shape, bool Required);

/// <param name="Ids">Of an enumerated type.</param>
internal sealed record KindOfEntity(string Name, string[] Parents, Field[] Fields, Shape? Tags, string[]? Ids);

internal sealed record KindOfAction(EntityUid Uid, EntityUid[] Parents, string[] Principals, string[] Resources, Field[] Context);

internal sealed record Model(string Namespace, KindOfEntity[] Entities, KindOfAction[] Actions)
{
    /// <summary>The schema.</summary>
    public override string ToString()
    {
        IEnumerable<string> entities = Entities.Select(e => e.Ids is { } ids
            ? $"entity {Short(e.Name)} enum [{string.Join(", ", ids.Select(i => Words.Quote(i)))}];"
            : $"entity {Short(e.Name)}{(e.Parents.Length == 0 ? "" : $" in [{string.Join(", ", e.Parents)}]")} {Shape.Record(e.Fields)}{(e.Tags is null ? "" : $" tags {e.Tags}")};");
        IEnumerable<string> actions = Actions.Select(a =>
            $"action {Words.Quote(a.Uid.Id)}{(a.Parents.Length == 0 ? "" : $" in [{string.Join(", ", a.Parents.Select(p => Words.Quote(p.Id)))}]")}" +
            (a.Principals.Length == 0 ? ";" : $" appliesTo {{ principal: [{string.Join(", ", a.Principals)}], resource: [{string.Join(", ", a.Resources)}], context: {Shape.Record(a.Context)} }};"));
        string all = string.Join('\n', entities.Concat(actions));
        return Namespace.Length == 0 ? all : $"namespace {Namespace} {{\n{all}\n}}";
    }

    private string Short(string name) => Namespace.Length == 0 ? name : name[(Namespace.Length + 2)..];
}
