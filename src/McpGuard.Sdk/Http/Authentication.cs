using System.Net;
using System.Security.Cryptography;
using McpAuth.Client;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;
using McpAuth.Protocol.Network;
using McpGuard.Sdk.Audit;
using McpGuard.Sdk.Calls;
using McpGuard.Sdk.Connection;
using McpGuard.Sdk.Revocation;
using McpGuard.Sdk.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace McpGuard.Sdk.Http;

/// <summary>Why a request is not authenticated: what to answer, and what to record.</summary>
/// <param name="Challenge">The value of <c>WWW-Authenticate</c>; null where there is none (503).</param>
/// <param name="Jti">Of a token whose signature was verified.</param>
internal sealed record AuthenticationRefusal(int Status, string? Challenge, string Reason, string? Jti = null, bool WithNonce = false);

/// <summary>Establishes who calls: token, proof of possession, revocation, in this order; each must pass before the next is looked at.</summary>
internal sealed partial class Authentication : IDisposable
{
    private static readonly TimeSpan AskFor = TimeSpan.FromSeconds(2);

    private readonly ResourceAddress resource;
    private readonly RequestCertificate certificates;
    private readonly IssuerKeys keys;
    private readonly TokenReader reader;
    private readonly ValidatedTokens tokens = new();
    private readonly ProofReplays replays;
    private readonly ProofNonces nonces;
    private readonly DateTimeOffset started;
    private readonly DenyTable denied;
    private readonly RevocationFeed feed;
    private readonly GuardConnection connection;
    private readonly McpGuardOptions options;
    private readonly TrustedProxies proxies;
    private readonly TimeProvider time;
    private readonly ILogger<Authentication> logger;

    public Authentication(
        ResourceAddress resource, RequestCertificate certificates, IssuerKeys keys, DenyTable denied, RevocationFeed feed, GuardConnection connection, IOptions<McpGuardOptions> options,
        TimeProvider time, ILogger<Authentication> logger)
    {
        (this.resource, this.certificates, this.keys, this.denied, this.feed, this.connection) = (resource, certificates, keys, denied, feed, connection);
        (this.options, this.time, this.logger) = (options.Value, time, logger);
        proxies = new TrustedProxies(this.options.Proxies);
        reader = new TokenReader(this.options.AuthorizationServer, this.options.Resource, keys, time);
        // The key never leaves memory: a proof with one of these nonces was made for this process, after it started.
        (replays, nonces, started) = (new ProofReplays(time), new ProofNonces(RandomNumberGenerator.GetBytes(32), time), time.GetUtcNow());
        keys.Removed += tokens.Clear;
    }

    /// <summary>A nonce a client may use in its next proof.</summary>
    public string Nonce => nonces.Current;

    public async ValueTask<(Caller? Caller, AuthenticationRefusal? Refusal)> Authenticate(HttpRequest request, CancellationToken cancellationToken)
    {
        if (!PresentedToken.Read(request).TryGet(out PresentedToken presented, out Fault? fault))
        {
            return (null, fault.Code switch
            {
                PresentedToken.Missing => new(StatusCodes.Status401Unauthorized, resource.NoToken, fault.Code),
                PresentedToken.Malformed => new(StatusCodes.Status401Unauthorized, resource.InvalidBearer, fault.Code),
                _ => new(StatusCodes.Status400BadRequest, resource.InvalidRequest, fault.Code),
            });
        }

        // Nothing below that has to do with time would be worth anything.
        if (feed.ClockOff) return (null, Unavailable(GuardReadiness.ClockOff));
        TokenHash hash = TokenHash.Of(presented.Value.Span);
        ValidatedToken? token = keys.Usable ? tokens.Find(hash) : null;
        if (token is null)
        {
            if (!(await reader.Read(presented.Value.ToString(), cancellationToken)).TryGet(out token, out fault))
                return (null, fault.Code == IssuerKeys.Unavailable ? Unavailable(fault.Code) : Invalid(presented, fault.Code));
            tokens.Add(hash, token);
        }
        // The cache remembers what was signed, not what time it is.
        if (token.ExpiresAt + Limits.ClockSkew <= time.GetUtcNow()) return (null, Invalid(presented, Names.Reasons.Expired, token.Jti));
        if (Possession(request, presented, token) is { } unproven) return (null, unproven);
        (Caller? caller, AuthenticationRefusal? refusal) = await Standing(presented, token, cancellationToken);
        IPAddress? peer = request.HttpContext.Connection.RemoteIpAddress;
        return (caller is null || peer is null || proxies.Include(peer) ? caller : caller with { Address = peer }, refusal);
    }

