using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;

namespace McpAuth.Client;

/// <summary>
/// What a guard does against the authorization server, as one enrolled guard. Thread-safe. Every method throws
/// <see cref="OAuthErrorException"/> when the server refuses and <see cref="HttpRequestException"/> when it cannot be asked.
/// </summary>
public sealed class GuardChannel : IDisposable
{
    private readonly ServerConnection server;
    private readonly ClientAuthentication client;
    private readonly SigningKey key;
    private readonly TokenCache tokens;

    /// <summary>Opens the channel of a guard that enrolled before; sends nothing yet, so it can be made while the server is away.</summary>
    /// <param name="issuer">The authorization server's issuer, exactly as it calls itself.</param>
    /// <param name="guardId">What enrolment answered; it is this guard's <c>client_id</c>.</param>
    /// <param name="key">The key that enrolled; it stays the caller's.</param>
    public GuardChannel(string issuer, string guardId, SigningKey key, ConnectionOptions? options = null)
    {
        (GuardId, this.key) = (guardId, key);
        server = new ServerConnection(issuer, options ?? new ConnectionOptions());
        client = ClientAuthentication.PrivateKeyJwt(guardId, key);
        KeyValuePair<string, string>[] form =
        [
            new(Names.OAuth.GrantType, Names.OAuth.ClientCredentials),
            new(Names.Resources.Resource, server.At(Names.Paths.GuardAudience).OriginalString), // RFC 8707 §2
        ];
        tokens = new TokenCache(server.Time, async (_, ct) => (await server.RequestToken(form, client, key, ct)).Token);
    }

    public string GuardId { get; }

    /// <summary>
    /// Trades the tool server's one-time secret for an identity of this guard's own. The key must already be kept safely by the
    /// caller: the secret does not work a second time.
    /// </summary>
    public static async Task<EnrollResponse> EnrollAsync(
        string issuer, string resource, string enrolmentSecret, SigningKey key, ConnectionOptions? options = null, CancellationToken cancellationToken = default)
    {
        using var server = new ServerConnection(issuer, options ?? new ConnectionOptions());
        var request = new EnrollRequest(resource, enrolmentSecret, key.Public.Jwk);
        return await server.Send(
            new ServerRequest(HttpMethod.Post, server.At(Names.Paths.GuardEnroll)) { Json = ServerRequest.Body(request, ProtocolJson.Default.EnrollRequest) },
            ProtocolJson.Default.EnrollResponse, cancellationToken);
    }

    /// <summary>Opens this process's revocation stream; the snapshot is applied before the first call is served.</summary>
    public Task<StreamResponse> OpenStream(CancellationToken cancellationToken = default) =>
        Call(Names.Paths.GuardStreams, null, ProtocolJson.Default.StreamResponse, null, cancellationToken);

    /// <summary>Waits up to a second for revocations. Sent once: freshness counts from the sending, and the caller polls in a loop anyway.</summary>
    public Task<RevocationsResponse> Poll(RevocationsRequest request, CancellationToken cancellationToken = default) =>
        Call(Names.Paths.GuardRevocations, ServerRequest.Body(request, ProtocolJson.Default.RevocationsRequest), ProtocolJson.Default.RevocationsResponse, 1, cancellationToken);

    public Task<ManifestResponse> ReportManifest(ManifestRequest request, CancellationToken cancellationToken = default) =>
        Call(Names.Paths.GuardManifest, ServerRequest.Body(request, ProtocolJson.Default.ManifestRequest), ProtocolJson.Default.ManifestResponse, null, cancellationToken);

    /// <summary>What decides calls at this guard's tool server, with its entity tag; null when it is still what <paramref name="seen"/> tags.</summary>
    public async Task<(PolicyResponse Policy, string? Tag)?> Policy(string? seen = null, CancellationToken cancellationToken = default)
    {
        string? tag = null;
        Uri uri = server.At(Names.Paths.GuardPolicy);
        PolicyResponse? answer = await server.Send(
            tokens, own => new ServerRequest(HttpMethod.Get, uri) { Key = key, AccessToken = own.Value, IfNoneMatch = seen, Headers = h => tag = h.ETag?.ToString() },
            ProtocolJson.Default.PolicyResponse, cancellationToken);
        return answer is null ? null : (answer, tag);
    }

    /// <summary>Delivers a batch of the spool; only what the answer acknowledges may be forgotten.</summary>
    /// <param name="request">A <see cref="GuardAuditRequest"/> as JSON in UTF-8: the entries stand in the spool as they are sent.</param>
    public Task<GuardAuditResponse> Deliver(byte[] request, CancellationToken cancellationToken = default) =>
        Call(Names.Paths.GuardAudit, request, ProtocolJson.Default.GuardAuditResponse, null, cancellationToken);

