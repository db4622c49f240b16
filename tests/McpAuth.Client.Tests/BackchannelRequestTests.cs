using McpAuth.Protocol.Jose;
using McpAuth.Testing;
using static McpAuth.Client.Tests.AgentFixture;

namespace McpAuth.Client.Tests;

/// <summary>An agent asks a person who is elsewhere, and waits (OpenID Connect CIBA Core, poll mode).</summary>
[Trait("Spec", "CIBA")]
public sealed class BackchannelRequestTests : IClassFixture<FakeServer>, IAsyncLifetime
{
    private readonly FakeServer server;
    private readonly SigningKey clientKey = SigningKey.Create();
    private readonly ManualTime time = new();
    // When the client has polled; each answer is used once, the last one from then on.
    private readonly List<DateTimeOffset> polls = [];
    private readonly Queue<Answer> answers = new();
    private AgentSession session = null!;

    public BackchannelRequestTests(FakeServer server) => this.server = server;

    public async Task InitializeAsync()
    {
        PrepareDelegation(server, clientKey);
        server.Time = time;
        Func<Received, Answer> exchange = server.Answers["/token"];
        server.Answers["/bc-authorize"] = _ => Answer.Json("""{"auth_req_id":"the-question","expires_in":600,"interval":5}""");
        server.Answers["/token"] = r =>
        {
            if (r.Field("grant_type") != "urn:openid:params:grant-type:ciba") return exchange(r);
            lock (polls)
            {
                polls.Add(time.GetUtcNow());
                return answers.Count > 0 ? answers.Dequeue() : Pending;
            }
        };
        session = await Attest(server, clientKey);
    }

    private static Answer Pending => Answer.Error(400, "authorization_pending");

    private static Answer Allowed => Answer.Json($$"""{"access_token":"delegation","token_type":"DPoP","expires_in":300,"authorization_details":{{Details}}}""");

    private int Polls
    {
        get
        {
            lock (polls) return polls.Count;
        }
    }

    /// <summary>Between two polls; the clock goes on while one is answered, so a gap may be a second or two longer than was waited.</summary>
    private IReadOnlyList<double> Gaps => [.. polls.Zip(polls.Skip(1), (a, b) => (b - a).TotalSeconds)];

    [Fact]
    public async Task Question_NamesThePersonTheTaskAndHowLongItWaits_ByTheAgentsClientAndKey()
    {
        await session.AskPerson("ann@example.com", "summarise", Json(Details), "Ticket 4711", time.GetUtcNow().AddMinutes(30), TimeSpan.FromMinutes(2));
        Received sent = server.To("/bc-authorize").Single();
        Assert.Equal(["authorization_details", "binding_message", "client_assertion", "client_assertion_type", "login_hint", "requested_expiry"], sent.Fields);
        Assert.Equal(("ann@example.com", "Ticket 4711", "120"), (sent.Field("login_hint"), sent.Field("binding_message"), sent.Field("requested_expiry")));
        Assert.Equal(("summariser", session.Key.Public.Thumbprint), (sent.Client, sent.Proof!.Thumbprint));
        var asked = Json(sent.Field("authorization_details")!);
        Assert.Equal(2, asked.GetArrayLength());
        Assert.All(asked.EnumerateArray(), e => Assert.Equal("summarise", e.GetProperty("task").GetProperty("purpose").GetString()));
    }

    [Fact]
    public async Task Answer_IsWaitedForAtTheServersPace_AndIsATaskForThePerson()
    {
        foreach (Answer answer in new[] { Pending, Answer.Error(400, "slow_down"), Pending, Allowed }) answers.Enqueue(answer);
        BackchannelRequest question = await Ask();
        Task<AgentTask> waiting = question.BeginTask();
        await PassUntil(time, () => waiting.IsCompleted);
        await using AgentTask task = await waiting;
        Assert.Equal("usr_ann", task.View.User);
        // CIBA §11: slower for good once the server says so.
        Assert.Collection(Gaps, g => Assert.InRange(g, 5, 9), g => Assert.InRange(g, 10, 14), g => Assert.InRange(g, 10, 14));
        Received poll = server.To("/token").First();
        Assert.Equal(["auth_req_id", "client_assertion", "client_assertion_type", "grant_type"], poll.Fields);
        Assert.Equal(("the-question", session.Key.Public.Thumbprint), (poll.Field("auth_req_id"), poll.Proof!.Thumbprint));
        Received exchange = server.To("/token").Last();
        Assert.Equal(("delegation", "instance-1"), (exchange.Field("subject_token"), exchange.Field("actor_token")));
        await Assert.ThrowsAsync<InvalidOperationException>(() => question.BeginTask());
    }

    [Fact]
    public async Task Answer_OfAResumableTask_BeginsItAsThat()
    {
        answers.Enqueue(Allowed);
        BackchannelRequest question = await Ask();
        Task<AgentTask> waiting = question.BeginTask(resumable: true);
        await PassUntil(time, () => waiting.IsCompleted);
        await using AgentTask task = await waiting;
        var begun = Json(server.To("/token").Last().Field("authorization_details")!);
        Assert.Equal("""{"purpose":"summarise","resumable":true}""", Assert.Single(begun.EnumerateArray()).GetProperty("task").GetRawText());
    }

