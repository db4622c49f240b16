using System.Collections.Specialized;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Testing;

namespace McpAuth.EndToEnd;

/// <summary>Two authorization servers as processes on one PostgreSQL database, and Ann, who has allowed programs to act for her.</summary>
public sealed class TwoNodesWithAnn : IAsyncLifetime
{
    public const string PublicClient = "racing-public", ConfidentialClient = "racing-confidential", Secret = "a-secret-of-the-racing-client-0123456789";

    private readonly Browser browser = new();

    public Deployment Deployment { get; private set; } = null!;

    public Visitor Ann { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        if (Chromium.Program is null || PostgresBinaries.Folder is null) return; // its tests are skipped, or fail for want of them
        await browser.InitializeAsync();
        Deployment = await Deployment.StartAsync(await (await PostgresCluster.SharedAsync()).CreateDatabaseAsync(), nodes: 2, ["files"], Register);
        Ann = await browser.NewVisitorAsync();
        await Ann.GoAsync(await Deployment.SetupLinkAsync(People.Ann));
        await Ann.Page.GetByLabel("Password").FillAsync(People.Password);
        await Ann.PressAsync("Set password");
        await Ann.Page.WaitForURLAsync(url => !url.Contains(Names.Paths.Setup, StringComparison.Ordinal));
    }

    public async Task DisposeAsync()
    {
        await browser.DisposeAsync();
        if (Deployment is not null) await Deployment.DisposeAsync();
    }

    private static void Register(JsonObject registry)
    {
        JsonArray clients = registry["clients"]!.AsArray();
        clients.Add(Client(PublicClient, Names.ClientAssertion.None));
        JsonObject confidential = Client(ConfidentialClient, Names.ClientAssertion.SecretBasic);
        confidential["secret"] = Secret;
        clients.Add(confidential);
    }

    private static JsonObject Client(string id, string method) => new()
    {
        ["id"] = id, ["name"] = id, ["auth_method"] = method, ["redirect_uris"] = new JsonArray("http://127.0.0.1/callback"),
        ["grant_types"] = new JsonArray(Names.OAuth.AuthorizationCode, Names.OAuth.RefreshToken),
    };
}

/// <summary>The same credential at two nodes at once, many times over.</summary>
public sealed class PersonRaceTests(TwoNodesWithAnn nodes) : IClassFixture<TwoNodesWithAnn>
{
    private const int Racers = 50;
    private const string Verifier = "a-verifier-for-the-races-0123456789abcdefghijklmnopqrstuvwxyz";

    private readonly Deployment deployment = nodes.Deployment;

    [PeopleOnPostgresTheory]
    [InlineData(TwoNodesWithAnn.PublicClient)]
    [InlineData(TwoNodesWithAnn.ConfidentialClient)]
    [Trait("Attack", "68")]
    [Trait("Spec", "Invariant-11")]
    public async Task Code_RedeemedByManyAtOnce_OnTwoNodes_IsRedeemedOnceAndItsLineDies(string client)
    {
        string code = await CodeAsync(client);

        Answer[] answers = await RaceAsync(client, () => new() { ["grant_type"] = "authorization_code", ["code"] = code, ["code_verifier"] = Verifier });

        Answer[] won = [.. answers.Where(a => a.Status == 200)];
        Assert.InRange(won.Length, 0, 1);
        Assert.All(answers.Where(a => a.Status != 200), a => Assert.Equal((400, "invalid_grant"), (a.Status, a.Text("error"))));
        // Who came second has proved that two have the code: what the first got is not the first's alone.
        foreach (Answer first in won)
            Assert.Equal(400, (await SendAsync(client, 0, Refresh(first.Text("refresh_token")!))).Status);
    }