    public Task<BudgetResponse> Spend(BudgetRequest request, CancellationToken cancellationToken = default) =>
        Call(Names.Paths.GuardBudgets, ServerRequest.Body(request, ProtocolJson.Default.BudgetRequest), ProtocolJson.Default.BudgetResponse, null, cancellationToken);

    /// <summary>Gives back what is left of leased budgets.</summary>
    public Task<BudgetReturnsResponse> Return(BudgetReturnsRequest request, CancellationToken cancellationToken = default) =>
        Call(Names.Paths.GuardBudgetReturns, ServerRequest.Body(request, ProtocolJson.Default.BudgetReturnsRequest), ProtocolJson.Default.BudgetReturnsResponse, null, cancellationToken);

    /// <summary>Uses up a person's yes to a call, or has one asked for it.</summary>
    public Task<ApprovalResponse> Approve(ApprovalRequest request, CancellationToken cancellationToken = default) =>
        Call(Names.Paths.GuardApprovals, ServerRequest.Body(request, ProtocolJson.Default.ApprovalRequest), ProtocolJson.Default.ApprovalResponse, null, cancellationToken);

    /// <summary>Asks whether a token is alive this very moment (RFC 7662 §2.1); never cached.</summary>
    public async Task<IntrospectionResponse> Introspect(string token, CancellationToken cancellationToken = default)
    {
        Uri endpoint = (await server.Metadata(cancellationToken)).IntrospectionEndpoint;
        KeyValuePair<string, string>[] form = [new("token", token), new("token_type_hint", Names.OAuth.AccessToken)];
        return await server.Send(
            tokens, own => new ServerRequest(HttpMethod.Post, endpoint) { Form = form, Key = key, AccessToken = own.Value },
            ProtocolJson.Default.IntrospectionResponse, cancellationToken);
    }

    /// <summary>
    /// Trades the token that a tool was called with for one at another tool server (RFC 8693 §2.1): for the same person, agent and task, bound to this
    /// guard's key. An edge of the registry must lead there from the tool.
    /// </summary>
    /// <param name="subjectToken">As it was presented here.</param>
    /// <param name="tool">The tool that runs.</param>
    /// <param name="resource">The other tool server's resource identifier, exactly.</param>
    /// <param name="scope">Which of the edge's tools, <c>tool:NAME</c> each; null = all of them.</param>
    /// <param name="authorizationDetails">What is wanted there (RFC 9396), within the edge and the task; null = all of it.</param>
    public async Task<AccessToken> Exchange(
        string subjectToken, string tool, string resource, string? scope = null, string? authorizationDetails = null, CancellationToken cancellationToken = default)
    {
        ServerAddress.RequireResource(resource);
        List<KeyValuePair<string, string>> form =
        [
            new(Names.OAuth.GrantType, Names.Exchange.GrantType),
            new(Names.Exchange.SubjectToken, subjectToken),
            new(Names.Exchange.SubjectTokenType, Names.Exchange.AccessTokenType),
            new(Names.Exchange.Tool, tool),
            new(Names.Resources.Resource, resource),
        ];
        if (scope is not null) form.Add(new(Names.OAuth.Scope, scope));
        if (authorizationDetails is not null) form.Add(new(Names.Resources.AuthorizationDetails, authorizationDetails));
        (AccessToken token, TokenResponse answer) = await server.RequestToken(form, client, key, cancellationToken);
        // RFC 8693 §2.2.1.
        return answer.IssuedTokenType == Names.Exchange.AccessTokenType ? token : throw ServerConnection.Senseless("what was issued is not an access token");
    }

    /// <summary>The server's published signing keys, as they are now: a guard keeps them itself, and asks anew because of one that a cache cannot know.</summary>
    public async Task<IReadOnlyList<VerificationKey>> Keys(CancellationToken cancellationToken = default)
    {
        Uri location = (await server.Metadata(cancellationToken)).JwksUri;
        JsonElement set = await server.Send(new ServerRequest(HttpMethod.Get, location) { Uncached = true }, cancellationToken);
        return VerificationKey.FromJwks(set).TryGet(out IReadOnlyList<VerificationKey>? keys, out Fault? fault)
            ? keys : throw new HttpRequestException(HttpRequestError.InvalidResponse, $"The authorization server's keys cannot be used: {fault}");
    }

    private Task<T> Call<T>(string path, byte[]? body, JsonTypeInfo<T> answer, int? attempts, CancellationToken cancellationToken)
    {
        Uri uri = server.At(path);
        return server.Send(
            tokens, own => new ServerRequest(HttpMethod.Post, uri) { Json = body, Key = key, AccessToken = own.Value, Attempts = attempts }, answer, cancellationToken);
    }

    public void Dispose()
    {
        tokens.Dispose();
        server.Dispose();
    }
}
