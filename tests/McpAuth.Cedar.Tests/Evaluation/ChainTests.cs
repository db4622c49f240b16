using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Policies;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Evaluation;

/// <summary>Chains within a condition, where they are not conditions of their own: an operand that fails, fails the whole.</summary>
public class ChainTests
{
    private static readonly Request Anything = new(new("T", "p"), new("Action", "a"), new("T", "r"), CedarRecord.Empty);

    [Theory]
    [InlineData("unless { context.nothing && true }")]
    [InlineData("unless { context.nothing && false }")]
    [InlineData("when { (context.nothing && true) == false }")]
    [InlineData("when { (context.nothing || true) == true }")]
    [InlineData("unless { context.nothing || false }")]
    public void Operand_ThatFails_FailsTheChain(string condition)
    {
        AuthorizationResponse response = Authorizer.CedarCompatible(PolicySet.Parse($"permit(principal, action, resource) {condition};").Value).Authorize(Anything, EntityStore.Empty);
        Assert.Equal(Decision.Deny, response.Decision);
        Assert.Single(response.Errors);
    }
}
