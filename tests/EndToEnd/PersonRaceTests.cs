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
    public const string Name = "two nodes with Ann", PublicClient = "racing-public", ConfidentialClient = "racing-confidential", Secret = "a-secret-of-the-racing-client-0123456789",
        Verifier = "a-verifier-for-the-races-0123456789abcdefghijklmnopqrstuvwxyz";

    private readonly Browser browser = new();
    private NodeProbes? probes;

    /// <summary>How the confidential client authenticates.</summary>
    public static AuthenticationHeaderValue Basic => new("Basic", Convert.ToBase64String(Encoding.ASCII.GetBytes($"{ConfidentialClient}:{Secret}")));

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

    internal async Task<NodeProbes> ProbesAsync() => probes ??= await NodeProbes.EnrolAsync(Deployment, Deployment.Servers[0]);

    public async Task DisposeAsync()
    {
        probes?.Dispose();
        await browser.DisposeAsync();
        if (Deployment is not null) await Deployment.DisposeAsync();
    }

    /// <summary>The answer with the first tokens of a new delegation of Ann's.</summary>
    public async Task<TokenAnswer> TokensAsync(string client)
    {
        TokenAnswer answer = await SendAsync(client, 0, new() { ["grant_type"] = "authorization_code", ["code"] = await CodeAsync(client), ["code_verifier"] = Verifier });
        Assert.True(answer.Status == 200, answer.Body);
        return answer;
    }

    /// <summary>Ann is sent to the server by the program, and allows what it asks for.</summary>
    public async Task<string> CodeAsync(string client)
    {
        using var callback = new LoopbackCallback();
        Task<NameValueCollection> coming = callback.NextAsync(default);
        await People.AllowAsync(Ann, $"{Deployment.Issuer}{Names.Paths.Authorize}?response_type=code&client_id={client}&scope=tools%3Aread&code_challenge_method=S256"
            + $"&code_challenge={Base64Url.Sha256(Verifier)}&resource={Uri.EscapeDataString(Deployment.Servers[0].Resource)}&redirect_uri={Uri.EscapeDataString(callback.RedirectUri.AbsoluteUri)}");
        return (await coming)["code"] ?? throw new InvalidOperationException("There is no code.");
    }

    public static Dictionary<string, string> Refresh(string token) => new() { ["grant_type"] = "refresh_token", ["refresh_token"] = token };

    public async Task<TokenAnswer> SendAsync(string client, int node, Dictionary<string, string> form)
    {
        using var http = new HttpClient(Deployment.HandlerTo(node));
        using var request = new HttpRequestMessage(HttpMethod.Post, Deployment.Issuer + Names.Paths.Token);
        if (client == ConfidentialClient)
            request.Headers.Authorization = Basic;
        else
            form["client_id"] = client;
        request.Content = new FormUrlEncodedContent(form);
        using HttpResponseMessage answer = await http.SendAsync(request);
        return new TokenAnswer((int)answer.StatusCode, await answer.Content.ReadAsStringAsync());
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

/// <summary>What the token endpoint answered.</summary>
public sealed record TokenAnswer(int Status, string Body)
{
    public string? Text(string member) => JsonNode.Parse(Body)![member]?.GetValue<string>();
}

[CollectionDefinition(TwoNodesWithAnn.Name)]
public sealed class TwoNodesWithAnnDefinition : ICollectionFixture<TwoNodesWithAnn>;

/// <summary>The same credential at two nodes at once, many times over.</summary>
[Collection(TwoNodesWithAnn.Name)]
public sealed class PersonRaceTests(TwoNodesWithAnn nodes)
{
    private const int Racers = 50;

    [PeopleOnPostgresTheory]
    [InlineData(TwoNodesWithAnn.PublicClient)]
    [InlineData(TwoNodesWithAnn.ConfidentialClient)]
    [Trait("Attack", "68")]
    [Trait("Spec", "Invariant-11")]
    public async Task Code_RedeemedByManyAtOnce_OnTwoNodes_IsRedeemedOnceAndItsLineDies(string client)
    {
        string code = await nodes.CodeAsync(client);

        TokenAnswer[] answers = await RaceAsync(client, () => new() { ["grant_type"] = "authorization_code", ["code"] = code, ["code_verifier"] = TwoNodesWithAnn.Verifier });

        TokenAnswer[] won = [.. answers.Where(a => a.Status == 200)];
        Assert.InRange(won.Length, 0, 1);
        Assert.All(answers.Where(a => a.Status != 200), a => Assert.Equal((400, "invalid_grant"), (a.Status, a.Text("error"))));
        // Who came second has proved that two have the code: what the first got is not the first's alone.
        foreach (TokenAnswer first in won)
            Assert.Equal(400, (await nodes.SendAsync(client, 0, TwoNodesWithAnn.Refresh(first.Text("refresh_token")!))).Status);
    }

    [PeopleOnPostgresFact]
    [Trait("Attack", "87")]
    [Trait("Spec", "Invariant-11")]
    public async Task RefreshToken_OfAPublicClientUsedByManyAtOnce_HasOneSuccessorTheSameForAll()
    {
        string token = (await nodes.TokensAsync(TwoNodesWithAnn.PublicClient)).Text("refresh_token")!;

        TokenAnswer[] answers = await RaceAsync(TwoNodesWithAnn.PublicClient, () => TwoNodesWithAnn.Refresh(token));

        Assert.All(answers, a => Assert.Equal(200, a.Status));
        string successor = Assert.Single(answers.Select(a => a.Text("refresh_token")!).Distinct());
        Assert.Equal(Racers, answers.Select(a => a.Text("access_token")).Distinct().Count());
        Assert.Equal(200, (await nodes.SendAsync(TwoNodesWithAnn.PublicClient, 1, TwoNodesWithAnn.Refresh(successor))).Status);
    }

    [PeopleOnPostgresFact]
    [Trait("Attack", "87")]
    [Trait("Spec", "Invariant-11")]
    public async Task RefreshToken_OfAConfidentialClientUsedByManyAtOnce_IsUsedOnceAndItsLineDies()
    {
        string token = (await nodes.TokensAsync(TwoNodesWithAnn.ConfidentialClient)).Text("refresh_token")!;

        TokenAnswer[] answers = await RaceAsync(TwoNodesWithAnn.ConfidentialClient, () => TwoNodesWithAnn.Refresh(token));

        TokenAnswer[] won = [.. answers.Where(a => a.Status == 200)];
        Assert.InRange(won.Length, 0, 1);
        Assert.All(answers.Where(a => a.Status != 200), a => Assert.Equal((400, "invalid_grant"), (a.Status, a.Text("error"))));
        foreach (TokenAnswer first in won)
            Assert.Equal(400, (await nodes.SendAsync(TwoNodesWithAnn.ConfidentialClient, 0, TwoNodesWithAnn.Refresh(first.Text("refresh_token")!))).Status);
    }

    private async Task<TokenAnswer[]> RaceAsync(string client, Func<Dictionary<string, string>> form)
    {
        using var start = new SemaphoreSlim(0);
        Task<TokenAnswer>[] racers = [.. Enumerable.Range(0, Racers).Select(async i =>
        {
            await start.WaitAsync();
            return await nodes.SendAsync(client, i % 2, form());
        })];
        start.Release(Racers);
        return await Task.WhenAll(racers);
    }
}
