using System.Net;
using System.Net.Http.Headers;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;
using McpAuth.Testing;

namespace McpAuth.EndToEnd;

/// <summary>What a person gave a program, and whatever ends it: at both nodes at once, and at a real guard in time.</summary>
[Collection(TwoNodesWithAnn.Name)]
public sealed class PersonRevocationTests(TwoNodesWithAnn nodes)
{
    private const string Client = TwoNodesWithAnn.ConfidentialClient;
    private static readonly bool[] Everywhere = [true, true], Nowhere = [false, false];

    [PeopleOnPostgresTheory]
    [InlineData("access token")]
    [InlineData("refresh token")]
    [InlineData("refresh token used twice")]
    [InlineData("consent")]
    [InlineData("user")]
    [InlineData("access token and refresh token and consent and user")]
    [Trait("Attack", "120")]
    [Trait("Attack", "103")]
    [Trait("Spec", "Invariant-3")]
    [Trait("Spec", "Invariant-6")]
    public async Task TakenBack_AtOneNode_IsInactiveAtEveryNodeAtOnce_AndAtTheGuardInTime(string what)
    {
        NodeProbes probes = await nodes.ProbesAsync();
        TokenAnswer held = await nodes.TokensAsync(Client);
        string token = held.Text("access_token")!, refresh = held.Text("refresh_token")!;
        string last = refresh;
        if (what.EndsWith("twice", StringComparison.Ordinal)) last = (await nodes.SendAsync(Client, 0, TwoNodesWithAnn.Refresh(refresh))).Text("refresh_token")!;
        Assert.Equal(Everywhere, await probes.ActiveAsync(token));
        Assert.Equal(200, await PingAsync(token));

        if (what.Contains("access token", StringComparison.Ordinal)) await RevokeAsync(token, node: 1);
        if (what.EndsWith("twice", StringComparison.Ordinal)) Assert.Equal(400, (await nodes.SendAsync(Client, 1, TwoNodesWithAnn.Refresh(refresh))).Status);
        else if (what.Contains("refresh token", StringComparison.Ordinal)) await RevokeAsync(refresh, node: 1);
        if (what.Contains("consent", StringComparison.Ordinal)) await WithdrawAsync();
        if (what.Contains("user", StringComparison.Ordinal)) await EnableAsync(false);

        try
        {
            Assert.Equal(Nowhere, await probes.ActiveAsync(token));
            await Eventually.TrueAsync(async () => await PingAsync(token) == 401, "the guard refuses", 5 * Limits.RevocationBound);
            for (var node = 0; node < 2; node++) Assert.Equal(400, (await nodes.SendAsync(Client, node, TwoNodesWithAnn.Refresh(last))).Status);
        }
        finally
        {
            if (what.Contains("user", StringComparison.Ordinal)) await EnableAsync(true);
        }
        // Who may sign in again has to: what was ended stays so.
        Assert.Equal(Nowhere, await probes.ActiveAsync(token));
        Assert.Equal(401, await PingAsync(token));
    }

    private async Task WithdrawAsync()
    {
        Assert.Equal(200, await nodes.Ann.GoAsync(nodes.Deployment.Issuer + Names.Paths.Account));
        await nodes.Ann.PressAsync("Withdraw access of " + Client);
        await nodes.Ann.Page.GetByRole(Microsoft.Playwright.AriaRole.Status).WaitForAsync();
    }

    private Task EnableAsync(bool enabled) =>
        nodes.Deployment.ApplyAsync(registry => registry["users"]!.AsArray().Single(u => u!["id"]!.GetValue<string>() == People.Ann)!["enabled"] = enabled);

    private async Task RevokeAsync(string token, int node)
    {
        using var http = new HttpClient(nodes.Deployment.HandlerTo(node));
        using var request = new HttpRequestMessage(HttpMethod.Post, nodes.Deployment.Issuer + Names.Paths.Revoke);
        request.Headers.Authorization = TwoNodesWithAnn.Basic;
        request.Content = new FormUrlEncodedContent([new("token", token)]);
        using HttpResponseMessage response = await http.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    private async Task<int> PingAsync(string token)
    {
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, nodes.Deployment.Servers[0].Resource);
        request.Content = new StringContent("""{"jsonrpc":"2.0","id":1,"method":"ping"}""", new MediaTypeHeaderValue("application/json"));
        request.Headers.Authorization = new("Bearer", token);
        request.Headers.Add("Accept", "application/json, text/event-stream");
        using HttpResponseMessage response = await http.SendAsync(request);
        return (int)response.StatusCode;
    }
}
