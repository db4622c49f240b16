using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Protocol.Messages;

namespace McpAuth.Client;

/// <summary>Sends requests to one authorization server and reads its answers strictly.</summary>
internal sealed class ServerConnection : IDisposable
{
    private readonly HttpMessageInvoker http;
    private readonly ConnectionOptions options;
    private readonly DpopNonces nonces = new();
    private AuthorizationServerMetadata? metadata;

    public ServerConnection(string issuer, ConnectionOptions options)
    {
        (Issuer, this.options) = (issuer, options);
        Uri address = ServerAddress.Issuer(issuer);
        http = options.Handler is { } given ? new(given, disposeHandler: false) : new(ServerAddress.Handler(address));
    }

    public string Issuer { get; }
    public TimeProvider Time => options.Time;
    public TimeSpan Timeout => options.Timeout;
    public int Attempts => options.Attempts;

    public Backoff NewBackoff() => new(options.Backoff, longest: options.Timeout);

    /// <summary>One of <see cref="Names.Paths"/>, appended to the issuer.</summary>
    public Uri At(string path) => new(Issuer.TrimEnd('/') + path);

    /// <summary>Discovered at first need and then kept, so that a guard can start while the server is away.</summary>
    public async ValueTask<AuthorizationServerMetadata> Metadata(CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref metadata) is { } known) return known;
        JsonElement document = await Send(new(HttpMethod.Get, AuthorizationServerMetadata.Location(Issuer)), cancellationToken);
        if (!AuthorizationServerMetadata.Read(document, Issuer).TryGet(out AuthorizationServerMetadata? read, out Fault? fault))
            throw Senseless(fault.ToString());
        Volatile.Write(ref metadata, read);
        return read;
    }

    public async Task<T> Send<T>(ServerRequest request, JsonTypeInfo<T> answer, CancellationToken cancellationToken)
    {
        JsonElement body = await Send(request, cancellationToken);
        if (body.ValueKind == JsonValueKind.Undefined && request.IfNoneMatch is not null) return default!;
        try
        {
            return body.Deserialize(answer) ?? throw Senseless("null");
        }
        catch (JsonException)
        {
            throw Senseless("the answer does not have the members it should");
        }
    }

    /// <summary>Sends with a token that is renewed once if the server no longer takes it; a second refusal is final.</summary>
    public async Task<T> Send<T>(TokenCache tokens, Func<AccessToken, ServerRequest> request, JsonTypeInfo<T> answer, CancellationToken cancellationToken)
    {
        AccessToken token = await tokens.Get(cancellationToken);
        try
        {
            return await Send(request(token), answer, cancellationToken);
        }
        // An instance that someone ended does not come back by itself.
        catch (OAuthErrorException refused) when (refused is { Status: 401, Error: Names.Errors.InvalidToken, Reason: not Names.Reasons.InstanceEnded })
        {
            tokens.Drop(token);
        }
        return await Send(request(await tokens.Get(cancellationToken)), answer, cancellationToken);
    }

    /// <summary>Asks the token endpoint for a token bound to <paramref name="key"/>.</summary>
    public async Task<(AccessToken Token, TokenResponse Answer)> RequestToken(
        IReadOnlyList<KeyValuePair<string, string>> form, ClientAuthentication client, SigningKey key, CancellationToken cancellationToken)
    {
        Uri endpoint = (await Metadata(cancellationToken)).TokenEndpoint;
        DateTimeOffset asked = Time.GetUtcNow();
        TokenResponse answer = await Send(
            new ServerRequest(HttpMethod.Post, endpoint) { Form = form, Client = client, Key = key }, ProtocolJson.Default.TokenResponse, cancellationToken);
        return (Bound(answer.AccessToken, answer.TokenType, answer.ExpiresIn, answer.Scope, asked), answer);
    }

    public static AccessToken Bound(string token, string type, int expiresIn, string? scope, DateTimeOffset asked)
    {
        // RFC 9449 §5: a token that is not bound to the key, though a proof was sent, is not used.
        if (!string.Equals(type, Names.Dpop.Scheme, StringComparison.OrdinalIgnoreCase)) throw Senseless("the token is not bound to the key");
        if (string.IsNullOrEmpty(token) || expiresIn <= 0) throw Senseless("the token is empty or already expired");
        return new AccessToken(token, asked, asked.AddSeconds(expiresIn), scope);
    }

    public async Task<JsonElement> Send(ServerRequest request, CancellationToken cancellationToken)
    {
        int attempts = request.Attempts ?? options.Attempts;
        Backoff between = NewBackoff();
        for (int attempt = 1; ; attempt++)
        {
            TimeSpan? wait = null;
            try
            {
                return await SendWithNonce(request, cancellationToken);
            }
            // Only where nothing can have been done: the connection never stood, or the server says so itself.
            catch (HttpRequestException failed) when (attempt < attempts && failed.HttpRequestError
                is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError)
            {
            }
            catch (UnavailableException unavailable)
            {
                if (attempt >= attempts) throw unavailable.Refusal;
                wait = unavailable.RetryAfter;
            }
            TimeSpan jittered = between.Next();
            await Task.Delay(wait > jittered ? wait.Value : jittered, Time, cancellationToken);
        }
    }

    private async Task<JsonElement> SendWithNonce(ServerRequest request, CancellationToken cancellationToken)
    {
        string? nonce = request.Key is null ? null : nonces.For(request.Uri);
        (JsonElement body, bool again) = await SendOnce(request, nonce, mayAskAgain: true, cancellationToken);
        // RFC 9449 §8: once more with the nonce the server has just sent; if it wants yet another, that is an error.
        if (again) (body, _) = await SendOnce(request, nonces.For(request.Uri), mayAskAgain: false, cancellationToken);
        return body;
    }

    private async Task<(JsonElement Body, bool Again)> SendOnce(ServerRequest request, string? nonce, bool mayAskAgain, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(options.Timeout);
        try
        {
            using HttpRequestMessage message = Message(request, nonce);
            using HttpResponseMessage response = await (request.Connection ?? http).SendAsync(message, limit.Token);
            bool newNonce = request.Key is not null && nonces.Learn(request.Uri, response.Headers, nonce);
            if (response.StatusCode == HttpStatusCode.NotModified && request.IfNoneMatch is not null) return (default, false);
            JsonElement? body = await AnswerBody.Read(response.Content, limit.Token);
            if (response.IsSuccessStatusCode) request.Headers?.Invoke(response.Headers);
            if (response.IsSuccessStatusCode) return (body ?? (request.NoAnswer ? default(JsonElement) : throw Senseless("the answer is not JSON")), false);

            OAuthErrorException refusal = Refusal(response, body);
            if (mayAskAgain && newNonce && refusal.Error == Names.Dpop.UseNonce) return (default, true);
            // 429: over a limit of the server, which looked at nothing.
            if (response.StatusCode is HttpStatusCode.ServiceUnavailable or HttpStatusCode.TooManyRequests) throw new UnavailableException(refusal, RetryAfter(response));
            throw refusal;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new HttpRequestException($"{request.Method} {request.Uri.AbsolutePath}: no answer within {options.Timeout.TotalSeconds:0.#} s");
        }
    }

    private HttpRequestMessage Message(ServerRequest request, string? nonce)
    {
        DateTimeOffset now = Time.GetUtcNow();
        var message = new HttpRequestMessage(request.Method, request.Uri);
        message.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
        if (request.IfNoneMatch is not null) message.Headers.IfNoneMatch.Add(EntityTagHeaderValue.Parse(request.IfNoneMatch));
        if (request.Uncached) message.Headers.CacheControl = new() { NoCache = true }; // RFC 9111 §5.2.1.4
        if (request.Form is not null || request.Client is not null)
        {
            List<KeyValuePair<string, string>> form = [.. request.Form ?? []];
            request.Client?.Apply(form, message.Headers, Issuer, now);
            message.Content = new FormUrlEncodedContent(form);
        }
        else if (request.Json is not null)
        {
            message.Content = new ByteArrayContent(request.Json) { Headers = { ContentType = new("application/json") } };
        }
        // Checked before it came here; the platform's own check would show it in its message.
        if (request.Header is { } header) message.Headers.TryAddWithoutValidation(header.Key, header.Value);
        if (request.AccessToken is not null) message.Headers.Authorization = new(Names.Dpop.Scheme, request.AccessToken);
        if (request.Key is not null)
            message.Headers.Add(Names.Dpop.Header, DpopProof.Create(request.Key, request.Method.Method, request.Uri, request.AccessToken, now, nonce));
        return message;
    }

    private static OAuthErrorException Refusal(HttpResponseMessage response, JsonElement? body)
    {
        string? Text(string member) => body is { ValueKind: JsonValueKind.Object } json && json.TryGetProperty(member, out JsonElement value)
            && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
        // A resource's refusal may stand in the challenge alone (RFC 6750 §3).
        string error = Text("error") ?? Challenge.Error(response.Headers)
            ?? (response.StatusCode == HttpStatusCode.Unauthorized ? Names.Errors.InvalidToken : Names.Errors.ServerError);
        return new(error, Text("error_description"), Text(Names.Errors.ReasonMember), (int)response.StatusCode);
    }

    private TimeSpan? RetryAfter(HttpResponseMessage response)
    {
        TimeSpan? wait = response.Headers.RetryAfter switch
        {
            { Delta: { } delta } => delta,
            { Date: { } date } => date - Time.GetUtcNow(),
            _ => null,
        };
        return wait > options.Timeout ? options.Timeout : wait;
    }

    public static HttpRequestException Senseless(string what) => new(HttpRequestError.InvalidResponse, $"The authorization server's answer cannot be used: {what}.");

    public void Dispose() => http.Dispose();

    /// <summary>A 503 or 429 on its way to the loop that may try again.</summary>
    private sealed class UnavailableException(OAuthErrorException refusal, TimeSpan? retryAfter) : Exception
    {
        public OAuthErrorException Refusal { get; } = refusal;
        public TimeSpan? RetryAfter { get; } = retryAfter;
    }
}
