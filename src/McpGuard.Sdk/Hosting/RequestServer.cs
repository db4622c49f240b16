using McpGuard.Sdk.Http;
using McpGuard.Sdk.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace McpGuard.Sdk.Hosting;

/// <summary>
/// A server of the MCP SDK, stateless, that runs one request at a time, all of one token. Making one costs as much as running a request, and what it might remember of a caller, no
/// other caller meets.
/// </summary>
internal sealed class RequestServer : IAsyncDisposable
{
    private readonly CancellationTokenSource stop = new();
    private readonly RequestServices services = new();
    private readonly StreamableHttpServerTransport transport;
    private readonly Task running;
    private CancellationTokenRegistration stopping;

    public RequestServer(ValidatedToken token, McpServerOptions options, ILoggerFactory logging)
    {
        Token = token;
        transport = new StreamableHttpServerTransport(logging) { Stateless = true, FlowExecutionContextFromRequests = true };
        // What runs for a request runs in its context, the loop in none.
        using (ExecutionContext.SuppressFlow()) running = McpServer.Create(transport, options, logging, services).RunAsync(stop.Token);
    }

    public ValidatedToken Token { get; }

    /// <summary>Tells of each request when its handler, and the filters around it, have returned; outermost of all.</summary>
    public static McpMessageHandler Watch(McpMessageHandler next) => async (message, cancellationToken) =>
    {
        var services = (RequestServices)message.Server.Services!;
        services.HandlerBegan();
        try
        {
            await next(message, cancellationToken);
        }
        finally
        {
            services.HandlerEnded();
        }
    };

    /// <summary>Runs the message, and writes what it has to say.</summary>
    /// <param name="cancellationToken">Stops what runs; afterwards this server runs nothing more.</param>
    /// <returns>False when there was nothing to say.</returns>
    public Task<bool> Run(HttpContext context, JsonRpcMessage message, AnswerBody answer, Stream body, CancellationToken cancellationToken)
    {
        services.Begin(context.RequestServices, answer);
        stopping = cancellationToken.UnsafeRegister(static stop => ((CancellationTokenSource)stop!).Cancel(), stop);
        return transport.HandlePostRequestAsync(message, body, cancellationToken);
    }

    /// <summary>Waits for what runs. Afterwards nothing of the request is left here, and there may be another, unless this one was stopped.</summary>
    public async ValueTask<bool> End()
    {
        await services.UntilHandlerEnded();
        services.End();
        return stopping.Unregister();
    }

    /// <summary>Waits for what runs. With no more messages to come the server ends by itself; cancelling it would cost an exception at every request.</summary>
    public async ValueTask DisposeAsync()
    {
        await transport.DisposeAsync();
        await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        services.End();
        // Not before what stops it has come to its end.
        await stopping.DisposeAsync();
        stop.Dispose();
    }
}
