using System.Net;
using McpAuth.Cedar.Entities;
using McpAuth.Cedar.Mcp;
using McpAuth.Cedar.Schemas;
using McpAuth.Cedar.Values;

namespace McpAuth.Cedar.Tests.Mcp;

public class McpCallerTests
{
    private static readonly DateTimeOffset Noon = DateTimeOffset.FromUnixTimeMilliseconds(1_795_345_200_000);

    private static readonly McpCaller Full = new()
    {
        Kind = McpSubject.User, Subject = "usr_ann", Groups = ["support", "support", "staff"], Agent = new("agt_1", "usr_bob", "payments", Noon), Chain = ["agt_2"], Instance = "ins_1",
        Client = "app", Task = new("tsk_2", Noon, "tsk_1"), Attestation = new("platform", "spiffe://corp/agent"), Scopes = ["tool:refund"], Acr = "phr", Authenticated = Noon,
    };

    public static TheoryData<McpCaller, string> Callers => new()
    {
        { Full, "Mcp::User::\"usr_ann\"" },
        { new() { Kind = McpSubject.User, Subject = "usr_ann" }, "Mcp::User::\"usr_ann\"" },
        { new() { Kind = McpSubject.Agent, Subject = "agt_1", Agent = new("agt_1"), Task = new("tsk_1") }, "Mcp::Agent::\"agt_1\"" },
        { new() { Kind = McpSubject.Client, Subject = "batch", Client = "batch" }, "Mcp::Client::\"batch\"" },
    };

    [Theory, MemberData(nameof(Callers))]
    public void Caller_IsOneThatPoliciesKnow(McpCaller caller, string principal)
    {
        ArgumentNullException.ThrowIfNull(caller);
        Assert.Equal(principal, caller.Principal.ToString());
        CedarSchema schema = Tools.Model.Schema!;
        foreach (Entity entity in caller.Entities().Entities) Assert.Null(schema.FaultOf(entity));
        foreach (McpApproval? approval in new[] { null, new McpApproval("apr_1", "usr_bob", Noon), new("apr_1", "usr_bob") })
        {
            var context = new CedarRecord([new("input", Value.Of(new CedarRecord([new("amount", Value.Of(1))]))), new("session", Value.Of(caller.Session(Noon, approval, IPAddress.Parse("::ffff:10.0.0.7"))))]);
            Assert.Null(schema.FaultOf(new Request(caller.Principal, Tools.Model.ActionOf("refund")!, McpCaller.Server("https://shop.example/mcp"), context)));
        }
    }

    [Fact]
    public void Policies_SeeAllOfIt()
    {
        const string All = """
            permit(principal in Mcp::Group::"staff", action, resource == Mcp::Server::"https://shop.example/mcp") when {
              context.session.user == principal && context.session.agent.owner == Mcp::User::"usr_bob" && context.session.agent.class == "payments"
              && context.session.agent.review == context.session.time && context.session.chain == [Mcp::Agent::"agt_2"] && context.session.instance == "ins_1"
              && context.session.client == "app" && context.session.task == { id: "tsk_2", deadline: datetime("2026-11-22T11:00:00Z"), parent: "tsk_1" }
              && context.session.attestation == { assurance: "platform", workload: "spiffe://corp/agent" } && context.session.scopes == ["tool:refund"]
              && context.session.acr == "phr" && context.session.authenticated == context.session.time && context.session.address == ip("10.0.0.7")
              && context.session.approval == { id: "apr_1", by: Mcp::User::"usr_bob" } };
            """;
        CedarRecord session = Full.Session(Noon, new("apr_1", "usr_bob"), IPAddress.Parse("::ffff:10.0.0.7"));
        Assert.Equal("Allow by policy0", Tools.Authorizer(All).Call("""{"amount":1}""", principal: Full.Principal, session: session, entities: Full.Entities()).Outcome());
        Assert.Equal("Deny: NothingPermits", Tools.Authorizer(All).Call("""{"amount":1}""", principal: Full.Principal, session: session, entities: (Full with { Groups = [] }).Entities()).Outcome());
    }
}
