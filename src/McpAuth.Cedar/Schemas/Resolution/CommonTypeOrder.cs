using McpAuth.Cedar.Schemas.Syntax;

namespace McpAuth.Cedar.Schemas.Resolution;

/// <summary>The common types in an order in which each comes after those it refers to. A cycle of them is an error.</summary>
internal static class CommonTypeOrder
{
    public static List<string> Of(SchemaNames names, Findings findings)
    {
        Dictionary<string, List<NamedTypeSyntax>> references = new(StringComparer.Ordinal);
        foreach ((string name, CommonDeclaration common) in names.Commons)
        {
            List<NamedTypeSyntax> all = [];
            Collect(common.Syntax.Type, all);
            references[name] = all;
        }
        return DependencyOrder.Of(
            names.Commons.Keys,
            name => references[name].Select(r => Target(names, names.Commons[name].Space, r)).OfType<string>(),
            cycle => findings.Error(
                "common_type_cycle",
                $"The common type '{cycle[0]}' refers to itself: {DependencyOrder.Show(cycle)}.",
                names.Commons[cycle[0]].Syntax.Name.Place),
            StringComparer.Ordinal);
    }

    private static string? Target(SchemaNames names, string? space, NamedTypeSyntax reference) =>
        reference.Kind != Reference.Entity && names.Resolve(space, reference.Name, reference.Kind) is { IsCommon: true, Builtin: null } found ? found.Name : null;

    private static void Collect(TypeSyntax type, List<NamedTypeSyntax> into)
    {
        switch (type)
        {
            case NamedTypeSyntax named: into.Add(named); break;
            case SetTypeSyntax set: Collect(set.Element, into); break;
            case RecordTypeSyntax record:
                foreach (AttributeSyntax attribute in record.Attributes) Collect(attribute.Type, into);
                break;
        }
    }
}
