using System.Text.Json;
using McpAuth.Client;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Testing;
using Xunit.Abstractions;

namespace McpAuth.EndToEnd;

/// <summary>Two authorization servers on one PostgreSQL database, one guarded tool server, and a guard that asks both nodes.</summary>
public sealed class TwoNodes : IAsyncLifetime
{
    private NodeProbes? probes;

    public Deployment Deployment { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        if (PostgresBinaries.Folder is null) return; // its tests are skipped, or fail for want of it
        PostgresCluster cluster = await PostgresCluster.SharedAsync();
        Deployment = await Deployment.StartAsync(await cluster.CreateDatabaseAsync(), nodes: 2, "files");
        probes = await NodeProbes.EnrolAsync(Deployment, Deployment.Servers[0]);
    }

    /// <summary>Whether each node calls the token active, asked at this moment.</summary>
    public Task<bool[]> ActiveAsync(string token) => probes!.ActiveAsync(token);

    public async Task DisposeAsync()
    {
        probes?.Dispose();
        if (Deployment is not null) await Deployment.DisposeAsync();
    }
}

public sealed class TwoNodesTests(TwoNodes nodes, ITestOutputHelper output) : IClassFixture<TwoNodes>
{
    private const string Read = """{"read_file":{}}""";
    private static readonly bool[] Everywhere = [true, true], Nowhere = [false, false];

    private readonly Deployment deployment = nodes.Deployment;

    [PostgresTheory]
    [InlineData("token")]
    [InlineData("grant above")]
    [InlineData("task")]
    [InlineData("instance")]
    [InlineData("client")]
    [InlineData("agent")]
    [InlineData("token and client, client restored")]
    [InlineData("token and task and instance and client and agent, all restored")]
    [Trait("Attack", "120")]
    [Trait("Attack", "103")]
    [Trait("Spec", "Invariant-3")]
    [Trait("Spec", "Invariant-6")]
    public async Task Revoked_AtOneNode_IsInactiveAtEveryNodeAtOnce_AndAtTheGuardInTime(string what)
    {
        GuardedServer files = deployment.Servers[0];
        await using AgentSession session = await deployment.AttestAsync(deployment.First, node: 0), elsewhere = await deployment.AttestAsync(deployment.First, node: 1);
        await using AgentTask task = await session.BeginTask("work", deployment.Authority(Read));
        using RawCaller caller = await files.CallerAsync(session, task);
        string token = caller.Token.Value;
        // Less of the same: a grant of its own below the token's.
        string below = await NarrowAsync(session, task, token);
        Assert.Equal(Everywhere, await nodes.ActiveAsync(token));
        Assert.Equal(Everywhere, await nodes.ActiveAsync(below));
        Assert.True((await caller.ReadAsync()).Ran);

        if (what.StartsWith("token", StringComparison.Ordinal) || what == "grant above")
            await deployment.First.RevokeAsync(deployment.Issuer, token, deployment.HandlerTo(1));
        if (what.Contains("task", StringComparison.Ordinal)) await (await elsewhere.OpenTask(task.Id)).Complete();
        if (what.Contains("instance", StringComparison.Ordinal)) await session.EndAsync();
        if (what.Contains("client", StringComparison.Ordinal)) await deployment.SetStateAsync("clients", deployment.First.ClientId, "suspended");
        if (what.Contains("agent", StringComparison.Ordinal)) await deployment.SetStateAsync("agents", deployment.First.Id, "suspended");

        try
        {
            Assert.Equal(Nowhere, await nodes.ActiveAsync(what == "grant above" ? below : token));
            await Eventually.TrueAsync(caller.IsRefusedAsync, "the guard refuses", 5 * Limits.RevocationBound);
            (int status, _) = await ContinueAsync(session, task, token, node: 1);
            Assert.NotEqual(200, status);
        }
        finally
        {
            if (what.Contains("client", StringComparison.Ordinal)) await deployment.SetStateAsync("clients", deployment.First.ClientId, "active");
            if (what.Contains("agent", StringComparison.Ordinal)) await deployment.SetStateAsync("agents", deployment.First.Id, "active");
            // What is active again is applied once more, for the wait until both nodes have seen all of it.
            if (what.Contains("client", StringComparison.Ordinal) || what.Contains("agent", StringComparison.Ordinal)) await deployment.RestoreAsync("agents", deployment.First.Id);
        }
        // What one reason ended is not brought back by another one's going away.
        if (what.EndsWith("restored", StringComparison.Ordinal))
        {
            Assert.Equal(Nowhere, await nodes.ActiveAsync(token));
            for (var i = 0; i < 10; i++) Assert.Equal(401, (await caller.ReadAsync()).Status);
        }
    }

