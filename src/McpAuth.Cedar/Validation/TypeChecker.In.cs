using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Validation.Types;
using McpAuth.Cedar.Values;
using Known = System.Collections.Immutable.ImmutableHashSet<McpAuth.Cedar.Validation.Capability>;

namespace McpAuth.Cedar.Validation;

/// <summary><c>in</c> and <c>is</c>: what the schema says of types and of actions may decide them.</summary>
internal sealed partial class TypeChecker
{
    private Answer In(Known prior, BinaryExpr e)
    {
        Answer left = Expect(prior, e.Left, IsEntity, "an entity", _ => "Whether a set has a member is asked by 'contains'.");
        Answer right = Expect(prior, e.Right, IsEntityOrEntities, "an entity or a set of entities",
            t => t is StaticSet ? "Whether a set has a member is asked by 'contains'." : IsString(t) ? "Texts are searched by 'like'." : null);
        if (!left.Ok || !right.Ok) return Answer.Bad(TypeTable.Bool);
        if (EntityOf(e.Left) is { } action && SchemaWords.IsActionType(action.Type) && EntitiesOf(e.Right) is { } groups) return ActionIn(action, groups);
        StaticEntity? of = left.Type as StaticEntity, within = right.Type as StaticEntity ?? (right.Type as StaticSet)?.Element as StaticEntity;
        bool never = of is not null && within is not null && !of.Names.Any(type => within.Names.Any(ancestor => MayBeIn(type, ancestor)));
        return Answer.Good(never ? TypeTable.False : TypeTable.Bool);
    }

    /// <summary>The hierarchy of actions is all in the schema. What is no action is never an ancestor of one.</summary>
    private Answer ActionIn(EntityUid action, List<EntityUid> groups)
    {
        groups.RemoveAll(g => !SchemaWords.IsActionType(g.Type));
        if (!groups.TrueForAll(schema.Declares)) return Answer.Bad(TypeTable.Bool); // reported by NameChecks
        return Answer.Good(TypeTable.Of(groups.Exists(g => schema.IsActionIn(action, g))));
    }

    private bool MayBeIn(string type, string ancestor) =>
        type == ancestor || (SchemaWords.IsActionType(type) ? schema.HasActionTypeIn(type, ancestor) : schema.IsBelow(type, ancestor));

    private EntityUid? EntityOf(Expr e) => LiteralOf(e)?.AsEntity;

    private List<EntityUid>? EntitiesOf(Expr e)
    {
        if (EntityOf(e) is { } one) return [one];
        if (e is not SetExpr set) return null;
        List<EntityUid> all = [];
        foreach (Expr member in set.Members)
        {
            if (EntityOf(member) is not { } entity) return null;
            all.Add(entity);
        }
        return all;
    }

    private Answer Is(Known prior, IsExpr e)
    {
        Answer target = Expect(prior, e.Target, IsEntity, "an entity", _ => "'is' asks for types of entities only.");
        if (target.Type is not StaticEntity entity) return Answer.Bad(TypeTable.Bool);
        StaticBool type = !entity.Contains(e.Type) ? TypeTable.False : entity.Single is not null ? TypeTable.True : TypeTable.Bool;
        return Answer.Good(type).If(target.Ok);
    }
}
