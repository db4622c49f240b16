using System.Runtime.CompilerServices;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Evaluation;

/// <summary>One decision in progress: the request, the entities, and what was already looked up. Lives on the stack.</summary>
internal ref struct Frame
{
    private readonly EntityStore entities;
    private readonly EntityStore? known;
    private readonly ContextPaths paths;
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
        this.paths = paths;
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

    /// <summary>The entity of that name; null when it is not known. Those of the request are looked up once.</summary>
    public Entity? Find(EntityUid uid)
    {
        if (ReferenceEquals(uid, Principal)) return Find(uid, Found.Principal, ref principalEntity);
        if (ReferenceEquals(uid, Resource)) return Find(uid, Found.Resource, ref resourceEntity);
        if (ReferenceEquals(uid, Action)) return Find(uid, Found.Action, ref actionEntity);
        return known?.Find(uid) ?? entities.Find(uid);
    }

    /// <summary>The operator <c>in</c>, for one entity on the right.</summary>
    public bool IsIn(EntityUid uid, EntityUid other)
    {
        if (uid.Equals(other)) return true;
        return Find(uid) is { } entity && entity.IsIn(other);
    }

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
        ContextPath path = paths[number];
        CedarRecord? attributes = Context;
        FailureCode absent = FailureCode.NoAttribute;
        if (path.Parent >= 0)
        {
            // As deep as the expression it stands in, at the most.
            ref Slot parent = ref Path(path.Parent);
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
            attributes = target.AsRecord;
            if (attributes is null)
            {
                if (target.AsEntity is not { } uid)
                {
                    slot.Failed(new(FailureCode.WrongType, path.Name, target.Kind, ValueKind.Record));
                    return;
                }
                attributes = Find(uid)?.Attributes ?? CedarRecord.Empty;
                absent = FailureCode.NoEntityAttribute;
            }
        }
        Value value = attributes[path.Name];
        if (value.IsNone) slot.Missing(new(absent, path.Name));
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
