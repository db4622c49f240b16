using System.Security.Cryptography;
using System.Text.Json.Serialization.Metadata;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;

namespace McpAuth.Client;

/// <summary>
/// This program as the server knows it: attested with one key, renewed with the same key while it lives, ended once. It is renewed well before its hour is over,
/// also while nobody uses it: what hangs on an instance (tasks that a person or an agent handed over) does not survive it.
/// </summary>
internal sealed class AttestedInstance : IDisposable
{
    // Between renewals that failed; each makes several attempts of its own.
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(5), LongestPause = TimeSpan.FromMinutes(1);

    private readonly WorkloadEvidence evidence;
    private readonly bool ownsKey;
    private readonly TokenCache tokens;
    private readonly ITimer renewal;
    private readonly CancellationTokenSource stop = new();
    private Backoff pauses = new(FirstPause, LongestPause);
    private InstanceResponse? current;
    private volatile bool ended, released;

    public AttestedInstance(ServerConnection server, WorkloadEvidence evidence, SigningKey? key)
    {
        (Server, this.evidence, ownsKey, Key) = (server, evidence, key is null, key ?? SigningKey.Create());
        tokens = new TokenCache(server.Time, (_, ct) => Attest(ct));
        renewal = server.Time.CreateTimer(_ => _ = RenewInTime(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public ServerConnection Server { get; }
    public SigningKey Key { get; }
    public InstanceResponse Current => current!;

    /// <summary>How it authenticates as its agent's client; known once it is attested.</summary>
    public ClientAuthentication Client { get; private set; } = null!;

    public async Task Start(CancellationToken cancellationToken)
    {
        await tokens.Get(cancellationToken);
        Client = evidence.Authentication ?? ClientAuthentication.PrivateKeyJwt(
            Current.ClientId ?? throw ServerConnection.Senseless("it does not say which client the instance is"), Key);
    }

    /// <summary>The instance token, renewed where it has to be.</summary>
    public ValueTask<AccessToken> Token(CancellationToken cancellationToken) => tokens.Get(cancellationToken);

    /// <summary>Sends with the instance token, and once more with a new one if the server no longer takes it.</summary>
    public Task<T> Send<T>(Func<AccessToken, ServerRequest> request, JsonTypeInfo<T> answer, CancellationToken cancellationToken) =>
        Server.Send(tokens, request, answer, cancellationToken);

    /// <summary>Presents the instance token, and once more a new one if the server has revoked the key that signed it.</summary>
    public async Task<T> Present<T>(Func<AccessToken, Task<T>> request, CancellationToken cancellationToken)
    {
        AccessToken own = await tokens.Get(cancellationToken);
        try
        {
            return await request(own);
        }
        catch (OAuthErrorException refused) when (refused.Reason == Names.Reasons.KeyRevoked)
        {
            tokens.Drop(own);
        }
        return await request(await tokens.Get(cancellationToken));
    }

    public async Task End(CancellationToken cancellationToken)
    {
        if (ended) return;
        Uri address = Server.At($"{Names.Paths.Instances}/{Uri.EscapeDataString(Current.Instance)}");
        await Present(async own =>
        {
            await Server.Send(new ServerRequest(HttpMethod.Delete, address) { Key = Key, AccessToken = own.Value, NoAnswer = true }, cancellationToken);
            tokens.Drop(own);
            return ended = true;
        }, cancellationToken);
    }

    /// <summary>Nothing is sent any more, and the key is forgotten if it was made here.</summary>
    public void Dispose()
    {
        if (released) return;
        released = true;
        stop.Cancel();
        renewal.Dispose();
        tokens.Dispose();
        Server.Dispose();
        if (ownsKey) Key.Dispose();
        stop.Dispose();
    }

    private async Task<AccessToken> Attest(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(ended, typeof(AgentSession));
        using AttestationRequest request = await Evidence(cancellationToken);
        DateTimeOffset asked = Server.Time.GetUtcNow();
        InstanceResponse answer = await Server.Send(request.Request, ProtocolJson.Default.InstanceResponse, cancellationToken);
        AccessToken token = ServerConnection.Bound(answer.AccessToken, answer.TokenType, answer.ExpiresIn, scope: null, asked);
        current = answer;
        pauses = new(FirstPause, LongestPause);
        // After two thirds to three quarters of its life: copies that began together do not renew together, and there is time for more than one try.
        Schedule((token.ExpiresAt - token.IssuedAt) * (RandomNumberGenerator.GetInt32(667, 751) / 1000.0));
        return token;
    }

    private async Task<AttestationRequest> Evidence(CancellationToken cancellationToken)
    {
        Backoff between = Server.NewBackoff();
        for (int attempt = 1; ; attempt++)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(Server.Timeout);
            try
            {
                return await evidence.Request(Server, Key, limit.Token);
            }
            catch (Exception e) when (EvidenceException.MayPass(e) && !cancellationToken.IsCancellationRequested)
            {
                // What the platform said ends in no message of ours; it stands in the inner exception, which is the source's own.
                if (attempt >= Server.Attempts) throw e as EvidenceException ?? new EvidenceException(limit.IsCancellationRequested ? "the platform does not answer" : e.GetType().Name, e);
            }
            await Task.Delay(between.Next(), Server.Time, cancellationToken);
        }
    }

    private void Schedule(TimeSpan after)
    {
        if (!ended && !released) renewal.Change(after, Timeout.InfiniteTimeSpan);
    }

    private async Task RenewInTime()
    {
        try
        {
            await tokens.Renew(stop.Token);
        }
        catch (Exception e) when (MayPass(e) && !released)
        {
            Schedule(pauses.Next());
        }
        catch (Exception)
        {
            // Refused, or over: asking again would change nothing. Whoever uses the session once its token is over is told why.
        }
    }

    // An unreachable server, a platform that is away, and evidence that was too old when it came: the next may be good.
    private static bool MayPass(Exception e) => e switch
    {
        HttpRequestException or EvidenceException => true,
        OAuthErrorException { Status: 429 or >= 500 } or OAuthErrorException { Reason: Names.Reasons.Expired } => true,
        _ => false,
    };
}
