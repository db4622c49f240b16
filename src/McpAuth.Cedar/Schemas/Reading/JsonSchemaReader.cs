using System.Text.Json;
using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Text;

namespace McpAuth.Cedar.Schemas.Reading;

/// <summary>The JSON form of a schema.</summary>
internal static partial class JsonSchemaReader
{
    /// <summary>A record takes two levels of JSON for one of the type, and the declaration around it some more.</summary>
    private const int JsonDepth = (2 * Limits.Depth) + 16;

    public static SchemaSyntax Read(ReadOnlySpan<byte> utf8, Findings findings)
    {
        if (utf8.Length > Limits.Text)
        {
            findings.Error("too_long", $"The schema has {utf8.Length} bytes; at most {Limits.Text} are read.", JsonPlace.Root);
            return new([]);
        }
        try
        {
            var reader = new Utf8JsonReader(utf8, new JsonReaderOptions { MaxDepth = JsonDepth });
            using JsonDocument document = JsonDocument.ParseValue(ref reader);
            reader.Read(); // throws when something follows
            return ReadSchema(new(document.RootElement, JsonPlace.Root, findings));
        }
        catch (JsonException e)
        {
            findings.Error("invalid_json", $"The schema is no JSON: {e.Message}", JsonPlace.Root);
            return new([]);
        }
    }

    private static SchemaSyntax ReadSchema(JsonPart schema)
    {
        List<NamespaceSyntax> spaces = [];
        foreach ((string name, JsonPart part) in schema.Members() ?? [])
            if (ReadNamespace(name, part) is { } space) spaces.Add(space);
        return new(spaces);
    }

    private static NamespaceSyntax? ReadNamespace(string name, JsonPart part)
    {
        if (part.Members("commonTypes", "entityTypes", "actions", "annotations") is not { } members) return null;
        if (name.Length > 0 && (!SchemaWords.IsPath(name) || SchemaWords.IsCedars(name)))
            part.Findings.Error("invalid_name", $"'{name}' is no name for a namespace.", part.Path);
        var annotations = ReadAnnotations(members);
        if (name.Length == 0 && annotations.Count > 0)
            part.Findings.Error("invalid_annotation", "The empty namespace can have no annotations.", members["annotations"].Path);
        var space = new NamespaceSyntax(name.Length == 0 ? null : name, part.Path, annotations);
        if (members.TryGetValue("commonTypes", out JsonPart commons))
        {
            foreach ((string id, JsonPart common) in commons.Members() ?? [])
                if (ReadCommonType(id, common) is { } read) space.CommonTypes.Add(read);
        }
        if (!members.TryGetValue("entityTypes", out JsonPart entities)) part.Missing("entityTypes");
        else
        {
            foreach ((string id, JsonPart entity) in entities.Members() ?? [])
                if (ReadEntity(id, entity) is { } read) space.Entities.Add(read);
        }
        if (!members.TryGetValue("actions", out JsonPart actions)) part.Missing("actions");
        else
        {
            foreach ((string id, JsonPart action) in actions.Members() ?? [])
                if (ReadAction(id, action) is { } read) space.Actions.Add(read);
        }
        return space;
    }

    private static CommonTypeSyntax? ReadCommonType(string id, JsonPart part)
    {
        if (part.Members(CommonMembers) is not { } members || !CheckName(id, part) || ReadType(part, members, 1) is not { } type) return null;
        return new(new(id, part.Path), type, ReadAnnotations(members));
    }

    private static EntitySyntax? ReadEntity(string id, JsonPart part)
    {
        if (part.Members("memberOfTypes", "shape", "tags", "enum", "annotations") is not { } members || !CheckName(id, part)) return null;
        NameSyntax name = new(id, part.Path);
        var annotations = ReadAnnotations(members);
        if (members.TryGetValue("enum", out JsonPart choices))
        {
            foreach ((string other, JsonPart unexpected) in members)
                if (other is not ("enum" or "annotations")) part.Findings.Error("unknown_member", $"An enumerated entity type has no '{other}'.", unexpected.Path);
            List<string> ids = [.. choices.Items().Select(i => i.String()).OfType<string>().Distinct(StringComparer.Ordinal)];
            if (ids.Count == 0) part.Findings.Error("empty_list", "An enumerated entity type has at least one id.", choices.Path);
            return new([name], [], null, null, ids, annotations);
        }
        List<NameSyntax> parents = members.TryGetValue("memberOfTypes", out JsonPart listed) ? ReadNames(listed) : [];
        TypeSyntax? shape = members.TryGetValue("shape", out JsonPart written) ? ReadType(written, 1) : null;
        TypeSyntax? tags = members.TryGetValue("tags", out JsonPart tagged) ? ReadType(tagged, 1) : null;
        return new([name], parents, shape, tags, null, annotations);
    }