    [Theory]
    [InlineData("access_denied")]
    [InlineData("expired_token")]
    [InlineData("invalid_grant")]
    public async Task Answer_ThatIsNo_IsFinal(string error)
    {
        answers.Enqueue(Answer.Error(400, error));
        BackchannelRequest question = await Ask();
        Task<AgentTask> waiting = question.BeginTask();
        await PassUntil(time, () => waiting.IsCompleted);
        Assert.Equal(error, (await Assert.ThrowsAsync<OAuthErrorException>(() => waiting)).Error);
        await Assert.ThrowsAsync<InvalidOperationException>(() => question.BeginTask());
        Assert.Equal(1, Polls);
    }

    [Fact]
    public async Task Server_ThatIsAway_IsAskedLessOftenUntilItIsBack()
    {
        for (int i = 0; i < 2 * 3; i++) answers.Enqueue(Answer.Error(503, "temporarily_unavailable"));
        answers.Enqueue(Allowed);
        BackchannelRequest question = await Ask();
        Task<AgentTask> waiting = question.BeginTask();
        await PassUntil(time, () => waiting.IsCompleted);
        await (await waiting).DisposeAsync();
        // Three attempts each time, and 5, 10 and 20 seconds between.
        Assert.InRange((polls[^1] - polls[0]).TotalSeconds, 30, 45);
    }

    [Fact]
    public async Task Server_ThatStaysAway_IsNotAskedForLongerThanTheQuestionWaits()
    {
        server.Answers["/bc-authorize"] = _ => Answer.Json("""{"auth_req_id":"the-question","expires_in":30}""");
        for (int i = 0; i < 100; i++) answers.Enqueue(Answer.Error(503, "temporarily_unavailable"));
        BackchannelRequest question = await Ask();
        Assert.Equal(time.GetUtcNow().AddSeconds(30), question.ExpiresAt);
        Task<AgentTask> waiting = question.BeginTask();
        await PassUntil(time, () => waiting.IsCompleted, 300);
        Assert.Equal(503, (await Assert.ThrowsAsync<OAuthErrorException>(() => waiting)).Status);
    }

    [Fact]
    public async Task Waiting_GivenUp_LeavesTheQuestionWhereItIs()
    {
        using var giveUp = new CancellationTokenSource();
        BackchannelRequest question = await Ask();
        Task<AgentTask> waiting = question.BeginTask(cancellationToken: giveUp.Token);
        await Assert.ThrowsAsync<InvalidOperationException>(() => question.BeginTask());
        await PassUntil(time, () => Polls == 2);
        await giveUp.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);

        answers.Enqueue(Allowed);
        Task<AgentTask> again = question.BeginTask();
        await PassUntil(time, () => again.IsCompleted);
        await (await again).DisposeAsync();
        Assert.Single(server.To("/bc-authorize"));
    }

    /// <summary>What the person handed over can be had once.</summary>
    [Fact]
    public async Task Waiting_GivenUpWhileTheAnswerIsOnItsWay_TakesTheSameAnswerLater()
    {
        using var reached = new SemaphoreSlim(0);
        using var go = new SemaphoreSlim(0);
        Func<Received, Answer> usual = server.Answers["/token"];
        answers.Enqueue(Allowed);
        server.Answers["/token"] = r =>
        {
            if (r.Field("auth_req_id") is null) return usual(r);
            reached.Release();
            go.Wait(TimeSpan.FromSeconds(30));
            return usual(r);
        };
        using var giveUp = new CancellationTokenSource();
        BackchannelRequest question = await Ask();
        Task<AgentTask> waiting = question.BeginTask(cancellationToken: giveUp.Token);
        await PassUntil(time, () => server.To("/token").Any());
        Assert.True(await reached.WaitAsync(TimeSpan.FromSeconds(30)));
        await giveUp.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);

        Task<AgentTask> again = question.BeginTask();
        go.Release();
        await (await again).DisposeAsync();
        Assert.Equal(1, Polls);
    }

    [Fact]
    public async Task Question_RefusedByTheServer_IsTyped()
    {
        server.Answers["/bc-authorize"] = _ => Answer.Error(403, "access_denied", "The person was asked enough for now.", "asked_too_often");
        OAuthErrorException e = await Assert.ThrowsAsync<OAuthErrorException>(Ask);
        Assert.Equal(("access_denied", "asked_too_often", 403), (e.Error, e.Reason, e.Status));
        Assert.Single(server.To("/bc-authorize"));
    }

    [Fact]
    public async Task Server_ThatAsksNobodyElsewhere_IsNotAsked()
    {
        server.Answers["/.well-known/oauth-authorization-server"] = _ =>
            Answer.Json(FakeServer.Metadata(server.Issuer, server.Issuer).Replace("backchannel_authentication_endpoint", "x", StringComparison.Ordinal));
        HttpRequestException e = await Assert.ThrowsAsync<HttpRequestException>(Ask);
        Assert.Equal(HttpRequestError.InvalidResponse, e.HttpRequestError);
        Assert.Empty(server.To("/bc-authorize"));
    }

    private Task<BackchannelRequest> Ask() => session.AskPerson("ann@example.com", "summarise", Json(Details));

    public async Task DisposeAsync()
    {
        await session.DisposeAsync();
        clientKey.Dispose();
    }
}
