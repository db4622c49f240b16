using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Json;
using Microsoft.Extensions.Logging;

namespace McpGuard.Sdk.DecisionPoints;

/// <summary>What a decision point came to.</summary>
internal enum PointAnswer
{
    Allow,
    Deny,

    /// <summary>Nothing came in time.</summary>
    Timeout,

    /// <summary>What came is no answer.</summary>
    Error,
}

/// <summary>Asks one decision point. Whatever is not plainly its yes is none.</summary>
internal sealed partial class DecisionPoint : IDisposable
{
    private const string Json = "application/json";

    /// <summary>An answer is a boolean and a few words; more is not read.</summary>
    private const int LongestAnswer = 64 * 1024;

    private readonly AuthZenDecisionPoint how;
    private readonly TimeProvider time;
    private readonly ILogger logger;
    private readonly HttpClient http;
    private readonly Uri address;

    public DecisionPoint(AuthZenDecisionPoint how, TimeProvider time, ILogger logger)
    {
        (this.how, this.time, this.logger) = (how, time, logger);
        // The guard's own limit holds; the client's would be a second clock.
        http = new HttpClient(how.Handler ?? Own(how.Endpoint), disposeHandler: how.Handler is null) { Timeout = Timeout.InfiniteTimeSpan };
        address = new Uri(how.Endpoint.AbsoluteUri.TrimEnd('/') + Names.Paths.AccessEvaluation);
    }

    public string Name => how.Name;

    public bool IncludeArguments => how.IncludeArguments;

    /// <exception cref="OperationCanceledException">The caller has gone.</exception>
    public async Task<PointAnswer> Ask(byte[] request, string id, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            // Not by the token alone: the host's function for tokens may not listen to it.
            return await Send(request, id, limit.Token).WaitAsync(how.Timeout, time, cancellationToken);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            await limit.CancelAsync();
            if (e is TimeoutException)
            {
                Log.TooSlow(logger, Name);
                return PointAnswer.Timeout;
            }
            // The text of an exception may quote a token or an argument: its type must do.
            return Failed(e.GetType().Name);
        }
    }

    private async Task<PointAnswer> Send(byte[] body, string id, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, address) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue(Json);
        request.Headers.Accept.ParseAdd(Json);
        request.Headers.TryAddWithoutValidation(Names.AuthZen.RequestId, id);
        if (how.Token is { } token && await token(cancellationToken) is { } bearer) request.Headers.Authorization = new AuthenticationHeaderValue(Names.OAuth.Bearer, bearer);

        using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        // AuthZEN 1.0 §10.1.2: a decision comes with 200, a denial too; everything else is none, a redirect to another place above all.
        if (response.StatusCode != HttpStatusCode.OK) return Failed($"status {(int)response.StatusCode}");
        if (response.Content.Headers.ContentType?.MediaType is not { } type || !type.Equals(Json, StringComparison.OrdinalIgnoreCase)) return Failed("not JSON");
        return await Read(response.Content, cancellationToken) is { } answer ? Decide(answer) : Failed("too long");
    }

    /// <summary>Null when it is longer than an answer is.</summary>
    private static async Task<ReadOnlyMemory<byte>?> Read(HttpContent content, CancellationToken cancellationToken)
    {
        if (content.Headers.ContentLength > LongestAnswer) return null;
        await using Stream stream = await content.ReadAsStreamAsync(cancellationToken);
        byte[] buffer = new byte[1024];
        int length = 0;
        while (await stream.ReadAsync(buffer.AsMemory(length), cancellationToken) is > 0 and var read)
        {
            length += read;
            if (length > LongestAnswer) return null;
            if (length == buffer.Length) Array.Resize(ref buffer, buffer.Length * 2);
        }
        return buffer.AsMemory(0, length);
    }

    private PointAnswer Decide(ReadOnlyMemory<byte> body)
    {
        if (!StrictJson.Parse(body, new JsonLimits(LongestAnswer)).TryGet(out JsonElement answer, out Fault? fault)) return Failed(fault.Code);
        if (answer.ValueKind != JsonValueKind.Object || !answer.TryGetProperty("decision", out JsonElement decision)) return Failed("no decision");
        // §5.5: a boolean; a context, where there is one, is an object, and what it says is not the guard's to act on.
        if (answer.TryGetProperty("context", out JsonElement context) && context.ValueKind != JsonValueKind.Object) return Failed("malformed context");
        return decision.ValueKind switch { JsonValueKind.True => PointAnswer.Allow, JsonValueKind.False => PointAnswer.Deny, _ => Failed("no boolean") };
    }

    private PointAnswer Failed(string problem)
    {
        Log.Failed(logger, Name, problem);
        return PointAnswer.Error;
    }

    /// <summary>A redirect would carry token and arguments where nobody configured; a proxy has no business on loopback.</summary>
    private static SocketsHttpHandler Own(Uri address) => new()
    {
        AllowAutoRedirect = false, UseCookies = false, UseProxy = !McpGuardOptionsValidator.IsLoopback(address.Host), ConnectTimeout = TimeSpan.FromSeconds(2),
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
    };

    public void Dispose() => http.Dispose();

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Error, Message = "The decision point {Name} gave no decision, so the call is denied: {Problem}")]
        public static partial void Failed(ILogger logger, string name, string problem);

        [LoggerMessage(Level = LogLevel.Error, Message = "The decision point {Name} did not answer in time, so the call is denied")]
        public static partial void TooSlow(ILogger logger, string name);
    }
}
