using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using McpAuth.Client;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.ToolCalls;
using McpAuth.Testing;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;

namespace McpAuth.EndToEnd;

/// <summary>An agent in a cluster, by its projected token, against the real server; and the code of docs/agents.md.</summary>
public sealed class WorkloadStoryTests : IAsyncLifetime
{
    private const string Cluster = "https://kubernetes.default.svc.cluster.local", Account = "a087d5a0-e1dd-43ec-93ac-f13d89cd13af", Email = "ann@example.com",
        Password = "correct horse battery staple";

    private readonly TempDirectory directory = new();
    private readonly SigningKey cluster = SigningKey.Create("RS256");
    private Deployment deployment = null!;

    private GuardedServer Files => deployment.Servers[0];

    public async Task InitializeAsync() => deployment = await Deployment.StartAsync(postgres: null, nodes: 1, ["files"], Register);

    public async Task DisposeAsync()
    {
        await deployment.DisposeAsync();
        directory.Dispose();
        cluster.Dispose();
    }

    [Fact]
    public async Task Pod_ByItsProjectedToken_IsAnInstanceThatWorksAndIsRenewedAfterTheFileWasReplaced()
    {
        string file = directory.Write("token", Token());
        using SigningKey key = SigningKey.Create();
        WorkloadEvidence evidence = WorkloadEvidence.TokenFile(file);
        await using AgentSession session = await AgentSession.AttestAsync(deployment.Issuer, evidence, key);
        Assert.Equal("agt_first", session.Agent);

        await using AgentTask task = await session.BeginTask("read", Authority.ForTools(Files.Resource, ["read_file"]));
        await using McpClient mcp = await Files.ConnectAsync(task);
        CallToolResult result = await mcp.CallToolAsync("read_file", new Dictionary<string, object?> { ["path"] = "reports/q1.md" });
        Assert.NotEqual(true, result.IsError);

        directory.Write("token", Token());
        await using AgentSession renewed = await AgentSession.AttestAsync(deployment.Issuer, evidence, key);
        Assert.Equal(session.Instance, renewed.Instance);
    }

    [Theory]
    [InlineData("aud", "https://other.example", "wrong_audience")]
    [InlineData("exp", "past", Names.Reasons.Expired)]
    [InlineData("iss", "https://other.example", "unknown_issuer")]
    [InlineData("uid", "another", "no_binding")]
    public async Task Pod_WithATokenThatIsNotToBeBelieved_IsToldWhy(string what, string value, string reason)
    {
        string file = directory.Write("token", Token(what, value));
        OAuthErrorException e = await Assert.ThrowsAsync<OAuthErrorException>(() => AgentSession.AttestAsync(deployment.Issuer, WorkloadEvidence.TokenFile(file)));
        Assert.Equal((400, "invalid_grant", reason), (e.Status, e.Error, e.Reason));
    }

    /// <summary>Both programs have the token; the key that came with it first has the instance.</summary>
    [Fact]
    public async Task Token_ThatAnotherProgramCameWith_IsRefused()
    {
        string file = directory.Write("token", Token());
        await using AgentSession first = await AgentSession.AttestAsync(deployment.Issuer, WorkloadEvidence.TokenFile(file));
        OAuthErrorException e = await Assert.ThrowsAsync<OAuthErrorException>(() => AgentSession.AttestAsync(deployment.Issuer, WorkloadEvidence.TokenFile(file)));
        Assert.Equal("evidence_of_another_key", e.Reason);
    }