    private static ActionSyntax? ReadAction(string id, JsonPart part)
    {
        if (part.Members("memberOf", "appliesTo", "attributes", "annotations") is not { } members) return null;
        // These three may be null, which means absent.
        if (members.TryGetValue("attributes", out JsonPart attributes) && !attributes.IsNull)
            part.Findings.Error("action_attributes", "Actions cannot have attributes.", attributes.Path, "Leave 'attributes' out; the context of a request can say the same.");
        List<ActionNameSyntax> parents = [];
        if (members.TryGetValue("memberOf", out JsonPart groups) && !groups.IsNull)
        {
            foreach (JsonPart group in groups.Items())
                if (ReadActionName(group) is { } parent) parents.Add(parent);
        }
        AppliesToSyntax? appliesTo = members.TryGetValue("appliesTo", out JsonPart written) && !written.IsNull ? ReadAppliesTo(written) : null;
        return new([new(id, part.Path)], parents, appliesTo, ReadAnnotations(members));
    }

    private static ActionNameSyntax? ReadActionName(JsonPart part)
    {
        if (part.Members("id", "type") is not { } members) return null;
        string? type = null;
        if (members.TryGetValue("type", out JsonPart written) && !written.IsNull && (type = ReadPath(written)) is null) return null;
        if (!members.TryGetValue("id", out JsonPart id))
        {
            part.Missing("id");
            return null;
        }
        return id.String() is { } text ? new(type, text, part.Path) : null;
    }

    private static AppliesToSyntax? ReadAppliesTo(JsonPart part)
    {
        if (part.Members("principalTypes", "resourceTypes", "context") is not { } members) return null;
        List<NameSyntax> principals = [], resources = [];
        if (members.TryGetValue("principalTypes", out JsonPart p)) principals = ReadNames(p);
        else part.Missing("principalTypes");
        if (members.TryGetValue("resourceTypes", out JsonPart r)) resources = ReadNames(r);
        else part.Missing("resourceTypes");
        return new(principals, resources, members.TryGetValue("context", out JsonPart context) ? ReadType(context, 1) : null);
    }

    private static List<NameSyntax> ReadNames(JsonPart part)
    {
        List<NameSyntax> names = [];
        foreach (JsonPart item in part.Items())
            if (ReadPath(item) is { } name) names.Add(new(name, item.Path));
        return names;
    }

    private static string? ReadPath(JsonPart part)
    {
        if (part.String() is not { } name) return null;
        if (SchemaWords.IsPath(name)) return name;
        part.Findings.Error("invalid_name", $"'{name}' is no name of a type: identifiers joined by '::'.", part.Path);
        return null;
    }

    private static bool CheckName(string id, JsonPart part)
    {
        if (SchemaWords.IsIdentifier(id)) return true;
        part.Findings.Error("invalid_name", $"'{id}' is no name for a type.", part.Path);
        return false;
    }

    private static List<KeyValuePair<string, string>> ReadAnnotations(Dictionary<string, JsonPart> members)
    {
        if (!members.TryGetValue("annotations", out JsonPart part) || part.Members() is not { } annotations) return [];
        List<KeyValuePair<string, string>> all = [];
        foreach ((string key, JsonPart value) in annotations)
        {
            if (!Identifiers.IsIdentifier(key)) part.Findings.Error("invalid_name", $"'{key}' is no name for an annotation.", value.Path);
            else if (value.IsNull) all.Add(new(key, ""));
            else if (value.String() is { } text) all.Add(new(key, text));
        }
        return all;
    }
}
