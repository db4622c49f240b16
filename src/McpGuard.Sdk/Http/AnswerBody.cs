using System.Buffers;
using Microsoft.AspNetCore.Http;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace McpGuard.Sdk.Http;

/// <summary>
/// The answer of a handler that writes whole messages. Each leaves when it is flushed, but the last: that leaves together with the end of the response, in one system
/// call instead of two.
/// </summary>
internal sealed class AnswerBody(HttpResponse response) : WriteOnlyStream
{
    /// <summary>Where it travels with the message.</summary>
    public const string Item = "mcpguard.answer";

    private bool written, last;

    /// <summary>Something of the answer is on its way, or will be: another can no longer take its place.</summary>
    public bool Begun => written || response.HasStarted;

    /// <summary>Looks at every message that is sent: after the response to the request there is none.</summary>
    public static McpMessageHandler Filter(McpMessageHandler next) => (message, cancellationToken) =>
    {
        if (message.JsonRpcMessage is JsonRpcResponse or JsonRpcError && message.Items.TryGetValue(Item, out object? item) && item is AnswerBody answer) answer.last = true;
        return next(message, cancellationToken);
    };

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Write(buffer.Span);
        return default;
    }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        written = true;
        response.BodyWriter.Write(buffer);
    }

    public override async Task FlushAsync(CancellationToken cancellationToken)
    {
        if (!last) await response.BodyWriter.FlushAsync(cancellationToken);
    }

    public override void Flush() => throw new NotSupportedException();
}
