using McpAuth.Protocol.Jose;
using McpAuth.Testing;
using static McpAuth.Client.Tests.AgentFixture;

namespace McpAuth.Client.Tests;

/// <summary>Programs that are known by what their platform says of them.</summary>
public sealed class EvidenceTests : IClassFixture<FakeServer>, IDisposable
{
    private readonly FakeServer server;
    private readonly SigningKey key = SigningKey.Create();
    private readonly TempDirectory directory = new();

    public EvidenceTests(FakeServer server) => PrepareWorkload(this.server = server, key);

    [Fact]
    [Trait("Spec", "RFC7521-4.1")]
    public async Task Token_OfThePlatform_IsShownAloneWithAProofByTheInstancesKey()
    {
        await using AgentSession session = await Attest(WorkloadEvidence.Token(_ => ValueTask.FromResult(Evidence())));
        Assert.Equal(("ins_1", "agt_1"), (session.Instance, session.Agent));
        Received sent = server.To("/agents/instances").Single();
        Assert.Equal(["assertion"], sent.Fields);
        Assert.Equal((Evidence(), key.Public.Thumbprint), (sent.Field("assertion"), sent.Proof!.Thumbprint));
        Assert.Null(sent.Authorization);
    }

    [Fact]
    [Trait("Spec", "RFC7523-2.2")]
    public async Task Attested_AsWhatTheServerSays_ItIsAClientByItsOwnKey()
    {
        await using AgentSession session = await Attest(WorkloadEvidence.Token(_ => ValueTask.FromResult(Evidence())));
        await using AgentTask task = await session.BeginTask("p", Json(Details));
        await task.GetToken(Resource);
        Assert.Equal("workload", server.To("/token").Single().Client);
    }

    [Fact]
    public async Task Attested_AsNobodySays_IsAnInvalidResponse()
    {
        server.Answers["/agents/instances"] = _ => Answer.Json("""{"instance":"ins_1","agent":"agt_1","access_token":"t","token_type":"DPoP","expires_in":3600}""");
        HttpRequestException e = await Assert.ThrowsAsync<HttpRequestException>(() => Attest(WorkloadEvidence.Token(_ => ValueTask.FromResult(Evidence()))));
        Assert.Equal(HttpRequestError.InvalidResponse, e.HttpRequestError);
    }

    [Fact]
    public async Task TokenFile_RotatedBetweenRenewals_IsReadAnewAndRenewsWithTheSameKey()
    {
        string path = directory.Write("token", Evidence(1) + "\n");
        await using AgentSession session = await Attest(WorkloadEvidence.TokenFile(path));
        directory.Write("token", Evidence(2) + "\n");
        server.Clock.Advance(TimeSpan.FromSeconds(3571));
        await session.BeginTask("p", Json(Details));
        Assert.Equal([Evidence(1), Evidence(2)], server.To("/agents/instances").Select(r => r.Field("assertion")));
        Assert.Single(server.To("/agents/instances").Select(r => r.Proof!.Thumbprint).Distinct());
    }

    [Fact]
    public async Task TokenFile_ThatIsNotThereForAMoment_IsReadAgain()
    {
        int reads = 0;
        string path = directory["late"];
        await using AgentSession session = await Attest(WorkloadEvidence.Token(async cancellationToken =>
        {
            if (++reads == 3) directory.Write("late", Evidence());
            return await File.ReadAllTextAsync(path, cancellationToken);
        }));
        Assert.Equal(3, reads);
        Assert.Single(server.To("/agents/instances"));
    }

    public static TheoryData<string> Outages => ["file", "network", "timeout", "nothing"];

