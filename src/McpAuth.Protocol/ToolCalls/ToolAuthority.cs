using System.Collections.Immutable;
using System.Text.Json;

namespace McpAuth.Protocol.ToolCalls;

/// <summary>The authority over one tool.</summary>
public sealed class ToolAuthority
{
    private readonly ImmutableSortedDictionary<string, Constraint> args;
    private readonly ImmutableSortedSet<string> optional;

    internal ToolAuthority(ImmutableSortedDictionary<string, Constraint> args, ImmutableSortedSet<string> optional,
        string? definitionDigest, long? maxCalls, bool approvalRequired)
    {
        this.args = args;
        this.optional = optional.WithComparer(StringComparer.Ordinal);
        (DefinitionDigest, MaxCalls, ApprovalRequired) = (definitionDigest, maxCalls, approvalRequired);
    }

    internal static ToolAuthority AnyArguments { get; } = new(Grammar.NoConstraints, [], null, null, approvalRequired: false);

    /// <summary>Empty = any arguments; non-empty = closed.</summary>
    public IReadOnlyDictionary<string, Constraint> Args => args;

    /// <summary>Names in <see cref="Args"/> that a call may leave out.</summary>
    public IReadOnlySet<string> Optional => optional;

    /// <summary><c>sha-256:</c> and 43 base64url characters; null = any definition.</summary>
    public string? DefinitionDigest { get; }

    /// <summary>Null = no limit.</summary>
    public long? MaxCalls { get; }

    public bool ApprovalRequired { get; }

    /// <summary>Null when the arguments (an object, schema defaults already filled in) are admitted; else the fault, code <c>argument_denied</c>, path naming the argument.</summary>
    public Fault? Denies(JsonElement arguments)
    {
        if (arguments.ValueKind != JsonValueKind.Object)
            return Denied(JsonPath.Root, "The arguments are not an object.");
        if (args.IsEmpty)
            return null;

        // Every member is looked at, not every name: were one repeated, each of its values would have to be admitted.
        foreach (var argument in arguments.EnumerateObject())
        {
            if (!args.TryGetValue(argument.Name, out var constraint))
                return Denied(JsonPath.Root.Member(argument.Name), "The argument is not among those granted.");
            if (!constraint.Admits(argument.Value))
                return Denied(JsonPath.Root.Member(argument.Name), "The argument's value is not among those granted.");
        }
        foreach (var name in args.Keys)
        {
            if (!optional.Contains(name) && !arguments.TryGetProperty(name, out _))
                return Denied(JsonPath.Root.Member(name), "The argument is required.");
        }
        return null;
    }

    internal Fault? Exceeds(ToolAuthority parent, JsonPath path)
    {
        if (ArgsExceed(parent, path) is { } fault)
            return fault;
        if (parent.DefinitionDigest is not null && !string.Equals(DefinitionDigest, parent.DefinitionDigest, StringComparison.Ordinal))
            return Grammar.Exceeds(path.Member(Grammar.DefinitionDigest), "The parent is bound to a definition; the child must be bound to the same.");
        if (parent.MaxCalls is { } limit && !(MaxCalls <= limit))
            return Grammar.Exceeds(path.Member(Grammar.MaxCalls), "More calls than the parent's.");
        return parent.ApprovalRequired && !ApprovalRequired
            ? Grammar.Exceeds(path.Member(Grammar.Approval), "The parent requires approval.")
            : null;
    }

    private Fault? ArgsExceed(ToolAuthority parent, JsonPath path)
    {
        if (parent.args.IsEmpty)
            return null;
        if (args.IsEmpty)
            return Grammar.Exceeds(path.Member(Grammar.Args), "The parent's arguments are closed, the child's open.");
        foreach (var (name, constraint) in args)
        {
            var at = path.Member(Grammar.Args).Member(name);
            if (!parent.args.TryGetValue(name, out var above))
                return Grammar.Exceeds(at, "The argument is not among the parent's.");
            if (!constraint.IsWithin(above))
                return Grammar.Exceeds(at, "The constraint is not within the parent's.");
        }
        foreach (var name in parent.args.Keys)
        {
            if (!parent.optional.Contains(name) && (!args.ContainsKey(name) || optional.Contains(name)))
                return Grammar.Exceeds(path.Member(Grammar.Args).Member(name), "The parent requires the argument.");
        }
        return null;
    }

    internal void Write(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        if (!args.IsEmpty)
        {
            writer.WriteStartObject(Grammar.Args);
            foreach (var (name, constraint) in args)
            {
                writer.WritePropertyName(name);
                constraint.Write(writer);
            }
            writer.WriteEndObject();
        }
        if (!optional.IsEmpty)
            Grammar.WriteStrings(writer, Grammar.Optional, optional);
        if (DefinitionDigest is not null)
            writer.WriteString(Grammar.DefinitionDigest, DefinitionDigest);
        if (MaxCalls is { } limit)
            writer.WriteNumber(Grammar.MaxCalls, limit);
        if (ApprovalRequired)
            writer.WriteString(Grammar.Approval, Grammar.ApprovalRequired);
        writer.WriteEndObject();
    }

    private static Fault Denied(JsonPath path, string message) => new(Names.Denials.ArgumentDenied, message, path.ToString());
}
