using System.Buffers;
using McpAuth.Protocol;
using Microsoft.AspNetCore.Http;
using ModelContextProtocol.Protocol;

namespace McpGuard.Sdk.Http;

/// <summary>
/// The answer of a handler that writes whole messages. Each leaves when it is flushed, but the last: that is kept until <see cref="Complete"/>, and leaves together with the
/// end of the response, in one system call instead of two. The headers leave with the first, or by themselves when that is long in coming: until then the status can be
/// chosen, and another answer take the place of what is kept.
/// </summary>
/// <param name="statuses">Whether an error that comes first is told by the status too.</param>
internal sealed class AnswerBody(HttpResponse response, bool statuses, TimeProvider time) : WriteOnlyStream
{
    /// <summary>For a first message to come before the headers leave without it.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(250);

    private ITimer? patience;
    private Task? headers; // null while none are sent; over when they are, or leave with what is written
    private readonly ArrayBufferWriter<byte> kept = new();
    private readonly Lock passing = new();
    private bool last, passed, closed;

    /// <summary>The answer to the request comes next; after it there is none.</summary>
    public async ValueTask Last(JsonRpcMessage answer)
    {
        await Settle();
        last = true;
        lock (passing)
        {
            // A handler that was stopped says so beside the refusal that has taken its place: the status is no longer its own.
            if (!closed && !passed && !response.HasStarted && statuses && answer is JsonRpcError { Error.Code: var code }) response.StatusCode = StatusOf(code);
        }
    }

    /// <summary>Nothing of this answer leaves any more, whatever is still written, and the status is for whoever takes its place.</summary>
    /// <returns>Whether another can take its place: false when something of it is on its way.</returns>
    public async ValueTask<bool> GiveWay()
    {
        await Settle();
        lock (passing)
        {
            closed = true;
            return !passed && !response.HasStarted;
        }
    }

    /// <summary>All is written: it leaves, and the response with it.</summary>
    public async Task Complete()
    {
        await Settle();
        if (Pass()) await response.CompleteAsync();
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        await Settle();
        kept.Write(buffer.Span);
    }

    public override async Task FlushAsync(CancellationToken cancellationToken)
    {
        if (last) return;
        if (kept.WrittenCount == 0) patience ??= time.CreateTimer(static body => _ = ((AnswerBody)body!).SendHeaders(), this, Grace, Timeout.InfiniteTimeSpan);
        else if (Pass()) await response.BodyWriter.FlushAsync(cancellationToken);
    }

    /// <summary>Hands on what is kept; false when it has given way.</summary>
    private bool Pass()
    {
        lock (passing)
        {
            if (closed) return false;
            if (kept.WrittenCount == 0) return true;
            response.BodyWriter.Write(kept.WrittenSpan);
            kept.ResetWrittenCount();
            return passed = true;
        }
    }

    private ValueTask Settle() =>
        Interlocked.CompareExchange(ref headers, Task.CompletedTask, null) is { IsCompleted: false } leaving ? new ValueTask(leaving) : default;

    private async Task SendHeaders()
    {
        var sent = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        if (Interlocked.CompareExchange(ref headers, sent.Task, null) is not null) return;
        try
        {
            await response.BodyWriter.FlushAsync();
        }
        catch (Exception)
        {
            // The caller is gone; whoever writes next is told so.
        }
        finally
        {
            sent.SetResult();
        }
    }

    private static int StatusOf(int code) => code switch
    {
        McpError.MethodNotFound => StatusCodes.Status404NotFound,
        Names.Mcp.HeaderMismatch or Names.Mcp.MissingCapability or Names.Mcp.UnsupportedVersion => StatusCodes.Status400BadRequest,
        _ => StatusCodes.Status200OK,
    };

    public override void Write(ReadOnlySpan<byte> buffer) => throw new NotSupportedException();

    public override void Flush() => throw new NotSupportedException();

    public override async ValueTask DisposeAsync()
    {
        patience?.Dispose();
        await Settle();
        await base.DisposeAsync();
    }
}