    [Theory]
    [MemberData(nameof(Outages))]
    public async Task Source_ThatStaysAway_IsAskedAFewTimesAndTheServerNotAtAll(string how)
    {
        int asked = 0;
        EvidenceException e = await Assert.ThrowsAsync<EvidenceException>(() => Attest(WorkloadEvidence.Token(_ =>
        {
            asked++;
            return how switch
            {
                "file" => throw new FileNotFoundException("/var/run/token"),
                "network" => throw new HttpRequestException("metadata server"),
                "timeout" => throw new TimeoutException(),
                _ => ValueTask.FromResult(""),
            };
        })));
        Assert.Equal(3, asked);
        Assert.Empty(server.To("/agents/instances"));
        Assert.StartsWith("The evidence of this program cannot be had", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Source_ThatHangs_IsGivenUpAfterTheTimeout()
    {
        var options = new ConnectionOptions { Time = server.Time, Timeout = TimeSpan.FromMilliseconds(50), Attempts = 2, Backoff = TimeSpan.FromMilliseconds(1) };
        await Assert.ThrowsAsync<EvidenceException>(() => AgentSession.AttestAsync(
            server.Issuer, WorkloadEvidence.Token(_ => new ValueTask<string>(new TaskCompletionSource<string>().Task)), key, options));
        Assert.Empty(server.To("/agents/instances"));
    }

    [Fact]
    public async Task Source_ThatHangs_IsLeftAtOnceWhenTheCallerGivesUp()
    {
        using var giveUp = new CancellationTokenSource();
        var reached = new TaskCompletionSource();
        Task<AgentSession> attesting = AgentSession.AttestAsync(server.Issuer, WorkloadEvidence.Token(_ =>
        {
            reached.SetResult();
            return new ValueTask<string>(new TaskCompletionSource<string>().Task);
        }), key, server.Options(), giveUp.Token);
        await reached.Task;
        await giveUp.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => attesting);
    }

    [Fact]
    public async Task Source_WithAFaultOfItsOwn_IsNotAskedAgain()
    {
        int asked = 0;
        await Assert.ThrowsAsync<InvalidOperationException>(() => Attest(WorkloadEvidence.Token(_ =>
        {
            asked++;
            throw new InvalidOperationException("not on this platform");
        })));
        Assert.Equal(1, asked);
    }

    public static TheoryData<string> NoTokens => new()
    {
        "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\n-----END PRIVATE KEY-----", "password", "{\"token\":\"a.b.c\"}", "a.b.c\r\nDPoP: x", "a.b", "a.b.c.d",
        $"a.{new string('b', 20_000)}.c",
    };

    /// <summary>A wrong path can lead to a private key: it goes nowhere, and into no message.</summary>
    [Theory]
    [MemberData(nameof(NoTokens))]
    public async Task Evidence_ThatIsNoToken_IsNotSentAndNotShown(string text)
    {
        string path = directory.Write("token", text);
        EvidenceException e = await Assert.ThrowsAsync<EvidenceException>(() => Attest(WorkloadEvidence.TokenFile(path)));
        Assert.Empty(server.Requests);
        Assert.DoesNotContain(text[..Math.Min(text.Length, 8)], e.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Evidence_Refused_IsTypedAndNotTriedAgain()
    {
        server.Answers["/agents/instances"] = _ => Answer.Error(400, "invalid_grant", "No agent is bound to this program.", "no_binding");
        OAuthErrorException e = await Assert.ThrowsAsync<OAuthErrorException>(() => Attest(WorkloadEvidence.Token(_ => ValueTask.FromResult(Evidence()))));
        Assert.Equal(("invalid_grant", "no_binding", 400), (e.Error, e.Reason, e.Status));
        Assert.Single(server.To("/agents/instances"));
    }

    [Fact]
    public async Task Attest_ServerThatAnswersNothing_IsLeftAtOnceWhenTheCallerGivesUp()
    {
        using var giveUp = new CancellationTokenSource();
        using var reached = new SemaphoreSlim(0);
        using var go = new SemaphoreSlim(0);
        server.Answers["/agents/instances"] = _ =>
        {
            reached.Release();
            go.Wait(TimeSpan.FromSeconds(5));
            return Answer.Error(500, "server_error");
        };
        Task<AgentSession> attesting = AgentSession.AttestAsync(server.Issuer, WorkloadEvidence.Token(_ => ValueTask.FromResult(Evidence())), key, server.Options(), giveUp.Token);
        Assert.True(await reached.WaitAsync(TimeSpan.FromSeconds(30)));
        await giveUp.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => attesting);
        go.Release();
    }

    [Fact]
    [Trait("Spec", "attestation-based-client-auth")]
    public async Task ClientAttestation_IsTheHeaderAlone_AndTheProofIsDpop()
    {
        VerificationKey? vouched = null;
        await using AgentSession session = await Attest(WorkloadEvidence.ClientAttestation((instance, _) =>
        {
            vouched = instance;
            return ValueTask.FromResult(Evidence());
        }));
        Received sent = server.To("/agents/instances").Single();
        Assert.Equal((Evidence(), "application/x-www-form-urlencoded", ""), (sent.Attestation, sent.ContentType, sent.Body));
        Assert.Equal((session.Key.Public.Thumbprint, session.Key.Public.Thumbprint), (vouched!.Thumbprint, sent.Proof!.Thumbprint));
    }

    [Fact]
    public async Task Dispose_OnceThePlatformIsAway_DoesNotThrow()
    {
        bool away = false;
        AgentSession session = await Attest(WorkloadEvidence.Token(_ => away ? throw new IOException() : ValueTask.FromResult(Evidence())));
        away = true;
        server.Clock.Advance(TimeSpan.FromHours(2));
        await session.DisposeAsync();
        Assert.Single(server.To("/agents/instances"));
    }

    private Task<AgentSession> Attest(WorkloadEvidence evidence) => AgentSession.AttestAsync(server.Issuer, evidence, key, server.Options());

    public void Dispose()
    {
        key.Dispose();
        directory.Dispose();
    }
}