    /// <summary>
    /// RFC 9449 §7.1, §7.2: a token bound to a key only with the DPoP scheme and a fresh proof; any other only as Bearer. RFC 8705 §3: a token bound to a
    /// certificate only with that one, at every request.
    /// </summary>
    private AuthenticationRefusal? Possession(HttpRequest request, PresentedToken presented, ValidatedToken token)
    {
        if (token.Jkt is null && presented.Dpop) return Invalid(presented, "bearer_as_dpop", token.Jti);
        if (token.Jkt is not null && !presented.Dpop) return new(StatusCodes.Status401Unauthorized, resource.InvalidBound, "bound_as_bearer", token.Jti);
        // Before the proof, which a refusal would use up.
        if (token.Certificate is { } thumbprint && certificates.Refuse(request.HttpContext, thumbprint, time.GetUtcNow()) is { } other)
            return Invalid(presented, other, token.Jti);
        if (token.Jkt is null) return null;
        if (!DpopProof.Read(request.Headers[Names.Dpop.Header], request.Method, resource.Uri, presented.Value.ToString(), time.GetUtcNow()).TryGet(out DpopProof? proof, out Fault? fault))
            return Proof("dpop_" + fault.Code);
        if (!string.Equals(proof.Thumbprint, token.Jkt, StringComparison.Ordinal)) return Proof("dpop_other_key");
        // A proof made before this process started may have been seen by its predecessor, whose memory is gone.
        bool needsNonce = options.RequireDpopNonce || proof.IssuedAt <= started;
        if (proof.Nonce is null ? needsNonce : !nonces.Accepts(proof.Nonce))
            return new(StatusCodes.Status401Unauthorized, resource.UseNonce, Names.Dpop.UseNonce, token.Jti, WithNonce: true);
        return replays.Remember(proof.Thumbprint, proof.Jti) switch
        {
            ReplayVerdict.New => null,
            ReplayVerdict.Seen => Proof(RefusalLog.Replay),
            _ => Unavailable("dpop_memory_full"),
        };

        AuthenticationRefusal Proof(string reason) => new(StatusCodes.Status401Unauthorized, resource.InvalidProof, reason, token.Jti);
    }

    private async ValueTask<(Caller?, AuthenticationRefusal?)> Standing(PresentedToken presented, ValidatedToken token, CancellationToken cancellationToken)
    {
        if (!feed.Loaded) return (null, Unavailable("no_snapshot"));
        if (denied.Denies(token)) return (null, Invalid(presented, Names.Reasons.Revoked, token.Jti));
        if (feed.Fresh) return (new Caller(token, Confirmed: true, Presented: presented), null);
        // Too long without word: ask at every call, remember nothing.
        try
        {
            GuardChannel channel = await connection.Channel(cancellationToken);
            IntrospectionResponse answer = await channel.Introspect(presented.Value.ToString(), cancellationToken).WaitAsync(AskFor, time, cancellationToken);
            return answer.Active && (answer.Jti is null || answer.Jti == token.Jti)
                ? (new Caller(token, Confirmed: true, Presented: presented), null) : (null, Invalid(presented, Names.Reasons.Revoked, token.Jti));
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            Log.NotConfirmed(logger, e.Message);
            return (new Caller(token, Confirmed: false, Presented: presented), null);
        }
    }

    /// <summary>The refusal of a token that was good a moment ago.</summary>
    public AuthenticationRefusal Revoked(ValidatedToken token) =>
        new(StatusCodes.Status401Unauthorized, token.Jkt is null ? resource.InvalidBearer : resource.InvalidBound, Names.Reasons.Revoked, token.Jti);

    private AuthenticationRefusal Invalid(PresentedToken presented, string reason, string? jti = null) =>
        new(StatusCodes.Status401Unauthorized, presented.Dpop ? resource.InvalidBound : resource.InvalidBearer, reason, jti);

    private static AuthenticationRefusal Unavailable(string reason) => new(StatusCodes.Status503ServiceUnavailable, null, reason);

    public void Dispose() => keys.Removed -= tokens.Clear;

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "The revocation feed is stale and a token could not be asked about: {Reason}")]
        public static partial void NotConfirmed(ILogger logger, string reason);
    }
}
