using McpAuth.Cedar.Expressions;
using McpAuth.Cedar.Text;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Policies;

/// <summary>The scope: what stands in the parentheses behind the effect.</summary>
internal sealed partial class PolicyParser
{
    // principal [constraint] "," action [constraint] "," resource [constraint] [","]
    private (EntityScope Principal, ActionScope Action, EntityScope Resource) Scope(SourceSpan effect)
    {
        EntityScope principal = EntityScope.Any, resource = EntityScope.Any;
        ActionScope action = ActionScope.Any;
        ReadOnlySpan<string> variables = ["principal", "action", "resource"];
        int count = 0;
        for (; current.Kind is not (TokenKind.CloseParenthesis or TokenKind.Stopped); count++)
        {
            if (count == 3)
            {
                Stop("extra_scope_element", "A scope has three parts: the principal, the action and the resource.", current.Span,
                    "further conditions stand in 'when { … }'");
                break;
            }
            string variable = variables[count];
            ScopeVariable(variable);
            if (variable == "principal") principal = Entity(Variable.Principal);
            else if (variable == "action") action = Action();
            else resource = Entity(Variable.Resource);
            if (!Accept(TokenKind.Comma) && current.Kind != TokenKind.CloseParenthesis)
            {
                if (current.Kind == TokenKind.Assign) UseTwoEqualSigns();
                else Unexpected(count == 2 ? "')'" : "','");
            }
        }
        if (count < 3)
            Report("missing_scope_element", $"The scope names no {variables[count]}; it must name principal, action and resource, in this order.",
                current.Kind == TokenKind.CloseParenthesis ? current.Span : effect);
        return (principal, action, resource);
    }

    private void ScopeVariable(string expected)
    {
        if (current.Kind != TokenKind.Identifier)
        {
            Unexpected($"'{expected}'");
            return;
        }
        Token token = Advance();
        ReadOnlySpan<char> word = Word(token);
        if (word is "principal" or "action" or "resource")
        {
            if (!word.SequenceEqual(expected))
                Report("wrong_scope_order", $"Here the {expected} belongs, not the {word}.", token.Span, "the order is principal, action, resource");
        }
        else
            Report("invalid_scope_variable", $"Here '{expected}' is expected, not '{Shown(word.ToString())}'.", token.Span,
                NearMiss.Help(word.ToString(), ["principal", "action", "resource"]));
        if (current.Kind == TokenKind.Colon)
            Stop("type_constraint", $"The type of the {expected} cannot stand behind a colon.", current.Span, $"use '{expected} is …'");
    }

    // [ "is" type ] [ ("==" | "in") (entity | slot) ]
    private EntityScope Entity(Variable variable)
    {
        string? type = null;
        if (IsWord("is"))
        {
            Advance();
            type = TypeName();
        }
        if (!IsScopeOperator()) return type is null ? EntityScope.Any : new(ScopeKind.Is, Type: type);
        Token op = ScopeOperator(variable);
        if (op.Kind == TokenKind.Equal && type is not null)
            Report("is_with_equal", "'is' and '==' cannot stand together: an entity has one type.", op.Span, "leave 'is' out");
        ScopeKind kind = op.Kind == TokenKind.Equal ? ScopeKind.Equal : type is null ? ScopeKind.In : ScopeKind.IsIn;
        (EntityUid? entity, bool isSlot) = EntityOrSlot(variable);
        if (IsWord("is")) Stop("is_after_in", "'is' stands before 'in'.", current.Span, $"use '{Name(variable)} is … in …'");
        return new(kind, entity, type, isSlot);
    }

    // [ "==" entity | "in" entity | "in" "[" entities "]" ]
    private ActionScope Action()
    {
        if (IsWord("is")) Stop("is_in_action_scope", "An action cannot be asked for its type in the scope.", current.Span);
        if (!IsScopeOperator()) return ActionScope.Any;
        Token op = ScopeOperator(Variable.Action);
        var actions = new List<EntityUid>();
        bool isList = false;
        int parentheses = op.Kind == TokenKind.Equal ? 0 : OpenParentheses();
        if (op.Kind != TokenKind.Equal && Accept(TokenKind.OpenBracket))
        {
            isList = true;
            while (current.Kind is not (TokenKind.CloseBracket or TokenKind.Stopped))
            {
                OneAction(actions);
                if (!Accept(TokenKind.Comma) && current.Kind != TokenKind.CloseBracket) Unexpected("',' or ']'");
            }
            Expect(TokenKind.CloseBracket, "']'");
        }
        else OneAction(actions);
        CloseParentheses(parentheses);
        if (IsWord("is")) Stop("is_in_action_scope", "An action cannot be asked for its type in the scope.", current.Span);
        return new(op.Kind == TokenKind.Equal ? ScopeKind.Equal : ScopeKind.In, actions, isList);
    }

