using McpAuth.Cedar.Policies;

namespace McpAuth.Cedar.Tests.Policies;

/// <summary>What people see of typical mistakes: every message with its place, literally.</summary>
public sealed class MistakeTests
{
    [Theory, Trait("Spec", "Cedar-policies")]
    [InlineData("""
        permit(principal, action, resource)
        """, """
        1:36: error: Here ';', 'when' or 'unless' is expected, but the text ends.
          permit(principal, action, resource)
                                             ^
        """)]
    [InlineData("""
        permit(principal, action, resource)
        forbid(principal, action, resource);
        """, """
        2:1: error: The policy before this one has no ';' at its end.
          forbid(principal, action, resource);
          ^^^^^^
        """)]
    [InlineData("""
        permti(principal, action, resource);
        """, """
        1:1: error: A policy begins with 'permit' or 'forbid', not with 'permti'. (did you mean 'permit'?)
          permti(principal, action, resource);
          ^^^^^^
        """)]
    [InlineData("""
        permit principal, action, resource;
        """, """
        1:8: error: Here '(' and the scope is expected, not 'principal'.
          permit principal, action, resource;
                 ^^^^^^^^^
        """)]
    [InlineData("""
        permit(principal, action);
        """, """
        1:25: error: The scope names no resource; it must name principal, action and resource, in this order.
          permit(principal, action);
                                  ^
        """)]
    [InlineData("""
        permit(principal, resource, action);
        """, """
        1:19: error: Here the action belongs, not the resource. (the order is principal, action, resource)
          permit(principal, resource, action);
                            ^^^^^^^^
        1:29: error: Here the resource belongs, not the action. (the order is principal, action, resource)
          permit(principal, resource, action);
                                      ^^^^^^
        """)]
    [InlineData("""
        permit(principle, action, resource);
        """, """
        1:8: error: Here 'principal' is expected, not 'principle'. (did you mean 'principal'?)
          permit(principle, action, resource);
                 ^^^^^^^^^
        """)]
    [InlineData("""
        permit(principal, action, resource, context);
        """, """
        1:37: error: A scope has three parts: the principal, the action and the resource. (further conditions stand in 'when { … }')
          permit(principal, action, resource, context);
                                              ^^^^^^^
        """)]
    [InlineData("""
        permit(principal: User, action, resource);
        """, """
        1:17: error: The type of the principal cannot stand behind a colon. (use 'principal is …')
          permit(principal: User, action, resource);
                          ^
        """)]
    [InlineData("""
        permit(principal = User::"alice", action, resource);
        """, """
        1:18: error: '=' is no operator. (use '==')
          permit(principal = User::"alice", action, resource);
                           ^
        """)]
    [InlineData("""
        permit(principal == "alice", action, resource);
        """, """
        1:21: error: A text is no entity. (put its type before: T::"alice")
          permit(principal == "alice", action, resource);
                              ^^^^^^^
        """)]
    [InlineData("""
        permit(principal == User, action, resource);
        """, """
        1:21: error: 'User' is a type or variable, not an entity. (use 'is User', or an entity of it: 'User::"…"')
          permit(principal == User, action, resource);
                              ^^^^
        """)]
    [InlineData("""
        permit(principal in [User::"a", User::"b"], action, resource);
        """, """
        1:21: error: The principal is compared with one entity, not with several. (use several policies, or 'when { … }')
          permit(principal in [User::"a", User::"b"], action, resource);
                              ^
        """)]
    [InlineData("""
        permit(principal == ?resource, action, resource);
        """, """
        1:21: error: The slot of the principal is '?principal', not '?resource'.
          permit(principal == ?resource, action, resource);
                              ^^^^^^^^^
        """)]
    [InlineData("""
        permit(principal, action == ?action, resource);
        """, """
        1:29: error: The action cannot be a slot.
          permit(principal, action == ?action, resource);
                                      ^^^^^^^
        """)]
    [InlineData("""
        permit(principal, action == User::"alice", resource);
        """, """
        1:29: error: The scope's action must be of a type named 'Action', and this is of 'User'.
          permit(principal, action == User::"alice", resource);
                                      ^^^^^^^^^^^^^
        """)]
    [InlineData("""
        permit(principal, action is Action, resource);
        """, """
        1:26: error: An action cannot be asked for its type in the scope.
          permit(principal, action is Action, resource);
                                   ^^
        """)]
    [InlineData("""
        permit(principal in Group::"g" is User, action, resource);
        """, """
        1:32: error: 'is' stands before 'in'. (use 'principal is … in …')
          permit(principal in Group::"g" is User, action, resource);
                                         ^^
        """)]
    [InlineData("""
        permit(principal is User == User::"a", action, resource);
        """, """
        1:26: error: 'is' and '==' cannot stand together: an entity has one type. (leave 'is' out)
          permit(principal is User == User::"a", action, resource);
                                   ^^
        """)]
    [InlineData("""
        permit(principal != User::"a", action, resource);
        """, """
        1:18: error: The scope compares the principal by '==', 'in' or 'is' only. (other conditions stand in 'when { … }')
          permit(principal != User::"a", action, resource);
                           ^^
        """)]
    [InlineData("""
        @id("a") @id("b")
        permit(principal, action, resource);
        """, """
        1:10: error: The annotation '@id' stands twice.
          @id("a") @id("b")
                   ^^^^^^^^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { };
        """, """
        1:37: error: There is nothing in the braces of 'when'.
          permit(principal, action, resource) when { };
                                              ^^^^^^^^
        """)]
    [InlineData("""
        permit(principal, action, resource) whn { true };
        """, """
        1:37: error: A condition begins with 'when' or 'unless', not with 'whn'. (did you mean 'when'?)
          permit(principal, action, resource) whn { true };
                                              ^^^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { principal.age = 18 };
        """, """
        1:58: error: '=' is no operator. (use '==')
          permit(principal, action, resource) when { principal.age = 18 };
                                                                   ^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { principal.age > 18 && };
        """, """
        1:66: error: Here an expression is expected, not '}'.
          t(principal, action, resource) when { principal.age > 18 && };
                                                                      ^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { principal.age > 18 & true };
        """, """
        1:63: error: The character '&' has no meaning here. (use '&&')
          rmit(principal, action, resource) when { principal.age > 18 & true };
                                                                      ^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { 1 < principal.age < 18 };
        """, """
        1:62: error: Comparisons do not follow one another. (join them by '&&', or use parentheses)
          ermit(principal, action, resource) when { 1 < principal.age < 18 };
                                                                      ^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { !!!!!true };
        """, """
        1:44: error: At most 4 of '!' stand in a row.
          permit(principal, action, resource) when { !!!!!true };
                                                     ^^^^^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { 10 / 2 == 5 };
        """, """
        1:47: error: Cedar has no division.
          permit(principal, action, resource) when { 10 / 2 == 5 };
                                                        ^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { 9223372036854775808 > 1 };
        """, """
        1:44: error: An integer lies between -9223372036854775808 and 9223372036854775807.
          permit(principal, action, resource) when { 9223372036854775808 > 1 };
                                                     ^^^^^^^^^^^^^^^^^^^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { principals.age > 18 };
        """, """
        1:44: error: 'principals' is no variable. (did you mean 'principal'?)
          permit(principal, action, resource) when { principals.age > 18 };
                                                     ^^^^^^^^^^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { context.ip.isLoopBack() };
        """, """
        1:55: error: There is no method 'isLoopBack'. (did you mean 'isLoopback'?)
          permit(principal, action, resource) when { context.ip.isLoopBack() };
                                                                ^^^^^^^^^^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { context.tags.contains("a", "b") };
        """, """
        1:57: error: 'contains' takes one argument, and here are 2.
          permit(principal, action, resource) when { context.tags.contains("a", "b") };
                                                                  ^^^^^^^^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { isIpv4(context.ip) };
        """, """
        1:44: error: 'isIpv4' is a method, not a function. (use 'x.isIpv4(…)')
          permit(principal, action, resource) when { isIpv4(context.ip) };
                                                     ^^^^^^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { context.ip.ip() };
        """, """
        1:55: error: 'ip' is a function, not a method. (use 'ip(…)')
          permit(principal, action, resource) when { context.ip.ip() };
                                                                ^^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { decimel("1.0") == 1 };
        """, """
        1:44: error: There is no function 'decimel'. (did you mean 'decimal'?)
          permit(principal, action, resource) when { decimel("1.0") == 1 };
                                                     ^^^^^^^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { context["a" + "b"] };
        """, """
        1:52: error: In brackets stands the name of an attribute: a text in quotes.
          permit(principal, action, resource) when { context["a" + "b"] };
                                                             ^^^^^^^^^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { context.in };
        """, """
        1:52: error: 'in' is a reserved word and no name. (write it as ["in"], or behind 'has' in quotes)
          permit(principal, action, resource) when { context.in };
                                                             ^^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { {a: 1, "a": 2} == context };
        """, """
        1:51: error: The key 'a' stands twice in this record.
          permit(principal, action, resource) when { {a: 1, "a": 2} == context };
                                                            ^^^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { "a\qb" == "c" };
        """, """
        1:46: error: This is no escape.
          permit(principal, action, resource) when { "a\qb" == "c" };
                                                       ^^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { "\u{d800}" == "c" };
        """, """
        1:45: error: There is no such character in Unicode.
          permit(principal, action, resource) when { "\u{d800}" == "c" };
                                                      ^^^^^^^^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { "abc };
        """, """
        1:44: error: This text has no closing quote.
          permit(principal, action, resource) when { "abc };
                                                     ^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { 'abc' };
        """, """
        1:44: error: The character ''' has no meaning here. (texts stand in double quotes)
          permit(principal, action, resource) when { 'abc' };
                                                     ^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { principal is "User" };
        """, """
        1:57: error: Here the name of an entity type is expected, not the text "User". (without quotes)
          permit(principal, action, resource) when { principal is "User" };
                                                                  ^^^^^^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { principal is User::"a" };
        """, """
        1:57: error: Behind 'is' stands a type, not an entity. (compare entities by '==' or 'in')
          permit(principal, action, resource) when { principal is User::"a" };
                                                                  ^^^^^^^^^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { context.name like context.pattern };
        """, """
        1:62: error: Here a pattern in quotes is expected, not 'context'. ('like' takes no other expression)
          ermit(principal, action, resource) when { context.name like context.pattern };
                                                                      ^^^^^^^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { principal has a["b"] };
        """, """
        1:59: error: Behind 'has' stands the name of an attribute, or several joined by points. (compare the value in a further condition)
          permit(principal, action, resource) when { principal has a["b"] };
                                                                    ^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { ?principal == principal };
        """, """
        1:44: error: Slots stand in the scope only. (use 'principal')
          permit(principal, action, resource) when { ?principal == principal };
                                                     ^^^^^^^^^^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { if true then 1 };
        """, """
        1:59: error: Here an operator or 'else' is expected, not '}'.
          permit(principal, action, resource) when { if true then 1 };
                                                                    ^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { (1 + 2 };
        """, """
        1:51: error: Here an operator or ')' is expected, not '}'.
          permit(principal, action, resource) when { (1 + 2 };
                                                            ^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { [1, 2 };
        """, """
        1:50: error: Here an operator, ',' or ']' is expected, not '}'.
          permit(principal, action, resource) when { [1, 2 };
                                                           ^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { 1 + if true then 1 else 2 };
        """, """
        1:48: error: Here an operand is expected, not 'if'. (put parentheses around 'if … then … else …')
          permit(principal, action, resource) when { 1 + if true then 1 else 2 };
                                                         ^^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { User::alice == principal };
        """, """
        1:44: error: 'User::alice' is no variable. (an entity is 'User::alice::"…"')
          permit(principal, action, resource) when { User::alice == principal };
                                                     ^^^^^^^^^^^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { principal.name("x") };
        """, """
        1:54: error: There is no method 'name'.
          permit(principal, action, resource) when { principal.name("x") };
                                                               ^^^^
        """)]
    [InlineData("""
        permit(principal, action, resource) when { context.a; };
        permti(principal, action, resource);
        permit(principal, action, resource) when { foo() };
        """, """
        1:53: error: Here an operator or '}' is expected, not ';'.
          permit(principal, action, resource) when { context.a; };
                                                              ^
        2:1: error: A policy begins with 'permit' or 'forbid', not with 'permti'. (did you mean 'permit'?)
          permti(principal, action, resource);
          ^^^^^^
        3:44: error: There is no function 'foo'.
          permit(principal, action, resource) when { foo() };
                                                     ^^^
        """)]
    public void Mistake_IsShownWithItsPlace(string text, string expected)
    {
        Parsed<PolicySet> parsed = PolicySet.Parse(text);
        Assert.False(parsed.Ok);
        Assert.Equal(expected.ReplaceLineEndings("\n"), string.Join('\n', parsed.Diagnostics.Select(d => d.Render())));
    }
}