    [PostgresFact]
    [Trait("Spec", "Invariant-6")]
    public async Task SigningKeyRevoked_WhatItSignedIsRefusedEverywhereInTime_AndEverybodyRecovers()
    {
        GuardedServer files = deployment.Servers[0];
        await using AgentSession session = await deployment.AttestAsync(deployment.First, node: 0), other = await deployment.AttestAsync(deployment.Second, node: 1);
        await using AgentTask task = await session.BeginTask("work", deployment.Authority(Read));
        using RawCaller caller = await files.CallerAsync(session, task);
        string token = caller.Token.Value, old = await deployment.SigningKeyAsync();
        Assert.Equal(Everywhere, await nodes.ActiveAsync(token));
        Assert.True((await caller.ReadAsync()).Ran);

        await deployment.RevokeKeyAsync(old);

        TimeSpan bound = 5 * Limits.RevocationBound;
        TimeSpan[] refused = await Task.WhenAll(
            Eventually.TrueAsync(caller.IsRefusedAsync, "the guard refuses", bound),
            Eventually.TrueAsync(async () => (await nodes.ActiveAsync(token)).SequenceEqual(Nowhere), "both nodes call it inactive", bound),
            Eventually.TrueAsync(async () => (await ContinueAsync(session, task, token, node: 0)).Status == 400, "the first node exchanges it no more", bound),
            Eventually.TrueAsync(async () => (await ContinueAsync(session, task, token, node: 1)).Status == 400, "the second node exchanges it no more", bound),
            Eventually.TrueAsync(async () => await deployment.SigningKeyAsync(0) != old && await deployment.SigningKeyAsync(0) == await deployment.SigningKeyAsync(1), "both publish the new key", bound));
        output.WriteLine($"refused after {string.Join(", ", refused.Select(r => $"{r.TotalMilliseconds:0}"))} ms");

        // The agents' instances and their tasks go on under the new key, through sessions whose own tokens died, at either node; and so does the guard.
        AccessToken renewed = await (await session.OpenTask(task.Id)).GetToken(files.Resource);
        Assert.Equal(Everywhere, await nodes.ActiveAsync(renewed.Value));
        using var again = new RawCaller(files.Resource, session.Key, renewed);
        await Eventually.TrueAsync(async () => (await again.ReadAsync()).Ran, "the guard takes tokens under the new key", bound);
        await using AgentTask mine = await other.BeginTask("work", deployment.Authority(Read));
        using RawCaller mineToo = await files.CallerAsync(other, mine);
        Assert.True((await mineToo.ReadAsync()).Ran);
        await Eventually.TrueAsync(async () => (await files.ReadinessAsync()).Ready, "the guard is ready", Deployment.Patience);
        Assert.Equal(401, (await caller.ReadAsync()).Status);
        // What the guard recorded under its new token reaches the server.
        await Deployment.StoryAsync(mine, events => events.Any(e => e.Type == McpAuth.Protocol.Audit.AuditTypes.CallFinished));
    }

