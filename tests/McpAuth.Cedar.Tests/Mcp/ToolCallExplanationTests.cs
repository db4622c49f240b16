using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Evaluation;
using McpAuth.Cedar.Mcp;
using static McpAuth.Cedar.Tests.Mcp.Tools;

namespace McpAuth.Cedar.Tests.Mcp;

public class ToolCallExplanationTests
{
    private const string Policies = """
        permit(principal, action in Mcp::Action::"class:payments", resource) when { context.input.amount <= 100 } unless { context.input has to && context.input.to.iban == "X" };
        forbid(principal, action == Mcp::Action::"read_order", resource) when { context.input.order == "a" };
        """;

    [Fact]
    public void Explanation_TellsWhatIsRead_AndNothingElseOfTheCall()
    {
        Explanation explanation = Explain(Policies, """{"amount":5,"note":"secret","to":{"iban":"Y","country":"secret"},"order":7}""");
        Assert.Equal(
            """
            Allow by policy0

            permit policy0 at 1:1 is satisfied
              when context.input.amount <= 100  →  true
                context.input.amount  →  5
                  context.input  →  {amount: 5, to: {iban: "Y"}}
              unless context.input has to && context.input.to.iban == "X"  →  false
                context.input has to  →  true
                  context.input  →  {amount: 5, to: {iban: "Y"}}
                context.input.to.iban == "X"  →  false
                  context.input.to.iban  →  "Y"
                    context.input.to  →  {iban: "Y"}
                      context.input  →  {amount: 5, to: {iban: "Y"}}

            1 policy has another scope

            """,
            explanation.ToString());
    }

    [Fact]
    public void Explanation_OfAMalformedCall_IsTheFault() =>
        Assert.Equal("Deny: `amount` stands twice\n", Explain(Policies, """{"amount":5,"amount":5}""").ToString());

    [Fact]
    public void Explanation_WhereTheContextIsReadAsAWhole_ShowsTheWhole() =>
        Assert.Contains("note: \"secret\"", Explain("permit(principal, action, resource) when { (if true then context else context).input has order };", """{"amount":5,"note":"secret"}""").ToString(), StringComparison.Ordinal);

    private static Explanation Explain(string policies, string arguments) => Authorizer(policies).Explain(
        new ToolCall { Principal = Ann, Tool = Refund, Resource = Server, Session = Session, Arguments = System.Text.Encoding.UTF8.GetBytes(arguments) }, EntityStore.Empty);
}
