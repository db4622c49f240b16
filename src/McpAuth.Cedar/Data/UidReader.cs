using System.Text.Json;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Data;

/// <summary>Names of entities: <c>{"type":"User","id":"alice"}</c>, or that within <c>{"__entity":…}</c>.</summary>
internal static class UidReader
{
    private const string Form = "an entity as {\"type\": …, \"id\": …}";

    public static EntityUid? Read(ref JsonCursor at)
    {
        if (at.Token != JsonTokenType.StartObject)
        {
            at.Unexpected(Form);
            return null;
        }
        if (at.IsTooDeep()) return null;
        return at.FirstMemberIs(ValueReader.EntityEscape) ? ReadEscaped(ref at) : ReadTypeAndId(ref at);
    }

    private static EntityUid? ReadEscaped(ref JsonCursor at)
    {
        EntityUid? uid = null;
        bool once = true;
        while (at.NextMember(out string name))
        {
            at.Trail.Enter(name);
            if (name == ValueReader.EntityEscape && uid is null && once)
            {
                once = false;
                if (at.Token != JsonTokenType.StartObject) at.Unexpected(Form);
                else if (!at.IsTooDeep()) uid = ReadTypeAndId(ref at);
            }
            else
            {
                at.Error("reserved_name", "__entity must be the only member of its object.");
                at.Skip();
                uid = null;
            }
            at.Trail.Leave();
        }
        return uid;
    }

    private static EntityUid? ReadTypeAndId(ref JsonCursor at)
    {
        string? type = null, id = null;
        bool complete = true;
        while (at.NextMember(out string name))
        {
            at.Trail.Enter(name);
            switch (name)
            {
                case "type" or "id" when (name == "type" ? type : id) is not null:
                    at.Error("duplicate_member", "The member stands twice.");
                    complete = false;
                    at.Skip();
                    break;
                case "type" or "id" when at.Token != JsonTokenType.String:
                    at.Unexpected("a string");
                    complete = false;
                    break;
                case "type":
                    type = at.Name();
                    if (type is not null && !Identifiers.IsTypeName(type))
                    {
                        at.Error("not_a_type", "This is no name of an entity type: identifiers with '::' between them are expected.");
                        complete = false;
                    }
                    complete &= type is not null;
                    break;
                case "id":
                    id = at.Name();
                    complete &= id is not null;
                    break;
                default:
                    at.Error("unknown_member", "An entity's name has the members type and id.");
                    complete = false;
                    at.Skip();
                    break;
            }
            at.Trail.Leave();
        }
        if (complete && (type is null || id is null)) at.Error("missing_member", $"Expected {Form}: '{(type is null ? "type" : "id")}' is missing.");
        return complete && type is not null && id is not null ? at.Unique(new(type, id)) : null;
    }
}
