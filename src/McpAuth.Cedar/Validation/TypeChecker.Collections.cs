using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Extensions;
using McpAuth.Cedar.Validation.Types;
using McpAuth.Cedar.Values;
using Known = System.Collections.Immutable.ImmutableHashSet<McpAuth.Cedar.Validation.Capability>;

namespace McpAuth.Cedar.Validation;

/// <summary>Sets, records, and the functions of the extension types.</summary>
internal sealed partial class TypeChecker
{
    private Answer Set(Known prior, SetExpr e)
    {
        Answer[] members = [.. e.Members.Select(m => Check(prior, m))];
        if (Strict && members.Length == 0)
        {
            findings.Error("empty_set", "What the members of an empty set would be cannot be told.", e.Span, "Strict mode has no empty sets; ask by 'isEmpty()'.");
            return Answer.Bad();
        }
        StaticType? element = Common(e, [.. members.Select(m => m.Type)], "the members of a set");
        return element is null ? Answer.Bad() : Answer.Good(types.SetOf(element)).If(members.All(m => m.Ok));
    }

    private Answer Record(Known prior, RecordExpr e)
    {
        Answer[] values = [.. e.Values.Select(v => Check(prior, v))];
        if (values.Any(v => v.Type is null)) return Answer.Bad();
        StaticRecord type = types.Record(e.Names.Select((name, i) => KeyValuePair.Create(name, new StaticAttribute(values[i].Type!, true))));
        return Answer.Good(type).If(values.All(v => v.Ok));
    }

    private Answer Call(Known prior, CallExpr e)
    {
        ExtensionFunction function = e.Function;
        Answer answer = Answer.Good(TypeTable.Of(function.Result));
        bool fits = true;
        if (e.Arguments.Count != function.Parameters.Count)
        {
            // A method's target is none of the arguments that are written between its brackets.
            int own = function.IsMethod ? 1 : 0;
            findings.Error("wrong_argument_count", $"'{function.Name}' takes {function.Parameters.Count - own} arguments, but here are {e.Arguments.Count - own}.", e.Span);
            fits = false;
        }
        if (!function.IsMethod && e.Arguments is [LiteralExpr { Value.AsString: { } text }] && ExtensionText.Read(function.Result, text).IsNone)
        {
            findings.Error("invalid_argument", $"'{function.Name}' cannot read this text.", e.Span, Format(function.Result));
            fits = false;
        }
        if (Strict && !function.IsMethod && !e.Arguments.All(a => a is LiteralExpr))
        {
            findings.Error("non_literal_argument", $"In strict mode '{function.Name}' takes a literal only: whether any other text can be read is not known.", e.Span,
                "Give the attribute the extension type in the schema.");
            fits = false;
        }
        if (!fits)
        {
            foreach (Expr argument in e.Arguments) Check(prior, argument);
            return Answer.Bad(answer.Type);
        }
        bool ok = true;
        for (int i = 0; i < e.Arguments.Count; i++)
        {
            StaticType expected = TypeTable.Of(function.Parameters[i]);
            ok &= Expect(prior, e.Arguments[i], t => ReferenceEquals(t, expected), expected.ToString()).Ok;
        }
        return answer.If(ok);
    }

    private static string Format(ValueKind kind) => kind switch
    {
        ValueKind.Decimal => "A decimal has one to four digits behind its point, such as '1.25'.",
        ValueKind.IpAddress => "An address or a range, such as '10.0.0.0/8' or '::1'.",
        ValueKind.Datetime => "Such as '2024-10-15' or '2024-10-15T11:35:00Z'.",
        _ => "Such as '1d2h3m4s5ms'; the units in this order.",
    };
}
