using System.Runtime.CompilerServices;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Evaluation;

/// <summary>One decision in progress: the request, the entities, and what was already looked up. Lives on the stack.</summary>
internal ref struct Frame
{
    private readonly EntityStore entities;
    private readonly EntityStore? known;
    private readonly ReadOnlySpan<ContextPath> paths;
    private readonly Span<Slot> slots;
    private Entity? principalEntity;
    private Entity? actionEntity;
    private Entity? resourceEntity;
    private Found found;

    /// <param name="known">Entities that are what they are whatever <paramref name="entities"/> say: a tool server's actions.</param>
    public Frame(
        EntityUid principal, EntityUid action, EntityUid resource, CedarRecord context, EntityStore entities, ContextPaths paths, Span<Slot> slots, EntityStore? known = null)
    {
        Principal = principal;
        Action = action;
        Resource = resource;
        Context = context;
        this.entities = entities;
        this.paths = paths.All;
        this.slots = slots;
        this.known = known;
    }

    public readonly EntityUid Principal { get; }

    public readonly EntityUid Action { get; }

    public readonly EntityUid Resource { get; }

    public readonly CedarRecord Context { get; }

    /// <summary>Set by whoever answers with no value.</summary>
    public Failure Failure;

    /// <summary>For <c>return frame.Fail(…)</c>.</summary>
    public Value Fail(Failure failure)
    {
        Failure = failure;
        return default;
    }

    public readonly EntityUid this[RequestPart part] => part switch
    {
        RequestPart.Principal => Principal,
        RequestPart.Action => Action,
        _ => Resource,
    };

    /// <summary>The entity of that part of the request, looked up once; null when it is not known.</summary>
    public Entity? Find(RequestPart part) => part switch
    {
        RequestPart.Principal => Find(Principal, Found.Principal, ref principalEntity),
        RequestPart.Action => Find(Action, Found.Action, ref actionEntity),
        _ => Find(Resource, Found.Resource, ref resourceEntity),
    };

    /// <summary>The entity of that name; null when it is not known.</summary>
    public Entity? Find(EntityUid uid)
    {
        if (ReferenceEquals(uid, Principal)) return Find(RequestPart.Principal);
        if (ReferenceEquals(uid, Resource)) return Find(RequestPart.Resource);
        if (ReferenceEquals(uid, Action)) return Find(RequestPart.Action);
        return known?.Find(uid) ?? entities.Find(uid);
    }

    /// <summary>The operator <c>in</c>, for one entity on the right. An entity that is not known is in itself alone.</summary>
    public bool IsIn(EntityUid uid, EntityUid other) => Find(uid) is { } entity ? entity.IsIn(other) : uid.Equals(other);

    /// <inheritdoc cref="IsIn(EntityUid, EntityUid)"/>
    public bool IsIn(RequestPart part, EntityUid other) => Find(part) is { } entity ? entity.IsIn(other) : this[part].Equals(other);

    /// <summary>An attribute of a record or entity.</summary>
    public Value Attribute(Value target, string name)
    {
        if (target.AsRecord is { } record)
        {
            Value value = record[name];
            return value.IsNone ? Fail(new(FailureCode.NoAttribute, name)) : value;
        }
        if (target.AsEntity is { } uid)
        {
            Value value = Find(uid) is { } entity ? entity.Attributes[name] : default;
            return value.IsNone ? Fail(new(FailureCode.NoEntityAttribute, name)) : value;
        }
        return Fail(new(FailureCode.WrongType, name, target.Kind, ValueKind.Record));
    }

    /// <summary>Whether a record or entity has an attribute.</summary>
    public Truth Has(Value target, string name)
    {
        if (target.AsRecord is { } record) return record.Contains(name) ? Truth.True : Truth.False;
        if (target.AsEntity is { } uid) return Find(uid) is { } entity && entity.Attributes.Contains(name) ? Truth.True : Truth.False;
        Failure = new(FailureCode.WrongType, name, target.Kind, ValueKind.Record);
        return Truth.Failed;
    }

    /// <summary>What is known of an attribute of the context, looked up at the first time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref Slot Path(int path)
    {
        ref Slot slot = ref slots[path];
        if (slot.State == SlotState.Unknown) Load(path, ref slot);
        return ref slot;
    }

    private void Load(int number, ref Slot slot)
    {
        ref readonly ContextPath path = ref paths[number];
        // As deep as the expression it stands in, at the most.
        CedarRecord? record = path.Parent < 0 ? Context : Path(path.Parent).Value.AsRecord;
        if (record is null)
        {
            LoadOfEntity(path, ref slot);
            return;
        }
        Value value = record[path.Name];
        if (value.IsNone) slot.Missing(new(FailureCode.NoAttribute, path.Name));
        else slot.Found(value);
    }

    /// <summary>An attribute of what is no record: an entity, or else it cannot have any.</summary>
    private void LoadOfEntity(ContextPath path, ref Slot slot)
    {
        ref Slot parent = ref slots[path.Parent];
        Value target = parent.Value;
        if (target.IsNone)
        {
            slot.Failed(parent.State switch
            {
                SlotState.Missing => new(FailureCode.NoAttribute, paths[path.Parent].Name),
                SlotState.Failed => parent.Failure,
                _ => new(FailureCode.NotConvertible, paths[path.Parent].Name), // it is there, and was not expected to be read
            });
            return;
        }
        if (target.AsEntity is not { } uid)
        {
            slot.Failed(new(FailureCode.WrongType, path.Name, target.Kind, ValueKind.Record));
            return;
        }
        Value value = Find(uid) is { } entity ? entity.Attributes[path.Name] : default;
        if (value.IsNone) slot.Missing(new(FailureCode.NoEntityAttribute, path.Name));
        else slot.Found(value);
    }

    private Entity? Find(EntityUid uid, Found which, ref Entity? entity)
    {
        if ((found & which) == 0)
        {
            entity = known?.Find(uid) ?? entities.Find(uid);
            found |= which;
        }
        return entity;
    }

    [Flags]
    private enum Found : byte
    {
        Principal = 1,
        Resource = 2,
        Action = 4,
    }
}