    [PostgresFact]
    [Trait("Attack", "104")]
    [Trait("Attack", "103")]
    public async Task RootGrantRevoked_WhatAnotherAgentGotFromIt_IsDeadOnBothNodes()
    {
        GuardedServer files = deployment.Servers[0];
        await using AgentSession first = await deployment.AttestAsync(deployment.First, node: 0), second = await deployment.AttestAsync(deployment.Second, node: 1);
        await using AgentTask task = await first.BeginTask("work", deployment.Authority(Read));
        AccessToken root = await task.GetToken(files.Resource);
        await using AgentTask child = await second.AcceptHandOff(root.Value, files.Resource, deployment.Authority(Read, task: """{"purpose":"a part of it"}"""));
        using RawCaller caller = await files.CallerAsync(second, child);
        Assert.Equal(Everywhere, await nodes.ActiveAsync(caller.Token.Value));
        Assert.True((await caller.ReadAsync()).Ran);

        await deployment.First.RevokeAsync(deployment.Issuer, root.Value, deployment.HandlerTo(0));
        Assert.Equal(Nowhere, await nodes.ActiveAsync(caller.Token.Value));
        await Eventually.TrueAsync(caller.IsRefusedAsync, "the guard refuses", 5 * Limits.RevocationBound);
        (int status, string? error) = await ContinueAsync(second, child, caller.Token.Value, node: 1, deployment.Second);
        Assert.Equal((400, Names.Errors.InvalidRequest), (status, error));
    }

    [PostgresFact]
    [Trait("Attack", "118")]
    [Trait("Spec", "RFC7009-2.1")]
    public async Task TokenRevokedByAnotherClient_Answers200AndLives()
    {
        GuardedServer files = deployment.Servers[0];
        await using AgentSession session = await deployment.AttestAsync(deployment.First);
        await using AgentTask task = await session.BeginTask("work", deployment.Authority(Read));
        using RawCaller caller = await files.CallerAsync(session, task);
        for (var node = 0; node < 2; node++) await deployment.Second.RevokeAsync(deployment.Issuer, caller.Token.Value, deployment.HandlerTo(node));
        Assert.Equal(Everywhere, await nodes.ActiveAsync(caller.Token.Value));
        // Longer than the guard may take to hear of a revocation, had there been one.
        await Task.Delay(Limits.RevocationBound);
        Assert.True((await caller.ReadAsync()).Ran);
    }

