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
    private byte[] kept = [];
    private int length;
    private bool last;

    /// <summary>The answer to the request comes next; after it there is none.</summary>
    public async ValueTask Last(JsonRpcMessage answer)
    {
        bool first = !await Begun();
        last = true;
        if (first && statuses && answer is JsonRpcError { Error.Code: var code }) response.StatusCode = StatusOf(code);
    }

    /// <summary>Something of the answer is on its way: another can no longer take its place. From here on nothing is sent but what is written.</summary>
    public async ValueTask<bool> Begun()
    {
        await Settle();
        return response.HasStarted;
    }

    /// <summary>All is written: it leaves, and the response with it.</summary>
    public async Task Complete()
    {
        await Settle();
        Pass();
        await response.CompleteAsync();
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        await Settle();
        if (kept.Length - length < buffer.Length)
        {
            byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(length + buffer.Length, 2 * kept.Length));
            kept.AsSpan(0, length).CopyTo(larger);
            Release();
            kept = larger;
        }
        buffer.Span.CopyTo(kept.AsSpan(length));
        length += buffer.Length;
    }

    public override async Task FlushAsync(CancellationToken cancellationToken)
    {
        if (last) return;
        if (length > 0)
        {
            Pass();
            await response.BodyWriter.FlushAsync(cancellationToken);
        }
        else patience ??= time.CreateTimer(static body => _ = ((AnswerBody)body!).SendHeaders(), this, Grace, Timeout.InfiniteTimeSpan);
    }

    private void Pass()
    {
        if (length == 0) return;
        response.BodyWriter.Write(kept.AsSpan(0, length));
        length = 0;
    }

    private void Release()
    {
        if (kept.Length > 0) ArrayPool<byte>.Shared.Return(kept);
        kept = [];
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
        Release();
        await base.DisposeAsync();
    }
}
