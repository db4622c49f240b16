using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Schemas.Reading;

internal static partial class JsonSchemaReader
{
    private static readonly string[] TypeMembers = ["type", "element", "attributes", "additionalAttributes", "name"];
    private static readonly string[] CommonMembers = [.. TypeMembers, "annotations"];
    private static readonly string[] AttributeMembers = [.. TypeMembers, "required", "annotations"];

    private static TypeSyntax? ReadType(JsonPart part, int depth) => part.Members(TypeMembers) is { } members ? ReadType(part, members, depth) : null;

    /// <param name="members">Those of the type, and maybe some that say more about what has the type.</param>
    private static TypeSyntax? ReadType(JsonPart part, Dictionary<string, JsonPart> members, int depth)
    {
        if (depth > Limits.Depth)
        {
            part.Findings.Error("too_deep", $"Types nest more than {Limits.Depth} deep here.", part.Path);
            return null;
        }
        if (!members.TryGetValue("type", out JsonPart kindPart))
        {
            part.Missing("type");
            return null;
        }
        if (kindPart.String() is not { } kind) return null;
        switch (kind)
        {
            case "Boolean": return Only(members, kind) ? new PrimitiveTypeSyntax(part.Path, ValueKind.Bool) : null;
            case "Long": return Only(members, kind) ? new PrimitiveTypeSyntax(part.Path, ValueKind.Long) : null;
            case "String": return Only(members, kind) ? new PrimitiveTypeSyntax(part.Path, ValueKind.String) : null;
            case "Set":
                return Only(members, kind, "element") && Member(part, members, "element") is { } element && ReadType(element, depth + 1) is { } type
                    ? new SetTypeSyntax(part.Path, type) : null;
            case "Record": return Only(members, kind, "attributes", "additionalAttributes") ? ReadRecord(part, members, depth) : null;
            case "Entity": return Only(members, kind, "name") ? ReadNamed(part, members, Reference.Entity) : null;
            case "EntityOrCommon": return Only(members, kind, "name") ? ReadNamed(part, members, Reference.EntityOrCommon) : null;
            case "Extension":
                if (!Only(members, kind, "name") || Member(part, members, "name") is not { } named || named.String() is not { } name) return null;
                return new ExtensionTypeSyntax(part.Path, name);
            default:
                if (!Only(members, kind) || ReadPath(kindPart) is not { } common) return null;
                return new NamedTypeSyntax(part.Path, Reference.Common, common);
        }
    }

    private static NamedTypeSyntax? ReadNamed(JsonPart part, Dictionary<string, JsonPart> members, Reference kind) =>
        Member(part, members, "name") is { } named && ReadPath(named) is { } name ? new(part.Path, kind, name) : null;

    private static RecordTypeSyntax? ReadRecord(JsonPart part, Dictionary<string, JsonPart> members, int depth)
    {
        if (members.TryGetValue("additionalAttributes", out JsonPart additional) && additional.Bool() is not false)
        {
            part.Findings.Error("open_record", "A record has the attributes that are listed and no others.", additional.Path, "Leave 'additionalAttributes' out.");
            return null;
        }
        if (Member(part, members, "attributes") is not { } listed || listed.Members() is not { } all) return null;
        List<AttributeSyntax> attributes = [];
        foreach ((string name, JsonPart attribute) in all)
        {
            if (attribute.Members(AttributeMembers) is not { } own || ReadType(attribute, own, depth + 1) is not { } type) continue;
            bool? required = own.TryGetValue("required", out JsonPart written) ? written.Bool() : true;
            attributes.Add(new(new(name, attribute.Path), type, required is not false, ReadAnnotations(own)));
        }
        return new(part.Path, attributes);
    }

    private static JsonPart? Member(JsonPart part, Dictionary<string, JsonPart> members, string name)
    {
        if (members.TryGetValue(name, out JsonPart member)) return member;
        part.Missing(name);
        return null;
    }

    /// <summary>Whether of the members of types only those are there that this kind of type has.</summary>
    private static bool Only(Dictionary<string, JsonPart> members, string kind, params ReadOnlySpan<string> own)
    {
        bool only = true;
        foreach (string member in TypeMembers)
        {
            if (member == "type" || own.Contains(member) || !members.TryGetValue(member, out JsonPart part)) continue;
            part.Findings.Error("unknown_member", $"The type '{kind}' has no member '{member}'.", part.Path);
            only = false;
        }
        return only;
    }
}