    [Fact]
    public async Task GuideCode_AgainstTheRealServer_DoesWhatTheGuideSays()
    {
        Assert.Equal("agt_first", await GuideCode.InAPodAsync(deployment.Issuer, directory.Write("token", Token())));
        Assert.NotNull(GuideCode.InAJobOfGitHub(deployment.Issuer));

        await using AgentSession first = await deployment.AttestAsync(deployment.First), second = await deployment.AttestAsync(deployment.Second);
        Task<AgentTask> asking = GuideCode.AskAsync(first, Authority.ForTools(Files.Resource, ["list_files", "read_file"]));
        await Eventually.TrueAsync(async () => (await deployment.EventsAsync(AuditTypes.PersonAsked)).Count > 0 || asking.IsCompleted, "the question waits", Deployment.Patience);
        await using ChildProcess person = ChildProcess.Start(ChildProcess.Dotnet, [Built.Dll("samples/Person"), "--email", Email, "--password-file", directory.Write("password", Password), "--waiting", "--open", deployment.Issuer + Names.Paths.Account]);
        Assert.True(await person.WaitForExitAsync(Deployment.Patience) == 0, person.Text);
        Assert.Contains("Ticket 4711", person.Text, StringComparison.Ordinal);
        await using AgentTask task = await asking.WaitAsync(Deployment.Patience);
        Assert.Equal("usr_ann", task.View.User);

        await using AgentTask child = await GuideCode.TakeAsync(second, await GuideCode.GiveAsync(task, Files.Resource));
        Assert.Equal((task.Id, "usr_ann", "read the reports"), (child.View.ParentTask, child.View.User, child.View.Purpose));
        JsonNode claims = (await child.GetToken(Files.Resource)).Claims();
        Assert.Equal(("usr_ann", "agt_second", "agt_first"), ((string?)claims["sub"], (string?)claims["act"]!["sub"], (string?)claims["act"]!["act"]!["sub"]));

        // The giver takes it back, and its own task goes on.
        using RawCaller taken = await Files.CallerAsync(second, child), own = await Files.CallerAsync(first, task);
        Assert.True((await taken.ReadAsync()).Ran);
        await task.TakeBack(child.Id);
        await Eventually.TrueAsync(taken.IsRefusedAsync, "what was taken back is refused", 5 * Limits.RevocationBound);
        Assert.True((await own.ReadAsync()).Ran);

        // A copy that ends leaves its task to the next one.
        string place = directory.Write("task", "");
        await using (AgentSession copy = await deployment.AttestAsync(deployment.First))
            await GuideCode.BeginAsync(copy, Authority.ForTools(Files.Resource, ["read_file"]), place);
        await using AgentSession next = await deployment.AttestAsync(deployment.First);
        await using AgentTask resumed = await GuideCode.GoOnAsync(next, place);
        using RawCaller again = await Files.CallerAsync(next, resumed);
        Assert.True((await again.ReadAsync()).Ran);
    }

    [Fact]
    public async Task GuideCode_StandsInTheGuide_AsItIsRunHere()
    {
        string guide = await File.ReadAllTextAsync(Path.Combine(Built.Root, "docs", "agents.md")), code = await File.ReadAllTextAsync(Path.Combine(Built.Root, "tests", "EndToEnd", "GuideCode.cs"));
        string[] blocks = [.. Regex.Matches(guide, "```csharp\n(.*?)```", RegexOptions.Singleline).Select(m => m.Groups[1].Value)];
        Assert.Equal(7, blocks.Length);
        Assert.All(blocks, block => Assert.Contains(Unindented(block), Unindented(code), StringComparison.Ordinal));
    }

    private static string Unindented(string text) => string.Join('\n', text.Split('\n').Select(l => l.Trim()).Where(l => l.Length > 0));

    private string Token(string? what = null, string? value = null)
    {
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        return cluster.Sign("JWT", json =>
        {
            json.WriteString("iss", what == "iss" ? value : Cluster);
            json.WriteString("aud", what == "aud" ? value : deployment.Issuer);
            json.WriteString("sub", "system:serviceaccount:prod:summariser");
            json.WriteString("jti", Id.New("", now));
            json.WriteNumber("iat", now.AddMinutes(-20).ToUnixTimeSeconds());
            json.WriteNumber("nbf", now.AddMinutes(-20).ToUnixTimeSeconds());
            json.WriteNumber("exp", now.AddMinutes(what == "exp" ? -5 : 10).ToUnixTimeSeconds());
            json.WriteStartObject("kubernetes.io");
            json.WriteString("namespace", "prod");
            json.WriteStartObject("serviceaccount");
            json.WriteString("name", "summariser");
            json.WriteString("uid", what == "uid" ? value : Account);
            json.WriteEndObject();
            json.WriteStartObject("pod");
            json.WriteString("name", "summariser-1");
            json.WriteString("uid", "778a530c");
            json.WriteEndObject();
            json.WriteEndObject();
        });
    }

    private void Register(JsonObject registry)
    {
        registry["users"]![0]!["password"] = Password;
        registry["clients"]![0]!["grant_types"] = new JsonArray(Names.Exchange.GrantType, Names.Ciba.GrantType, Names.OAuth.RefreshToken);
        registry["workload_issuers"] = new JsonArray(new JsonObject
        {
            ["id"] = "wli_prod", ["name"] = "The production cluster", ["kind"] = "kubernetes", ["issuer"] = Cluster,
            ["jwks"] = new JsonObject { ["keys"] = new JsonArray(JsonNode.Parse(cluster.Public.Jwk.GetRawText())) },
        });
        registry["agents"]![0]!["trust"] = new JsonArray(new JsonObject
        {
            ["issuer"] = "wli_prod", ["client"] = "workload",
            ["select"] = new JsonObject { ["namespace"] = "prod", ["service_account"] = "summariser", ["service_account_uid"] = Account },
        });
        registry["clients"]!.AsArray().Add(new JsonObject
        {
            ["id"] = "workload", ["name"] = "Workload", ["agent"] = "agt_first", ["auth_method"] = Names.ClientAssertion.InstanceKey,
            ["grant_types"] = new JsonArray(Names.Exchange.GrantType),
        });
    }
}
