using System.Text.Json;
using McpAuth.Cedar.Data;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Schemas.Syntax;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Entities;

/// <summary>The entities JSON format: an array of <c>{"uid":…,"attrs":{…},"parents":[…],"tags":{…}}</c>; tags may be absent.</summary>
internal sealed class EntityReader(CedarSchema? schema, DataFindings findings, JsonTrail trail)
{
    private readonly EntityConformance? conformance = schema is null ? null : new(schema, trail, findings);
    private EntityUid? uid;
    private EntityTypeDeclaration? type;
    private CedarRecord? attributes, tags;
    private List<EntityUid>? parents;

    [Flags]
    private enum Member
    {
        None = 0,
        Uid = 1,
        Attributes = 2,
        Parents = 4,
        Tags = 8,
    }

    public static Parsed<EntityStore> Read(ReadOnlySpan<byte> utf8, CedarSchema? schema) =>
        JsonCursor.Read(utf8, (ref JsonCursor at) =>
        {
            var distinct = new DistinctEntities(at.Findings);
            var reader = new EntityReader(schema, at.Findings, at.Trail);
            if (at.Token != JsonTokenType.StartArray)
            {
                at.Unexpected("an array of entities");
                return null;
            }
            for (int i = 0; at.NextElement(); i++)
            {
                at.Trail.Enter(i);
                if (at.Token != JsonTokenType.StartObject) at.Unexpected("an entity as {\"uid\": …, \"attrs\": {…}, \"parents\": […]}");
                else if (reader.ReadEntity(ref at) is { } entity) distinct.Add(entity, at.Trail.ToString());
                at.Trail.Leave();
            }
            return EntityStore.Build(distinct, schema, at.Findings);
        });

    private static Member Find(string name) => name switch
    {
        "uid" => Member.Uid,
        "attrs" => Member.Attributes,
        "parents" => Member.Parents,
        "tags" => Member.Tags,
        _ => Member.None,
    };

    private EntityDescription? ReadEntity(ref JsonCursor at)
    {
        (uid, type, attributes, tags, parents) = (null, null, null, CedarRecord.Empty, null);
        // The uid says what the attributes may be. What stands before it is passed over, and read when it is known.
        JsonCursor start = at;
        Member seen = Member.None, early = Member.None;
        while (at.NextMember(out string name))
        {
            Member member = Find(name);
            at.Trail.Enter(name);
            if (member == Member.None)
            {
                at.Warning("unknown_member", "An entity has the members uid, attrs, parents and tags; this one is not read.");
                at.Skip();
            }
            else if ((seen & member) != 0)
            {
                at.Error("duplicate_member", "The member stands twice.");
                at.Skip();
            }
            else if (member != Member.Uid && (seen & Member.Uid) == 0)
            {
                early |= member;
                at.Skip();
            }
            else
            {
                ReadMember(ref at, member);
            }
            seen |= member;
            at.Trail.Leave();
        }
        while (early != Member.None && start.NextMember(out string name))
        {
            Member member = Find(name) & early;
            start.Trail.Enter(name);
            if (member == Member.None) start.Skip();
            else ReadMember(ref start, member);
            early &= ~member;
            start.Trail.Leave();
        }
        foreach ((Member member, string name) in new[] { (Member.Uid, "uid"), (Member.Attributes, "attrs"), (Member.Parents, "parents") })
            if ((seen & member) == 0) at.Error("missing_member", $"The member '{name}' is required.");
        return uid is not null && attributes is not null && tags is not null && parents is not null ? new(uid, attributes, parents, tags) : null;
    }

    private void ReadMember(ref JsonCursor at, Member member)
    {
        if (member == Member.Uid)
        {
            uid = UidReader.Read(ref at);
            if (uid is not null && !SchemaWords.IsActionType(uid.Type)) type = conformance?.CheckUid(uid);
        }
        else if (uid is null || (schema is not null && type is null && !SchemaWords.IsActionType(uid.Type)))
        {
            at.Skip(); // that is reported, and nothing can be said about the rest
        }
        else if (member == Member.Parents)
        {
            parents = ReadParents(ref at, uid);
        }
        else if (at.Token != JsonTokenType.StartObject)
        {
            at.Unexpected("an object");
            tags = member == Member.Tags ? null : tags;
        }
        else if (member == Member.Attributes)
        {
            attributes = ValueReader.ReadRecord(ref at, type?.Attributes);
            if (attributes is not null && type is not null) conformance!.CheckAttributes(attributes, type);
        }
        else
        {
            tags = ValueReader.ReadRecord(ref at, expected: null, each: type?.Tags);
            if (tags is not null && type is not null) conformance!.CheckTags(tags, type);
        }
    }

    private List<EntityUid>? ReadParents(ref JsonCursor at, EntityUid of)
    {
        if (at.Token != JsonTokenType.StartArray)
        {
            at.Unexpected("an array of entities' names");
            return null;
        }
        var read = new List<EntityUid>();
        bool complete = true;
        for (int i = 0; at.NextElement(); i++)
        {
            at.Trail.Enter(i);
            if (UidReader.Read(ref at) is not { } parent)
            {
                complete = false;
            }
            else
            {
                read.Add(parent);
                if (type is not null) conformance!.CheckParent(parent, type);
                else if (SchemaWords.IsActionType(of.Type) && !SchemaWords.IsActionType(parent.Type)) at.Error("wrong_parent_type", "An action can only be in actions.");
            }
            at.Trail.Leave();
        }
        return complete ? read : null;
    }
}
