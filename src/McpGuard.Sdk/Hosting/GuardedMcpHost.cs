using System.Text.Json;
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
/// Stateless Streamable HTTP on the MCP SDK: a server has one request at a time, all of one token, so nothing of one caller is there for the next. It runs what
/// the gate admitted and nothing else.
/// </summary>
internal sealed class GuardedMcpHost
{
    private readonly GuardGate gate;
    private readonly CallDecider decider;
    private readonly LiveCalls live;
    private readonly ILoggerFactory logging;
    private readonly McpServerOptions options;
    private readonly CallLimits limits;
    private readonly TimeProvider time;
    private readonly IdleServers idle = new();

    public GuardedMcpHost(
        GuardGate gate, CallDecider decider, ToolCatalogue catalogue, ListRules lists, RunningCalls calls, LiveCalls live, IOptions<McpGuardOptions> guard, IOptionsFactory<McpServerOptions> factory,
        TimeProvider time, ILoggerFactory logging)
    {
        (this.gate, this.decider, this.live, this.time, this.logging, limits) = (gate, decider, live, time, new MessagelessLogging(logging), guard.Value.Limits);
        // One set for all requests: the server only reads it, and every request brings its own services.
        options = factory.Create(Options.DefaultName);
        options.ScopeRequests = false;
        options.Filters.Message.OutgoingFilters.Add(TellLast);
        new InnermostCheck(decider, catalogue, lists, calls).AddTo(options.Filters, options.Handlers);
        options.Filters.Message.IncomingFilters.Insert(0, RequestServer.Watch);
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
        await Run(context, admission);
    }

    private async Task Run(HttpContext context, Admission admission)
    {
        using LiveCall call = live.Enter(context, admission.Caller.Token, endless: admission.Listens);
        await using var answer = new AnswerBody(context.Response, admission.Modern, time);
        BoundedBody? body = admission.Listens ? null : new BoundedBody(answer, context.Response, limits.ResultOf(admission.Decision?.Tool?.Name), call.Cut);
        // Before 2026-07-28 a server remembers what it is told.
        bool again = admission.Modern && !admission.Message.IsNotification, whole = false;
        RequestServer server = (again ? idle.Take(admission.Caller.Token) : null) ?? new RequestServer(admission.Caller.Token, options, logging);
        try
        {
            await Post(context, server, Message(admission), answer, (Stream?)body ?? answer, call.Stop);
            if (body is { Exceeded: true }) await gate.Cut(context, admission, body, !await answer.GiveWay());
            // What was written may not have left: it does not leave after its authority has gone.
            else if (call.Ended) await gate.End(context, admission, !await answer.GiveWay());
            // The caller need not wait until all is put away.
            else
            {
                await answer.Complete();
                whole = true;
            }
        }
        catch (OperationCanceledException) when (call.Ended)
        {
            await gate.End(context, admission, !await answer.GiveWay());
        }
        catch (OperationCanceledException) when (call.Lapsed || context.RequestAborted.IsCancellationRequested)
        {
            // The stream is over, or the caller went away: there is nothing to say to either.
        }
        catch (JsonException) when (admission.Message.Method == McpMethods.Initialize)
        {
            // The SDK reads these parameters before anything of it runs that would tell the caller.
            if (await answer.GiveWay()) await Answers.Error(context, admission.Message.Id, new McpError(McpError.InvalidParams, "The parameters cannot be read.", StatusCodes.Status200OK));
            else context.Abort();
        }
        catch (Exception) when (body is { Exceeded: true })
        {
            await (call.Ended ? gate.End(context, admission, !await answer.GiveWay()) : gate.Cut(context, admission, body, !await answer.GiveWay()));
        }
        finally
        {
            Answered(admission, body is { Exceeded: true } ? new HandlerOutcome(false, HandlerOutcome.TooLarge) : null);
            if (whole && again && await server.End()) idle.Put(server);
            else await server.DisposeAsync();
        }
    }

    private static async Task Post(HttpContext context, RequestServer server, JsonRpcMessage message, AnswerBody answer, Stream body, CancellationToken cancellationToken)
    {
        HttpResponse response = context.Response;
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-cache, no-store";
        if (await server.Run(context, message, answer, body, cancellationToken)) return;
        response.ContentType = null;
        response.StatusCode = StatusCodes.Status202Accepted;
    }

    private static JsonRpcMessage Message(Admission admission)
    {
        McpMessage message = admission.Message;
        var context = new JsonRpcMessageContext
        {
            User = admission.Caller.Token.Principal, ProtocolVersion = admission.Version, Items = new Dictionary<string, object?> { [InnermostCheck.Item] = admission },
        };
        if (message.IsNotification) return new JsonRpcNotification { Method = message.Method, Params = RebuiltMessage.Params(admission), Context = context };
        RequestId id = message.Id.ValueKind == JsonValueKind.String ? new RequestId(message.Id.GetString()!) : new RequestId(message.Id.GetInt64());
        return new JsonRpcRequest { Id = id, Method = message.Method, Params = RebuiltMessage.Params(admission), Context = context };
    }

    /// <summary>Next to what is sent: after the answer to the request nothing follows.</summary>
    private static McpMessageHandler TellLast(McpMessageHandler next) => async (message, cancellationToken) =>
    {
        if (message.JsonRpcMessage is JsonRpcResponse or JsonRpcError && ((RequestServices)message.Server.Services!).Answer is { } answer) await answer.Last(message.JsonRpcMessage);
        await next(message, cancellationToken);
    };

    /// <summary>An allowed call ends also where its handler never ran.</summary>
    private void Answered(Admission admission, HandlerOutcome? instead)
    {
        if (admission.Decision is { } decision) decider.Finished(decision, admission.Answered(instead));
    }

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
