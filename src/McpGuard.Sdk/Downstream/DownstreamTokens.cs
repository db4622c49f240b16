using System.Net;
using System.Text.Json;
using McpAuth.Client;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Json;
using McpGuard.Sdk.Calls;
using McpGuard.Sdk.Connection;
using McpGuard.Sdk.Revocation;
using McpGuard.Sdk.Tokens;

namespace McpGuard.Sdk.Downstream;

/// <summary>
/// Exchanges the token a call came with, and keeps what came of it for the calls that come with the same one. What is kept ends with that token: it is dropped
/// when the guard hears that it was revoked.
/// </summary>
internal sealed class DownstreamTokens : IDownstreamTokens, IDisposable
{
    /// <summary>More than so many are not kept: then all are exchanged again, which costs time and nothing else.</summary>
    private const int Most = 4096;

    private static readonly TimeSpan Sweep = TimeSpan.FromMinutes(1);
    private static readonly JwtRules Rules = new("access token", [Names.Types.AccessToken], TypeRequired: true, ["ES256", "RS256"]);

    private readonly record struct Key(string Jti, string Tool, string Resource, string? Scope, string? Details);

    private sealed record Held(ValidatedToken Inbound, Task<DownstreamToken> Exchange)
    {
        public bool Done => Exchange.IsCompleted && (!Exchange.IsCompletedSuccessfully || Exchange.Result.Aged);
    }

    private readonly RunningCalls calls;
    private readonly GuardConnection connection;
    private readonly CallDecider decider;
    private readonly DenyTable denied;
    private readonly TimeProvider time;
    private readonly Lock gate = new();
    private readonly Dictionary<Key, Held> held = [];
    private long swept;

    public DownstreamTokens(RunningCalls calls, GuardConnection connection, CallDecider decider, DenyTable denied, TimeProvider time)
    {
        (this.calls, this.connection, this.decider, this.denied, this.time) = (calls, connection, decider, denied, time);
        swept = time.GetTimestamp();
        denied.Denied += DropDenied;
    }

    /// <summary>How many are kept.</summary>
    internal int Count
    {
        get
        {
            lock (gate) return held.Count;
        }
    }

    public ValueTask<DownstreamToken> GetAsync(string resource, IReadOnlyCollection<string>? tools = null, CancellationToken cancellationToken = default) =>
        Get(resource, tools is null ? null : string.Join(' ', tools.Order(StringComparer.Ordinal).Distinct().Select(t => Names.Scopes.ToolPrefix + t)), null, cancellationToken);

    public ValueTask<DownstreamToken> GetAsync(string resource, JsonElement authorizationDetails, CancellationToken cancellationToken = default) =>
        Get(resource, null, System.Text.Encoding.UTF8.GetString(CanonicalJson.ToBytes(authorizationDetails)), cancellationToken);

    public void Refused(DownstreamToken token)
    {
        lock (gate)
            foreach ((Key key, Held entry) in held.ToList())
                if (entry.Exchange.IsCompletedSuccessfully && entry.Exchange.Result == token) held.Remove(key);
    }

    private async ValueTask<DownstreamToken> Get(string resource, string? scope, string? details, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(resource);
        RunningCall call = calls.Current ?? throw new InvalidOperationException("No guarded call is running here: a token for another tool server comes only of one.");
        if (call.Over) throw new InvalidOperationException("The call is over: what it left running gets no more tokens.");
        if (call.Decision.Tool is not { } tool) throw new InvalidOperationException("Only a tool does work at other tool servers: an edge leads from a tool.");
        ValidatedToken inbound = call.Decision.Caller.Token;
        try
        {
            DownstreamToken token = await Exchanged(new Key(inbound.Jti, tool.Name, resource, scope, details), call).WaitAsync(cancellationToken);
            // The wait may have been a long one.
            if (denied.Denies(inbound)) throw new DownstreamRefusedException(resource, Names.Reasons.Revoked);
            if (call.Tell(resource, token.Jti)) decider.WentOn(call.Decision, resource, token.Jti);
            return token;
        }
        catch (DownstreamRefusedException refused)
        {
            if (call.Tell(resource, null)) decider.WentOn(call.Decision, resource, null, refused.Reason);
            throw;
        }
    }

    /// <summary>One exchange for all who ask at the same time; none of them can cancel it for the others.</summary>
    private Task<DownstreamToken> Exchanged(Key key, RunningCall call)
    {
        lock (gate)
        {
            if (held.TryGetValue(key, out Held? entry) && !entry.Done) return entry.Exchange;
            MakeRoom();
            Task<DownstreamToken> exchange = Task.Run(() => Exchange(key, call.Presented.Value.ToString()));
            held[key] = new Held(call.Decision.Caller.Token, exchange);
            return exchange;
        }
    }

    private async Task<DownstreamToken> Exchange(Key key, string presented)
    {
        try
        {
            GuardChannel channel = await connection.Channel(CancellationToken.None);
            AccessToken token = await channel.Exchange(presented, key.Tool, key.Resource, key.Scope, key.Details, CancellationToken.None);
            if (!StrictJwt.Read(token.Value, Rules).TryGet(out StrictJwt? jwt, out _) || jwt.Text(Names.Claims.Jti) is not { } jti)
                throw new HttpRequestException(HttpRequestError.InvalidResponse, "The authorization server's answer cannot be used: the token is none.");
            return new DownstreamToken(key.Resource, token, jti, connection.Key, time);
        }
        catch (OAuthErrorException e) when (e.Status is >= 500 or (int)HttpStatusCode.TooManyRequests)
        {
            throw new HttpRequestException(e.Message, e, (HttpStatusCode)e.Status);
        }
        catch (OAuthErrorException e)
        {
            throw new DownstreamRefusedException(key.Resource, e.Reason ?? e.Error, e);
        }
    }

    private void MakeRoom()
    {
        if (held.Count < Most && time.GetElapsedTime(swept) < Sweep) return;
        swept = time.GetTimestamp();
        foreach ((Key key, Held entry) in held.ToList())
            if (entry.Done) held.Remove(key);
        if (held.Count >= Most) held.Clear();
    }

    private void DropDenied()
    {
        lock (gate)
            foreach ((Key key, Held entry) in held.ToList())
                if (denied.Denies(entry.Inbound)) held.Remove(key);
    }

    public void Dispose() => denied.Denied -= DropDenied;
}