    private void OneAction(List<EntityUid> actions)
    {
        SourceSpan start = current.Span;
        (EntityUid? action, _) = EntityOrSlot(Variable.Action);
        if (action is null) return;
        if (action.Type != "Action" && !action.Type.EndsWith("::Action", StringComparison.Ordinal))
            Report("not_an_action", $"The scope's action must be of a type named 'Action', and this is of '{Shown(action.Type)}'.", From(start.Start));
        actions.Add(action);
    }

    private bool IsScopeOperator() => IsWord("in") || current.Kind is TokenKind.Equal or TokenKind.NotEqual or TokenKind.Less or TokenKind.LessOrEqual
        or TokenKind.Greater or TokenKind.GreaterOrEqual or TokenKind.Assign;

    private Token ScopeOperator(Variable variable)
    {
        if (current.Kind == TokenKind.Assign) UseTwoEqualSigns();
        else if (current.Kind is not (TokenKind.Equal or TokenKind.Identifier))
            Stop("invalid_scope_operator", $"The scope compares the {Name(variable)} by '==', 'in' {(variable == Variable.Action ? "" : "or 'is' ")}only.",
                current.Span, "other conditions stand in 'when { … }'");
        return Advance();
    }

    /// <summary>An entity, or the slot of this variable; both null, and an error, for anything else. Parentheses may stand around.</summary>
    private (EntityUid? Entity, bool IsSlot) EntityOrSlot(Variable variable)
    {
        int parentheses = OpenParentheses();
        EntityUid? entity = null;
        bool isSlot = false;
        if (current.Kind == TokenKind.Slot)
        {
            Token slot = Advance();
            isSlot = true;
            if (variable == Variable.Action) Report("invalid_slot", "The action cannot be a slot.", slot.Span);
            else if (!Word(slot)[1..].SequenceEqual(Name(variable)))
                Report("invalid_slot", $"The slot of the {Name(variable)} is '?{Name(variable)}', not '{Shown(Word(slot).ToString())}'.", slot.Span);
        }
        else entity = EntityLiteral(variable);
        CloseParentheses(parentheses);
        return (entity, isSlot);
    }

    private EntityUid? EntityLiteral(Variable variable)
    {
        string wanted = variable == Variable.Action ? "an action such as 'Action::\"view\"'" : "an entity such as 'User::\"alice\"', or a slot,";
        switch (current.Kind)
        {
            case TokenKind.String:
                Stop("not_an_entity", "A text is no entity.", current.Span, $"put its type before: T::{Shown(Word(current).ToString())}");
                return null;
            case TokenKind.OpenBracket:
                Stop("not_an_entity", $"The {Name(variable)} is compared with one entity, not with several.", current.Span, "use several policies, or 'when { … }'");
                return null;
            case TokenKind.Identifier when !Identifiers.IsReserved(Word(current)):
                break;
            default:
                Unexpected(wanted);
                return null;
        }
        Token start = current;
        (string name, Token? id) = NameOrEntity();
        if (id is { } quoted) return new EntityUid(name, Unescape(quoted));
        if (current.Kind == TokenKind.Dot) Stop("not_an_entity", "An entity's name has no points.", current.Span, "namespaces end with '::'");
        Stop("not_an_entity", $"'{Shown(name)}' is a type or variable, not an entity.", From(start.Span.Start),
            variable == Variable.Action ? $"an action of it is '{Shown(name)}::\"…\"'" : $"use 'is {Shown(name)}', or an entity of it: '{Shown(name)}::\"…\"'");
        return null;
    }

    private int OpenParentheses()
    {
        int open = 0;
        while (Accept(TokenKind.OpenParenthesis)) open++;
        return open;
    }

    private void CloseParentheses(int open)
    {
        while (open-- > 0 && Expect(TokenKind.CloseParenthesis, "')'"))
        {
        }
    }

    private void UseTwoEqualSigns() => Stop("single_equal_sign", "'=' is no operator.", current.Span, "use '=='");

    private static string Name(Variable variable) => variable switch
    {
        Variable.Principal => "principal",
        Variable.Action => "action",
        Variable.Resource => "resource",
        _ => "context",
    };
}
