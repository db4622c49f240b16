using System.Text.Json;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Policies;

/// <summary>The scope in JSON.</summary>
internal sealed partial class PolicyJsonReader
{
    // {"op":"All"} | {"op":"==" or "in", "entity" or "slot": …} | {"op":"is","entity_type":…,"in":{"entity" or "slot": …}}
    private EntityScope Scope(JsonAt at, string variable)
    {
        string what = $"The scope of the {variable}";
        string? op = Operator(at, what);
        switch (op)
        {
            case "All" or "all":
                json.Members(at, what, ["op"]);
                return EntityScope.Any;
            case "==" or "in":
                JsonAt?[]? compared = json.Members(at, what, ["op"], "entity", "slot");
                if (compared is null) return EntityScope.Any;
                (EntityUid? entity, bool isSlot) = EntityOrSlot(at, compared[1], compared[2], variable);
                return new EntityScope(op == "==" ? ScopeKind.Equal : ScopeKind.In, entity, IsSlot: isSlot);
            case "is":
                JsonAt?[]? typed = json.Members(at, what, ["op", "entity_type"], "in");
                if (typed is null) return EntityScope.Any;
                string type = TypeName(typed[1]!.Value);
                if (typed[2] is not { } inAt) return new EntityScope(ScopeKind.Is, Type: type);
                JsonAt?[]? within = json.Members(inAt, "'in'", [], "entity", "slot");
                if (within is null) return EntityScope.Any;
                (entity, isSlot) = EntityOrSlot(inAt, within[0], within[1], variable);
                return new EntityScope(ScopeKind.IsIn, entity, type, isSlot);
            case not null:
                json.Report("unknown_operator", $"{what} has no operator '{op}'.", at, NearMiss.Help(op, ["All", "==", "in", "is"]));
                return EntityScope.Any;
            default:
                return EntityScope.Any;
        }
    }

    // {"op":"All"} | {"op":"==","entity":…} | {"op":"in","entity":…} | {"op":"in","entities":[…]}
    private ActionScope Action(JsonAt at)
    {
        const string What = "The scope of the action";
        switch (Operator(at, What))
        {
            case "All" or "all":
                json.Members(at, What, ["op"]);
                return ActionScope.Any;
            case "==":
                return json.Members(at, What, ["op", "entity"]) is [_, { } equal] && OneAction(equal) is { } action ? new(ScopeKind.Equal, [action]) : ActionScope.Any;
            case "in":
                JsonAt?[]? members = json.Members(at, What, ["op"], "entity", "entities");
                if (members is null) return ActionScope.Any;
                if (members[1] is null == members[2] is null)
                {
                    json.Report("missing_member", "'in' has either the member 'entity' or the member 'entities'.", at);
                    return ActionScope.Any;
                }
                if (members[1] is { } one) return OneAction(one) is { } within ? new(ScopeKind.In, [within]) : ActionScope.Any;
                var actions = new List<EntityUid>();
                foreach (JsonAt item in json.Items(members[2]!.Value, "The list of actions"))
                    if (!json.Full && OneAction(item) is { } each) actions.Add(each);
                return new ActionScope(ScopeKind.In, actions, IsList: true);
            case { } other:
                json.Report("unknown_operator", $"{What} has no operator '{other}'.", at, NearMiss.Help(other, ["All", "==", "in"]));
                return ActionScope.Any;
            default:
                return ActionScope.Any;
        }
    }

    private EntityUid? OneAction(JsonAt at)
    {
        EntityUid? action = Entity(at);
        if (action is not null && action.Type != "Action" && !action.Type.EndsWith("::Action", StringComparison.Ordinal))
            json.Report("not_an_action", $"The scope's action must be of a type named 'Action', and this is of '{action.Type}'.", at);
        return action;
    }

    /// <summary>Null, and an error, when there is none.</summary>
    private string? Operator(JsonAt at, string what)
    {
        if (at.Kind != JsonValueKind.Object) json.Report("wrong_type", $"{what} is an object here, not {JsonInput.Described(at)}.", at);
        else if (!JsonInput.TryMember(at, "op", out JsonAt op)) json.Report("missing_member", $"{what} must have the member 'op'.", at);
        else if (op.TryText(out string? text)) return text;
        else json.Report("wrong_type", "The operator is a text.", op);
        return null;
    }

    private (EntityUid? Entity, bool IsSlot) EntityOrSlot(JsonAt at, JsonAt? entity, JsonAt? slot, string variable)
    {
        if (entity is null == slot is null)
        {
            json.Report("missing_member", "There is either the member 'entity' or the member 'slot'.", at);
            return (null, false);
        }
        if (entity is { } named) return (Entity(named), false);
        if (json.Text(slot!.Value, "A slot") is { Length: > 0 } name && name != $"?{variable}")
            json.Report("invalid_slot", $"The slot of the {variable} is '?{variable}', not '{name}'.", slot.Value);
        return (null, true);
    }

    // {"type":…,"id":…} | {"__entity":{"type":…,"id":…}}
    private EntityUid? Entity(JsonAt at)
    {
        if (JsonInput.TryMember(at, "__entity", out _))
        {
            if (json.Members(at, "An entity", ["__entity"]) is not [{ } inner]) return null;
            at = inner;
        }
        if (json.Members(at, "An entity", ["type", "id"]) is not [{ } typeAt, { } idAt]) return null;
        int before = json.Errors.Count;
        string type = TypeName(typeAt), id = json.Text(idAt, "The id of an entity");
        return json.Errors.Count > before ? null : new EntityUid(type, id);
    }

    private string TypeName(JsonAt at)
    {
        string name = json.Text(at, "The name of an entity type");
        if (at.Kind == JsonValueKind.String && !Identifiers.IsTypeName(name)) json.Report("invalid_type", $"'{name}' is no name of an entity type.", at);
        return pool.Get(name);
    }
}
