using System.Runtime.InteropServices;
using System.Text.Json;
using McpAuth.Cedar.Extensions;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Data;

/// <summary>
/// Extension values: <c>{"__extn":{"fn":"ip","arg":"10.0.0.1"}}</c>, with <c>"args":[…]</c> for functions of several arguments (a datetime beyond the years
/// that have a text is written as <c>offset</c> of two).
/// </summary>
internal static class ExtensionReader
{
    /// <summary>The function that makes values of this extension type; null for other types.</summary>
    public static ExtensionFunction? ConstructorOf(ValueKind kind) => kind switch
    {
        ValueKind.Decimal => ExtensionFunction.Find("decimal"),
        ValueKind.IpAddress => ExtensionFunction.Find("ip"),
        ValueKind.Datetime => ExtensionFunction.Find("datetime"),
        ValueKind.Duration => ExtensionFunction.Find("duration"),
        _ => null,
    };

    /// <param name="implicitForms">Whether a schema says that an extension value is here: the escape may be missing, and arguments may be text.</param>
    public static Value Read(ref JsonCursor at, bool implicitForms)
    {
        if (!at.FirstMemberIs(ValueReader.ExtensionEscape)) return ReadCall(ref at, implicitForms);
        Value value = default;
        bool once = true;
        while (at.NextMember(out string name))
        {
            at.Trail.Enter(name);
            if (name == ValueReader.ExtensionEscape && once)
            {
                once = false;
                if (at.Token != JsonTokenType.StartObject) at.Unexpected("an extension call as {\"fn\": …, \"arg\": …}");
                else if (!at.IsTooDeep()) value = ReadCall(ref at, implicitForms);
            }
            else
            {
                at.Error("reserved_name", "__extn must be the only member of its object.");
                at.Skip();
                value = default;
            }
            at.Trail.Leave();
        }
        return value;
    }

    /// <summary>The function's result; reported when it has none.</summary>
    public static Value Call(ref JsonCursor at, ExtensionFunction function, scoped ReadOnlySpan<Value> arguments)
    {
        Value result = ExtensionOperations.Apply(function, arguments);
        if (!result.IsNone) return result;
        if (arguments.Length != function.Parameters.Count)
            at.Error("wrong_argument_count", $"'{function.Name}' takes {function.Parameters.Count} {(function.Parameters.Count == 1 ? "argument" : "arguments")}, not {arguments.Length}.");
        else if (!function.IsMethod && !arguments.IsEmpty && arguments[0].Kind == ValueKind.String)
            at.Error("bad_argument", $"This text is no value that '{function.Name}' makes.");
        else
            at.Error("bad_argument", $"'{function.Name}' has no result for these arguments.");
        return default;
    }

    private static Value ReadCall(ref JsonCursor at, bool implicitForms)
    {
        ExtensionFunction? function = null;
        List<Value>? arguments = null;
        bool complete = true;
        while (at.NextMember(out string name))
        {
            at.Trail.Enter(name);
            switch (name)
            {
                case "fn" when function is not null:
                case "arg" or "args" when arguments is not null:
                    at.Error("duplicate_member", "The function, and its arguments, are given twice.");
                    complete = false;
                    at.Skip();
                    break;
                case "fn":
                    function = ReadFunction(ref at);
                    complete &= function is not null;
                    break;
                case "arg":
                    arguments = [];
                    complete &= ReadArgument(ref at, implicitForms ? function : null, arguments);
                    break;
                case "args" when at.Token == JsonTokenType.StartArray && !at.IsTooDeep():
                    arguments = [];
                    for (int i = 0; at.NextElement(); i++)
                    {
                        at.Trail.Enter(i);
                        complete &= ReadArgument(ref at, implicitForms ? function : null, arguments);
                        at.Trail.Leave();
                    }
                    break;
                default:
                    at.Error("unknown_member", "An extension call has the members fn, and arg or args.");
                    complete = false;
                    at.Skip();
                    break;
            }
            at.Trail.Leave();
        }
        if (!complete) return default;
        if (function is null || arguments is null)
        {
            at.Error("missing_member", $"An extension value is expected: a text, or {{\"fn\": …, \"arg\": …}}; '{(function is null ? "fn" : "arg")}' is missing.");
            return default;
        }
        if (implicitForms) Convert(function, arguments);
        return Call(ref at, function, CollectionsMarshal.AsSpan(arguments));
    }

    private static ExtensionFunction? ReadFunction(ref JsonCursor at)
    {
        if (at.Token != JsonTokenType.String)
        {
            at.Unexpected("the name of a function");
            return null;
        }
        if (at.Name() is not { } name) return null;
        ExtensionFunction? function = ExtensionFunction.Find(name);
        if (function is null) at.Error("unknown_function", "There is no extension function of this name.", $"there are {string.Join(", ", ExtensionFunction.Names.Order(StringComparer.Ordinal))}");
        return function;
    }

    private static bool ReadArgument(ref JsonCursor at, ExtensionFunction? function, List<Value> arguments)
    {
        CedarType? expected = function is not null && arguments.Count < function.Parameters.Count ? TypeOf(function.Parameters[arguments.Count]) : null;
        Value value = ValueReader.Read(ref at, expected);
        arguments.Add(value);
        return !value.IsNone;
    }

    /// <summary>Text that came before its function's name was, where a value of an extension type belongs.</summary>
    private static void Convert(ExtensionFunction function, List<Value> arguments)
    {
        for (int i = 0; i < Math.Min(arguments.Count, function.Parameters.Count); i++)
        {
            if (arguments[i].Kind != ValueKind.String || ConstructorOf(function.Parameters[i]) is not { } constructor) continue;
            Value made = ExtensionOperations.Apply(constructor, [arguments[i]]);
            if (!made.IsNone) arguments[i] = made;
        }
    }

    private static CedarType? TypeOf(ValueKind kind) => kind switch
    {
        ValueKind.Decimal => CedarType.Decimal,
        ValueKind.IpAddress => CedarType.IpAddress,
        ValueKind.Datetime => CedarType.Datetime,
        ValueKind.Duration => CedarType.Duration,
        _ => null,
    };
}
