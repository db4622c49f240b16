using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpGuard.Gateway.Configuration;
using Microsoft.Extensions.Logging.Abstractions;
using ModelContextProtocol;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;

namespace McpGuard.Gateway.Upstreams;

/// <summary>
/// One connection to an upstream, from its start to its end; all callers share it. Ids and progress tokens are made here, so whatever comes back
/// goes to the request that it is about, and what is about none goes to nobody. The upstream's own requests are refused.
/// </summary>
internal sealed class UpstreamSession : IAsyncDisposable
{
    private const string ProgressMethod = "notifications/progress", ToolsChanged = "notifications/tools/list_changed", Listen = "subscriptions/listen", Cancelled = "notifications/cancelled";

    private static readonly TimeSpan CancelLimit = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<string, ProgressOfOne> progress = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource closed = new();
    private readonly TaskCompletionSource doubted = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SemaphoreSlim changed = new(0, 1);
    private readonly Lock gate = new();
    private StdioProcess? process;
    private McpClient client = null!;
    private long announced, listed, lastToken;
    private long lastId = 1_000_000; // the client's own ids begin at 1
    private TaskCompletionSource relisted = New();

    private UpstreamSession()
    {
    }

    /// <summary>The process of a stdio upstream.</summary>
    public int? ProcessId => process?.Id;

    /// <summary>Completes when there is nothing at the other end any more.</summary>
    public Task Ended { get; private set; } = Task.CompletedTask;

    public bool HasTools => client.ServerCapabilities.Tools is not null;
    public bool HasPrompts => client.ServerCapabilities.Prompts is not null;
    public bool HasResources => client.ServerCapabilities.Resources is not null;

    public static async Task<UpstreamSession> Open(UpstreamConfiguration upstream, TimeProvider time, ILogger logger, CancellationToken cancellationToken)
    {
        var session = new UpstreamSession();
        try
        {
            var options = new McpClientOptions
            {
                // No capabilities and no handlers: sampling, elicitation and roots are refused.
                ClientInfo = new Implementation { Name = "mcpguard-gateway", Version = typeof(UpstreamSession).Assembly.GetName().Version!.ToString(3) },
                InitializationTimeout = TimeSpan.FromSeconds(60),
            };
            // The transport writes whole messages to its log: it gets none.
            session.client = await McpClient.CreateAsync(new InOrder(session.Transport(upstream, time, logger), session.Take), options, NullLoggerFactory.Instance, cancellationToken);
            session.Ended = Task.WhenAny(session.client.Completion, session.process?.Exited ?? Task.Delay(Timeout.Infinite, CancellationToken.None));
            session.ListenForChanges();
            return session;
        }
        catch
        {
            await session.DisposeAsync();
            throw;
        }
    }