    [PostgresFact]
    [Trait("Attack", "76")]
    [Trait("Spec", "Invariant-11")]
    [Trait("Spec", "RFC7523-3")]
    public async Task ClientAssertion_PresentedToBothNodesAtOnceAndAgain_WorksOnce()
    {
        for (var round = 0; round < 5; round++)
        {
            KeyValuePair<string, string>[] assertion = deployment.First.Assertion(deployment.Issuer);
            (int Status, string? Error)[] answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(async i =>
            {
                // Each with a key of its own: only the assertion is the same.
                using SigningKey instance = SigningKey.Create();
                return await TestAgent.PostAsync(At(Names.Paths.Instances), assertion, Proof(instance, Names.Paths.Instances), deployment.HandlerTo(i % 2));
            }));
            OneOf(answers, (401, Names.Errors.InvalidClient));
        }
    }

    [PostgresFact]
    [Trait("Attack", "108")]
    [Trait("Spec", "Invariant-11")]
    [Trait("Spec", "RFC9449-11.1")]
    public async Task DpopProof_PresentedToBothNodesAtOnceAndAgain_WorksOnce()
    {
        using SigningKey instance = SigningKey.Create();
        for (var round = 0; round < 5; round++)
        {
            string proof = Proof(instance, Names.Paths.Instances);
            (int Status, string? Error)[] answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(
                i => TestAgent.PostAsync(At(Names.Paths.Instances), deployment.First.Assertion(deployment.Issuer), proof, deployment.HandlerTo(i % 2))));
            OneOf(answers, (400, Names.Errors.InvalidDpopProof));
        }
    }

    [PostgresFact]
    [Trait("Attack", "76")]
    [Trait("Attack", "108")]
    [Trait("Spec", "Invariant-11")]
    public async Task AssertionAndProof_UsedBeforeARestart_AreStillUsed()
    {
        using SigningKey instance = SigningKey.Create();
        KeyValuePair<string, string>[] assertion = deployment.First.Assertion(deployment.Issuer);
        string proof = Proof(instance, Names.Paths.Instances);
        Assert.Equal(201, (await AttestAsync(assertion, proof)).Status);
        await deployment.KillNodeAsync(1);
        await deployment.RestartNodeAsync(1);
        Assert.Equal((401, Names.Errors.InvalidClient), await AttestAsync(assertion, Proof(instance, Names.Paths.Instances)));
        Assert.Equal((400, Names.Errors.InvalidDpopProof), await AttestAsync(deployment.First.Assertion(deployment.Issuer), proof));
        // One that does not say when it ends, or says too late, could not be remembered for long enough.
        Assert.Equal((401, Names.Errors.InvalidClient), await AttestAsync(deployment.First.Assertion(deployment.Issuer, life: null), Proof(instance, Names.Paths.Instances)));
        Assert.Equal((401, Names.Errors.InvalidClient), await AttestAsync(
            deployment.First.Assertion(deployment.Issuer, 2 * Limits.ClientAssertion), Proof(instance, Names.Paths.Instances)));

        Task<(int Status, string? Error)> AttestAsync(KeyValuePair<string, string>[] form, string dpop) =>
            TestAgent.PostAsync(At(Names.Paths.Instances), form, dpop, deployment.HandlerTo(1));
    }

    private static void OneOf((int Status, string? Error)[] answers, (int, string) others)
    {
        Assert.Single(answers, a => a.Status / 100 == 2);
        Assert.All(answers.Where(a => a.Status / 100 != 2), a => Assert.Equal(others, (a.Status, a.Error)));
    }

    /// <summary>A token for less, by its own presenter: a child of the presented token's grant.</summary>
    private async Task<string> NarrowAsync(AgentSession session, AgentTask task, string token)
    {
        const string Less = """{"read_file":{"args":{"path":{"constraint_type":"exact","value":"reports/q1.md"}}}}""";
        using var http = new HttpClient(deployment.HandlerTo(1));
        using var request = new HttpRequestMessage(HttpMethod.Post, At(Names.Paths.Token))
        {
            Content = new FormUrlEncodedContent(Exchange(deployment.First, task, token, Less)),
        };
        request.Headers.Add(Names.Dpop.Header, Proof(session.Key, Names.Paths.Token));
        using HttpResponseMessage response = await http.SendAsync(request);
        string body = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, body);
        using JsonDocument answer = JsonDocument.Parse(body);
        return answer.RootElement.GetProperty("access_token").GetString()!;
    }

    private Task<(int Status, string? Error)> ContinueAsync(AgentSession session, AgentTask task, string token, int node, TestAgent? agent = null) =>
        TestAgent.PostAsync(At(Names.Paths.Token), Exchange(agent ?? deployment.First, task, token, Read), Proof(session.Key, Names.Paths.Token), deployment.HandlerTo(node));

    private KeyValuePair<string, string>[] Exchange(TestAgent agent, AgentTask task, string token, string tools) =>
    [
        .. agent.Assertion(deployment.Issuer), new(Names.OAuth.GrantType, Names.Exchange.GrantType), new(Names.Exchange.SubjectToken, token),
        new(Names.Exchange.SubjectTokenType, Names.Exchange.AccessTokenType), new(Names.Resources.Resource, deployment.Servers[0].Resource),
        new(Names.Resources.AuthorizationDetails, deployment.Authority(tools, task: $$"""{"id":"{{task.Id}}"}""").GetRawText()),
    ];

    private Uri At(string path) => new(deployment.Issuer + path);

    private string Proof(SigningKey key, string path) => DpopProof.Create(key, "POST", At(path), null, TimeProvider.System.GetUtcNow());
}