    [PeopleOnPostgresFact]
    [Trait("Attack", "87")]
    [Trait("Spec", "Invariant-11")]
    public async Task RefreshToken_OfAPublicClientUsedByManyAtOnce_HasOneSuccessorTheSameForAll()
    {
        string token = await RefreshTokenAsync(TwoNodesWithAnn.PublicClient);

        Answer[] answers = await RaceAsync(TwoNodesWithAnn.PublicClient, () => Refresh(token));

        Assert.All(answers, a => Assert.Equal(200, a.Status));
        string successor = Assert.Single(answers.Select(a => a.Text("refresh_token")!).Distinct());
        Assert.Equal(Racers, answers.Select(a => a.Text("access_token")).Distinct().Count());
        Assert.Equal(200, (await SendAsync(TwoNodesWithAnn.PublicClient, 1, Refresh(successor))).Status);
    }

    [PeopleOnPostgresFact]
    [Trait("Attack", "87")]
    [Trait("Spec", "Invariant-11")]
    public async Task RefreshToken_OfAConfidentialClientUsedByManyAtOnce_IsUsedOnceAndItsLineDies()
    {
        string token = await RefreshTokenAsync(TwoNodesWithAnn.ConfidentialClient);

        Answer[] answers = await RaceAsync(TwoNodesWithAnn.ConfidentialClient, () => Refresh(token));

        Answer[] won = [.. answers.Where(a => a.Status == 200)];
        Assert.InRange(won.Length, 0, 1);
        Assert.All(answers.Where(a => a.Status != 200), a => Assert.Equal((400, "invalid_grant"), (a.Status, a.Text("error"))));
        foreach (Answer first in won)
            Assert.Equal(400, (await SendAsync(TwoNodesWithAnn.ConfidentialClient, 0, Refresh(first.Text("refresh_token")!))).Status);
    }

    private async Task<string> RefreshTokenAsync(string client)
    {
        Answer answer = await SendAsync(client, 0, new() { ["grant_type"] = "authorization_code", ["code"] = await CodeAsync(client), ["code_verifier"] = Verifier });
        Assert.True(answer.Status == 200, answer.Body);
        return answer.Text("refresh_token")!;
    }

    /// <summary>Ann is sent to the server by the program, and allows what it asks for.</summary>
    private async Task<string> CodeAsync(string client)
    {
        using var callback = new LoopbackCallback();
        Task<NameValueCollection> coming = callback.NextAsync(default);
        await People.AllowAsync(nodes.Ann, $"{deployment.Issuer}{Names.Paths.Authorize}?response_type=code&client_id={client}&scope=tools%3Aread&code_challenge_method=S256"
            + $"&code_challenge={Base64Url.Sha256(Verifier)}&resource={Uri.EscapeDataString(deployment.Servers[0].Resource)}&redirect_uri={Uri.EscapeDataString(callback.RedirectUri.AbsoluteUri)}");
        return (await coming)["code"] ?? throw new InvalidOperationException("There is no code.");
    }

    private static Dictionary<string, string> Refresh(string token) => new() { ["grant_type"] = "refresh_token", ["refresh_token"] = token };

    private async Task<Answer[]> RaceAsync(string client, Func<Dictionary<string, string>> form)
    {
        using var start = new SemaphoreSlim(0);
        Task<Answer>[] racers = [.. Enumerable.Range(0, Racers).Select(async i =>
        {
            await start.WaitAsync();
            return await SendAsync(client, i % 2, form());
        })];
        start.Release(Racers);
        return await Task.WhenAll(racers);
    }

    private async Task<Answer> SendAsync(string client, int node, Dictionary<string, string> form)
    {
        using var http = new HttpClient(deployment.HandlerTo(node));
        using var request = new HttpRequestMessage(HttpMethod.Post, deployment.Issuer + Names.Paths.Token);
        if (client == TwoNodesWithAnn.ConfidentialClient)
            request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.ASCII.GetBytes($"{client}:{TwoNodesWithAnn.Secret}")));
        else
            form["client_id"] = client;
        request.Content = new FormUrlEncodedContent(form);
        using HttpResponseMessage answer = await http.SendAsync(request);
        return new Answer((int)answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }

    private sealed record Answer(int Status, string Body)
    {
        public string? Text(string member) => JsonNode.Parse(Body)![member]?.GetValue<string>();
    }
}