    private IClientTransport Transport(UpstreamConfiguration upstream, TimeProvider time, ILogger logger)
    {
        if (upstream.Stdio is { } stdio)
        {
            process = StdioProcess.Start(stdio, new ErrorOutput(upstream.Secrets, time, logger));
            return new StreamClientTransport(process.Input, new BoundedLines(process.Output, upstream.Limits.ResultBytes), NullLoggerFactory.Instance);
        }
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false, UseCookies = false, AutomaticDecompression = DecompressionMethods.None, PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            // Trace context and baggage of a caller's request would travel on to the upstream.
            ActivityHeadersPropagator = System.Diagnostics.DistributedContextPropagator.CreateNoOutputPropagator(),
        };
        var http = new HttpClient(new BoundedResponses(handler, upstream.Limits.ResultBytes)) { Timeout = Timeout.InfiniteTimeSpan };
        return new HttpClientTransport(
            new HttpClientTransportOptions
            {
                Endpoint = upstream.Http!.Url, TransportMode = HttpTransportMode.StreamableHttp, AdditionalHeaders = new Dictionary<string, string>(upstream.Http.Headers), MaxReconnectionAttempts = 0,
            },
            http, NullLoggerFactory.Instance, ownsHttpClient: true);
    }

    /// <summary>One request, and its answer as it came.</summary>
    /// <param name="onProgress">Gets the progress notifications of this very request; null asks for none.</param>
    /// <exception cref="McpProtocolException">The upstream answered with an error.</exception>
    /// <exception cref="UpstreamException">It gave no answer that can be passed on.</exception>
    public async Task<JsonObject> Request(string method, JsonObject parameters, Func<JsonObject, ValueTask>? onProgress, TimeSpan limit, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, closed.Token);
        var id = new RequestId(Interlocked.Increment(ref lastId));
        string? token = null;
        if (onProgress is not null)
        {
            token = "p" + Interlocked.Increment(ref lastToken).ToString(CultureInfo.InvariantCulture);
            progress[token] = new ProgressOfOne(onProgress);
            parameters["_meta"] = new JsonObject { ["progressToken"] = token };
        }
        try
        {
            stop.CancelAfter(limit);
            JsonRpcResponse response = await client.SendRequestAsync(new JsonRpcRequest { Id = id, Method = method, Params = parameters }, stop.Token);
            if (token is not null) await progress[token].Settled();
            return response.Result is JsonObject result && (result["resultType"] is not { } kind || kind is JsonValue text && text.TryGetValue(out string? word) && word == "complete")
                ? result : throw new UpstreamException(UpstreamException.Malformed);
        }
        catch (OperationCanceledException)
        {
            if (!closed.IsCancellationRequested) _ = Cancel(id);
            if (cancellationToken.IsCancellationRequested) throw;
            throw new UpstreamException(closed.IsCancellationRequested ? UpstreamException.Ended : UpstreamException.TimedOut);
        }
        catch (McpProtocolException e) when (e.Message.EndsWith(UpstreamException.TooLarge, StringComparison.Ordinal))
        {
            throw new UpstreamException(UpstreamException.TooLarge);
        }
        catch (Exception e) when (e is IOException or HttpRequestException or ObjectDisposedException or McpException and not McpProtocolException)
        {
            for (Exception? inner = e; inner is not null; inner = inner.InnerException)
            {
                if (inner.Message == UpstreamException.TooLarge) throw new UpstreamException(UpstreamException.TooLarge);
            }
            doubted.TrySetResult();
            throw new UpstreamException(UpstreamException.Ended);
        }
        catch (Exception e) when (e is InvalidOperationException or NotSupportedException)
        {
            // A request of its own inside an answer: nobody here answers those.
            throw new UpstreamException(UpstreamException.Asks);
        }
        catch (System.Text.Json.JsonException)
        {
            throw new UpstreamException(UpstreamException.Malformed);
        }
        finally
        {
            if (token is not null) progress.TryRemove(token, out _);
        }
    }

    /// <summary>
    /// Tells the upstream that nobody waits any more. The client would too, but takes that back when the waiting ends before it has said it.
    /// </summary>
    private async Task Cancel(RequestId id)
    {
        // MCP 2026-07-28 over HTTP: the request's own stream was closed, and that says it.
        if (process is null && client.NegotiatedProtocolVersion == Names.Mcp.V20260728) return;
        try
        {
            await client.SendMessageAsync(
                new JsonRpcNotification { Method = Cancelled, Params = new JsonObject { ["requestId"] = JsonValue.Create((long)id.Id!) } }, closed.Token).WaitAsync(CancelLimit);
        }
        catch (Exception e) when (e is OperationCanceledException or TimeoutException or McpException or IOException or HttpRequestException or ObjectDisposedException or InvalidOperationException)
        {
            // It is gone, or does not listen.
        }
    }

    /// <summary>The tools as they are now; after this, <see cref="Settled"/> is so until the next word of a change.</summary>
    public async Task<UpstreamTools> List(TimeSpan limit, Action<string, string> refused, Action<UpstreamTools> publish, CancellationToken cancellationToken)
    {
        long at = Interlocked.Read(ref announced);
        UpstreamTools tools = !HasTools ? UpstreamTools.None : await UpstreamTools.Read(
            cursor => Request("tools/list", cursor is null ? [] : new JsonObject { ["cursor"] = cursor }, null, limit, cancellationToken), refused);
        Know(tools);
        publish(tools);
        Interlocked.Exchange(ref listed, at);
        Interlocked.Exchange(ref relisted, New()).TrySetResult();
        return tools;
    }

    /// <summary>The upstream has announced no change of its tools that was not looked at.</summary>
    public async Task Settled(CancellationToken cancellationToken)
    {
        while (true)
        {
            Task next = Volatile.Read(ref relisted).Task;
            if (Interlocked.Read(ref listed) >= Interlocked.Read(ref announced)) return;
            await next.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Completes when there is a reason to list again before it is time to.</summary>
    public async Task Changed(CancellationToken cancellationToken) => await await Task.WhenAny(changed.WaitAsync(cancellationToken), doubted.Task, Ended);

    /// <summary>The client copies arguments into headers where a tool's schema asks for it (MCP 2026-07-28), and so it must know the schemas.</summary>
    private void Know(UpstreamTools tools)
    {
        client.ClearKnownTools();
        foreach (System.Text.Json.JsonElement definition in tools.Definitions)
        {
            try
            {
                if (System.Text.Json.JsonSerializer.Deserialize(definition, McpJsonUtilities.DefaultOptions.GetTypeInfo(typeof(Tool))) is Tool tool) client.AddKnownTools([tool]);
            }
            catch (Exception e) when (e is System.Text.Json.JsonException or ArgumentException)
            {
                // Such a tool has no headers.
            }
        }
    }

    /// <summary>MCP 2026-07-28: changes are told to those who listen. One that does not tell is listed again in time.</summary>
    private void ListenForChanges()
    {
        if (client.NegotiatedProtocolVersion != Names.Mcp.V20260728 || client.ServerCapabilities.Tools?.ListChanged is not true) return;
        var request = new JsonRpcRequest { Method = Listen, Params = new JsonObject { ["notifications"] = new JsonObject { ["toolsListChanged"] = true } } };
        _ = Stream();

        async Task Stream()
        {
            await Task.Yield();
            try
            {
                await client.SendRequestAsync(request, closed.Token);
            }
            catch (Exception e) when (e is OperationCanceledException or McpException or IOException or HttpRequestException or ObjectDisposedException or InvalidOperationException)
            {
            }
        }
    }

    /// <summary>What it tells of: progress, for the request that it is about; that its tools changed, before an answer that was sent after that.</summary>
    private bool Take(JsonRpcNotification told)
    {
        if (told.Method == ProgressMethod)
        {
            if (told.Params is JsonObject parameters && parameters["progressToken"] is JsonValue value && value.TryGetValue(out string? token) && progress.TryGetValue(token, out ProgressOfOne? one))
                one.Tell(parameters);
            return true;
        }
        if (told.Method != ToolsChanged) return false;
        Interlocked.Increment(ref announced);
        lock (gate)
        {
            if (changed.CurrentCount == 0) changed.Release();
        }
        return true;
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    public async ValueTask DisposeAsync()
    {
        await closed.CancelAsync();
        // The process first: the client waits for its output to end.
        if (process is not null) await process.DisposeAsync();
        if (client is not null) await client.DisposeAsync();
    }
}
