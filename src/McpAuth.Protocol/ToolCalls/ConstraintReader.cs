using System.Collections.Immutable;
using System.Text.Json;

namespace McpAuth.Protocol.ToolCalls;

/// <summary>Reads constraints, counting their clauses over the whole read.</summary>
internal sealed class ConstraintReader(Faults faults)
{
    private int clauses;

    public Constraint? Read(JsonElement element, JsonPath path) => Read(element, path, nesting: 1);

    /// <param name="nesting">Of each item, from 1.</param>
    public List<Constraint>? ReadList(JsonElement element, JsonPath path, int nesting)
    {
        if (element.ValueKind != JsonValueKind.Array)
            return faults.Add<List<Constraint>>(path, "An array of constraints is expected.");
        var list = new List<Constraint>();
        foreach (var item in element.EnumerateArray())
        {
            if (Read(item, path.Index(list.Count), nesting) is not { } constraint)
                return null;
            list.Add(constraint);
        }
        return list;
    }

    private Constraint? Read(JsonElement element, JsonPath path, int nesting)
    {
        if (nesting > Grammar.MaxNesting)
            return faults.Add<Constraint>(path, "The constraint is nested too deep.");
        if (++clauses > Grammar.MaxClauses)
            return faults.Add<Constraint>(path, "There are too many clauses.");
        if (Members.Read(element, path, faults, known: null) is not { } members)
            return null;
        var type = members[Grammar.ConstraintType] is { ValueKind: JsonValueKind.String } name ? name.GetString() : null;
        return type switch
        {
            Grammar.Exact => Known(members, Grammar.Value) && Value(members) is { } value ? new ExactConstraint(value) : null,
            Grammar.OneOf => Values(members) is { } values ? new OneOfConstraint(values) : null,
            Grammar.NotOneOf => Values(members) is { } values ? new NotOneOfConstraint(values) : null,
            Grammar.Contains => Values(members) is { } values ? new ContainsConstraint(values) : null,
            Grammar.Subset => Values(members) is { } values ? new SubsetConstraint(values) : null,
            Grammar.Range => Range(members),
            Grammar.Prefix => Text(members) is { } text ? new PrefixConstraint(text) : null,
            Grammar.PathUnder => Path(members),
            Grammar.All => Clauses(members, nesting) is { } all ? new AllConstraint([.. all]) : null,
            Grammar.Any => Any(members, nesting),
            Grammar.Wildcard => Known(members) ? WildcardConstraint.Instance : null,
            _ => faults.Add<Constraint>(path.Member(Grammar.ConstraintType), "The constraint type is not known."),
        };
    }

    private bool Known(Members members, params ReadOnlySpan<string> names)
    {
        foreach (var (name, _) in members.All)
        {
            if (name != Grammar.ConstraintType && !names.Contains(name))
                return faults.Add(members.Path.Member(name), "The member is not known.");
        }
        return true;
    }

    private JsonValue? Value(Members members) =>
        members[Grammar.Value] is { } element && JsonValue.Own(element) is { } value
            ? value
            : faults.Add<JsonValue>(members.Path.Member(Grammar.Value), "A value is required.");

    private ValueList? Values(Members members)
    {
        if (!Known(members, Grammar.Values))
            return null;
        var path = members.Path.Member(Grammar.Values);
        if (members[Grammar.Values] is not { ValueKind: JsonValueKind.Array } array)
            return faults.Add<ValueList>(path, "An array of values is required.");
        var values = ImmutableArray.CreateBuilder<JsonValue>(array.GetArrayLength());
        foreach (var item in array.EnumerateArray())
        {
            if (JsonValue.Own(item) is not { } value)
                return faults.Add<ValueList>(path.Index(values.Count), "The value cannot be compared.");
            values.Add(value);
        }
        return new(values.MoveToImmutable());
    }

    private RangeConstraint? Range(Members members)
    {
        return Known(members, Grammar.Min, Grammar.Max, Grammar.MinInclusive, Grammar.MaxInclusive)
            && Bound(members, Grammar.Min, Grammar.MinInclusive, out var min) && Bound(members, Grammar.Max, Grammar.MaxInclusive, out var max)
                ? new(min, max)
                : null;
    }

    private bool Bound(Members members, string name, string inclusive, out Bound? bound)
    {
        bound = null;
        if (members[inclusive] is { ValueKind: not (JsonValueKind.True or JsonValueKind.False) })
            return faults.Add(members.Path.Member(inclusive), "true or false is expected.");
        if (members[name] is not { } element)
            return true;
        if (ExactDecimal.Of(element) is not { } value)
            return faults.Add(members.Path.Member(name), "A number is expected.");
        bound = new(value, members[inclusive] is not { ValueKind: JsonValueKind.False }, element.Clone());
        return true;
    }

    private string? Text(Members members) =>
        !Known(members, Grammar.Value) ? null
            : members[Grammar.Value] is { ValueKind: JsonValueKind.String } element ? element.GetString()
            : faults.Add<string>(members.Path.Member(Grammar.Value), "A string is required.");

    private PathUnderConstraint? Path(Members members)
    {
        if (Text(members) is not { } text)
            return null;
        return PlainPath.TryParse(text) is { } path
            ? new(path)
            : faults.Add<PathUnderConstraint>(members.Path.Member(Grammar.Value), "The path is not plain: no '.', '..' or empty segment, '\\', '%', ':', "
                + "control character, or text that is not NFC.");
    }

    private List<Constraint>? Clauses(Members members, int nesting)
    {
        if (!Known(members, Grammar.Of))
            return null;
        var path = members.Path.Member(Grammar.Of);
        return members[Grammar.Of] is { } element
            ? ReadList(element, path, nesting + 1)
            : faults.Add<List<Constraint>>(path, "The clauses are required.");
    }

    private AnyConstraint? Any(Members members, int nesting)
    {
        if (Clauses(members, nesting) is not { } clauses)
            return null;
        return clauses.Count > 0 ? new([.. clauses]) : faults.Add<AnyConstraint>(members.Path.Member(Grammar.Of), "any without clauses admits nothing.");
    }
}
