using System.Text.Json;
using McpAuth.Protocol;
using McpGuard.Sdk.Calls;
using McpGuard.Sdk.Downstream;
using McpGuard.Sdk.Http;
using McpGuard.Sdk.Revocation;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace McpGuard.Sdk.Hosting;

/// <summary>
/// Stateless Streamable HTTP on the MCP SDK: one server per request, so nothing of one caller is there for the next. It runs what the
/// gate admitted and nothing else.
/// </summary>
internal sealed class GuardedMcpHost
{
    private readonly GuardGate gate;
    private readonly CallDecider decider;
    private readonly LiveCalls live;
    private readonly ILoggerFactory logging;
    private readonly McpServerOptions options;
    private readonly CallLimits limits;

    public GuardedMcpHost(
        GuardGate gate, CallDecider decider, ToolCatalogue catalogue, ListRules lists, RunningCalls calls, LiveCalls live, IOptions<McpGuardOptions> guard, IOptionsFactory<McpServerOptions> factory,
        ILoggerFactory logging)
    {
        (this.gate, this.decider, this.live, this.logging, limits) = (gate, decider, live, new MessagelessLogging(logging), guard.Value.Limits);
        // One set for all requests: the server only reads it, and every request brings its own services.
        options = factory.Create(Options.DefaultName);
        options.ScopeRequests = false;
        options.Filters.Message.OutgoingFilters.Add(AnswerBody.Filter);
        new InnermostCheck(decider, catalogue, lists, calls).AddTo(options.Filters, options.Handlers);
    }

    public async Task Handle(HttpContext context)
    {
        if (await gate.Admit(context) is not { } admission) return;
        if (!Accepts(context.Request.Headers.Accept))
        {
            await Answers.Status(context, StatusCodes.Status406NotAcceptable);
            Answered(admission, new HandlerOutcome(false, "not_acceptable"));
            return;
        }
        PresentedToken.Remove(context.Request);
        await using var transport = new StreamableHttpServerTransport(logging) { Stateless = true };
        await using McpServer server = McpServer.Create(transport, options, logging, context.RequestServices);
        using LiveCall call = live.Enter(context, admission.Caller.Token, endless: admission.Listens);
        var answer = new AnswerBody(context.Response);
        BoundedBody? body = admission.Listens ? null : new BoundedBody(answer, context.Response, limits.ResultOf(admission.Decision?.Tool?.Name), call.Cut);
        Task running = server.RunAsync(call.Stop);
        try
        {
            await Post(context, transport, Message(admission, answer), admission.Modern, (Stream?)body ?? answer, call.Stop);
            if (body is { Exceeded: true }) await gate.Cut(context, admission, body, answer.Begun);
            // What was written may not have left: it does not leave after its authority has gone.
            else if (call.Ended) await gate.End(context, admission, answer.Begun);
            // The caller need not wait until all is put away.
            else await context.Response.CompleteAsync();
        }
        catch (OperationCanceledException) when (call.Ended)
        {
            await gate.End(context, admission, answer.Begun);
        }
        catch (OperationCanceledException) when (call.Lapsed || context.RequestAborted.IsCancellationRequested)
        {
            // The stream is over, or the caller went away: there is nothing to say to either.
        }
        catch (Exception) when (body is { Exceeded: true })
        {
            await (call.Ended ? gate.End(context, admission, answer.Begun) : gate.Cut(context, admission, body, answer.Begun));
        }
        finally
        {
            Answered(admission, body is { Exceeded: true } ? new HandlerOutcome(false, HandlerOutcome.TooLarge) : null);
            // With no more messages to come the server ends by itself; cancelling it would cost an exception at every request.
            await transport.DisposeAsync();
            await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static async Task Post(HttpContext context, StreamableHttpServerTransport transport, JsonRpcMessage message, bool modern, Stream body, CancellationToken cancellationToken)
    {
        HttpResponse response = context.Response;
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-cache, no-store";
        // Before 2026-07-28 the status is always 200: the decision about 401 and 403 was made long ago.
        Func<JsonRpcMessage?, ValueTask>? starting = modern ? first =>
        {
            if (!response.HasStarted && first is JsonRpcError { Error: { } error }) response.StatusCode = StatusOf(error.Code);
            return ValueTask.CompletedTask;
        } : null;
        if (await transport.HandlePostRequestAsync(message, body, starting, cancellationToken)) return;
        response.ContentType = null;
        response.StatusCode = StatusCodes.Status202Accepted;
    }

    private static JsonRpcMessage Message(Admission admission, AnswerBody answer)
    {
        McpMessage message = admission.Message;
        var context = new JsonRpcMessageContext
        {
            User = admission.Caller.Token.Principal, ProtocolVersion = admission.Version, Items = new Dictionary<string, object?> { [InnermostCheck.Item] = admission, [AnswerBody.Item] = answer },
        };
        if (message.IsNotification) return new JsonRpcNotification { Method = message.Method, Params = RebuiltMessage.Params(admission), Context = context };
        RequestId id = message.Id.ValueKind == JsonValueKind.String ? new RequestId(message.Id.GetString()!) : new RequestId(message.Id.GetInt64());
        return new JsonRpcRequest { Id = id, Method = message.Method, Params = RebuiltMessage.Params(admission), Context = context };
    }

    /// <summary>An allowed call ends also where its handler never ran.</summary>
    private void Answered(Admission admission, HandlerOutcome? instead)
    {
        if (admission.Decision is { } decision) decider.Finished(decision, admission.Answered(instead));
    }

    private static int StatusOf(int code) => code switch
    {
        McpError.MethodNotFound => StatusCodes.Status404NotFound,
        Names.Mcp.HeaderMismatch or Names.Mcp.MissingCapability or Names.Mcp.UnsupportedVersion => StatusCodes.Status400BadRequest,
        _ => StatusCodes.Status200OK,
    };

    /// <summary>The answer may be either, so the client must take both.</summary>
    private static bool Accepts(Microsoft.Extensions.Primitives.StringValues accept)
    {
        bool json = false, events = false;
        foreach (string? header in accept)
        {
            foreach (Range part in (header ?? "").AsSpan().Split(','))
            {
                ReadOnlySpan<char> type = header.AsSpan(part);
                if (type.IndexOf(';') is >= 0 and var end) type = type[..end];
                type = type.Trim();
                json |= type.Equals("application/json", StringComparison.OrdinalIgnoreCase) || type is "*/*" or "application/*";
                events |= type.Equals("text/event-stream", StringComparison.OrdinalIgnoreCase) || type is "*/*" or "text/*";
            }
        }
        return json && events;
    }
}
