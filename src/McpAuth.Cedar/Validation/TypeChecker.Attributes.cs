using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Validation.Types;
using Known = System.Collections.Immutable.ImmutableHashSet<McpAuth.Cedar.Validation.Capability>;

namespace McpAuth.Cedar.Validation;

/// <summary>Attributes and tags: what may be absent must have been asked for before.</summary>
internal sealed partial class TypeChecker
{
    private Answer Attribute(Known prior, AttributeExpr e)
    {
        Answer target = Expect(prior, e.Target, IsEntityOrRecord, "an entity or a record");
        if (target.Type is null) return Answer.Bad();
        if (Find(target.Type, e.Name) is { } attribute)
        {
            if (attribute.Required || prior.Contains(Having(e.Target, e.Name))) return Answer.Good(attribute.Type).If(target.Ok);
            findings.Error("unsafe_attribute", $"The attribute '{e.Name}' of {Described(e.Target, target.Type)} may be absent.", e.Span, $"Ask before: '… has {Written(e.Name)} && …'.");
            return Answer.Bad(attribute.Type);
        }
        string message = MayHave(target.Type, e.Name) ? "is not there, or has different types, in some cases" : "is unknown";
        findings.Error("unknown_attribute", $"The attribute '{e.Name}' of {Described(e.Target, target.Type)} {message}.", e.Span, NearMiss.Help(e.Name, NamesOf(target.Type)));
        return Answer.Bad();
    }

    private Answer Has(Known prior, HasExpr e)
    {
        Answer target = Expect(prior, e.Target, IsEntityOrRecord, "an entity or a record",
            t => t is StaticSet ? "Whether a set has a member is asked by 'contains'." : IsString(t) ? "Texts are searched by 'like'." : null);
        if (target.Type is null) return Answer.Bad(TypeTable.Bool);
        if (Find(target.Type, e.Name) is not { } attribute)
            return Answer.Good(MayHave(target.Type, e.Name) ? TypeTable.Bool : TypeTable.False).If(target.Ok);
        Capability capability = Having(e.Target, e.Name);
        // An entity that has a required attribute need not be there at all, and then it has none.
        bool always = prior.Contains(capability) || (attribute.Required && target.Type is StaticRecord);
        return Answer.Good(always ? TypeTable.True : TypeTable.Bool, [capability]).If(target.Ok);
    }

    private Answer HasTag(Known prior, BinaryExpr e)
    {
        Answer target = Expect(prior, e.Left, IsEntity, "an entity");
        Answer tag = Expect(prior, e.Right, IsString, "String");
        if (target.Type is not StaticEntity entity) return Answer.Bad();
        Capability capability = HavingTag(e.Left, e.Right);
        StaticBool type = TagTypes(entity).Count == 0 ? TypeTable.False : prior.Contains(capability) ? TypeTable.True : TypeTable.Bool;
        return Answer.Good(type, [capability]).If(target.Ok && tag.Ok);
    }

    private Answer GetTag(Known prior, BinaryExpr e)
    {
        Answer target = Expect(prior, e.Left, IsEntity, "an entity");
        Answer tag = Expect(prior, e.Right, IsString, "String");
        if (target.Type is not StaticEntity entity) return Answer.Bad();
        if (!prior.Contains(HavingTag(e.Left, e.Right)))
        {
            findings.Error("unsafe_tag", $"This tag of {Described(e.Left, entity)} may be absent.", e.Span, "Ask before: '… hasTag(…) && …', with the tag written alike.");
            return Answer.Bad();
        }
        List<StaticType?> tags = TagTypes(entity);
        if (tags.Count == 0)
        {
            findings.Error("no_tags", $"{Described(e.Left, entity)} can have no tags.", e.Span);
            return Answer.Bad();
        }
        return Common(e, tags, "the tags") is { } type ? Answer.Good(type).If(target.Ok && tag.Ok) : Answer.Bad();
    }

    private StaticAttribute? Find(StaticType type, string name)
    {
        if (type is StaticRecord record) return record.Find(name);
        if (type is not StaticEntity entity) return null;
        StaticAttribute? all = null;
        foreach (string each in entity.Names)
        {
            if (Declared(each, name) is not { } own) return null;
            if (all is null) all = own;
            // Only in permissive mode there are several types; an attribute that they do not have in common is no attribute of theirs.
            else if (relations.Bound(all.Value.Type, own.Type) is { } bound) all = new(bound, all.Value.Required && own.Required);
            else return null;
        }
        return all;
    }

    private StaticAttribute? Declared(string type, string name) =>
        schema.EntityTypes.TryGetValue(type, out EntityTypeDeclaration? declared) && declared.Attributes.TryGet(name, out AttributeType? attribute)
            ? new(types.Of(attribute.Type), attribute.Required) : null;

    private bool MayHave(StaticType type, string name) => type switch
    {
        StaticRecord record => record.Open || record.Find(name) is not null,
        StaticEntity entity => entity.Names.Any(each => Declared(each, name) is not null),
        _ => false,
    };

    private IEnumerable<string> NamesOf(StaticType type) => type switch
    {
        StaticRecord record => record.Names,
        StaticEntity { Single: { } name } when schema.EntityTypes.TryGetValue(name, out EntityTypeDeclaration? declared) => declared.Attributes.Attributes.Keys,
        _ => [],
    };

    private List<StaticType?> TagTypes(StaticEntity entity)
    {
        List<StaticType?> all = [];
        foreach (string name in entity.Names)
            if (schema.EntityTypes.TryGetValue(name, out EntityTypeDeclaration? declared) && declared.Tags is not null) all.Add(types.Of(declared.Tags));
        return all;
    }

    private Capability Having(Expr target, string name) => new(numbers.Of(target), name, -1);

    private Capability HavingTag(Expr target, Expr tag) => new(numbers.Of(target), null, numbers.Of(tag));

    private string Described(Expr target, StaticType type) =>
        target is VariableExpr { Variable: Variable.Context } ? $"the context of {request.Action}" : type is StaticRecord ? "a record" : $"'{type}'";

    private static string Written(string name) => Identifiers.IsName(name) ? name : Values.Value.Of(name).ToString();
}
