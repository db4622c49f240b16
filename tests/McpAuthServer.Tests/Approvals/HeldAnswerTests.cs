using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Approvals;

/// <summary>An answer counts by who the person is when it is complete, not when it was begun: whoever sends slowly gains nothing.</summary>
public sealed class HeldAnswerTests(TestServer server) : IClassFixture<TestServer>
{
    [Theory]
    [InlineData("groups")]
    [InlineData("disabled")]
    [InlineData("signed_out")]
    public async Task Yes_OfWhoMayNoLonger_WhenItsFormIsComplete_CountsForNothing(string what)
    {
        var (w, other) = (await ApprovalWorld.OfAsync(server), await server.ScenarioAsync());
        var group = $"grp_held_{w.S.Suffix}";
        Task ApplyAsync(bool member, bool enabled) => server.ApplyAsync(new JsonObject
        {
            ["groups"] = new JsonArray(new JsonObject { ["id"] = group, ["name"] = "Approvers" }),
            ["users"] = new JsonArray(new JsonObject
            {
                ["id"] = other.User, ["name"] = "Bea", ["email"] = other.Person.Email, ["groups"] = member ? new JsonArray(group) : new JsonArray(), ["enabled"] = enabled,
            }),
        }.ToJsonString());
        await ApplyAsync(member: true, enabled: true);
        await w.Policies.ActivateAsync($$"""
            permit(principal, action, resource);
            permit(principal in Mcp::Group::"{{group}}", action == Mcp::Action::"approval:give", resource);
            """);
        w.Hash = (await w.Policies.FetchAsync()).Hash;
        var id = (await w.HoldAsync()).Id!;
        var browser = await w.BrowserAsync(other.Person);
        var page = await browser.GetAsync(ApprovalWorld.Path(id));
        Assert.Equal(HttpStatusCode.OK, page.Status);

        using var form = new HeldContent($"csrf={Uri.EscapeDataString(page.Form()["csrf"]!)}&decision=", "approve");
        var second = new TestBrowser(server);
        foreach (var (name, value) in browser.Cookies)
            second.Cookies[name] = value;
        var answering = browser.SendAsync(new HttpRequestMessage(HttpMethod.Post, ApprovalWorld.Path(id)) { Content = form });
        await form.Begun.WaitAsync(TimeSpan.FromSeconds(10));
        await Task.Delay(500);
        if (what == "signed_out")
        {
            var account = await second.GetAsync(Names.Paths.Account);
            Assert.Equal(HttpStatusCode.SeeOther, (await second.PostFormAsync(account, action: Names.Paths.SignOut)).Status);
        }
        else
        {
            await ApplyAsync(member: what != "groups", enabled: what != "disabled");
        }
        form.GoOn();
        var answer = await answering.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.True(("waiting", true) == await w.StateAsync(id), $"{answer.Status}: {(await w.StateAsync(id)).State}");
    }

    /// <summary>What an administrator begins to send, and completes when suspended.</summary>
    [Fact]
    public async Task Administrator_SuspendedBeforeTheBodyIsComplete_ChangesNothing()
    {
        var s = await server.ScenarioAsync();
        var (ops, other) = (await TestAdministrator.OfAsync(server), await TestAdministrator.OfAsync(server));
        var path = Names.Paths.Admin + "/revocations";
        using var body = new HeldContent("""{"level":"agent","reason":"x","id":""", $"\"{s.Agent.Id}\"}}", "application/json");
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = body };
        request.Headers.TryAddWithoutValidation("Authorization", "DPoP " + ops.Token);
        request.Headers.Add("DPoP", ops.Proof(HttpMethod.Post, path, ops.Token));
        var sending = server.Client().SendAsync(request);
        await body.Begun.WaitAsync(TimeSpan.FromSeconds(10));
        await Task.Delay(500);
        var suspended = await other.SendAsync(HttpMethod.Post, "/revocations", new JsonObject { ["level"] = "client", ["id"] = ops.Id, ["reason"] = "stolen" });
        Assert.True(suspended.IsSuccessStatusCode, await suspended.Content.ReadAsStringAsync());
        body.GoOn();
        var answer = await sending.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.True(answer.StatusCode == HttpStatusCode.Unauthorized, $"{answer.StatusCode} {await answer.Content.ReadAsStringAsync()}");
    }
}
