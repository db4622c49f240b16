using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace McpGuard.Sdk.Http;

/// <summary>The response body of an endpoint behind the guard, in whichever way it writes.</summary>
internal sealed class BoundedBodyFeature(IHttpResponseBodyFeature outside, BoundedBody body) : IHttpResponseBodyFeature
{
    private PipeWriter? writer;

    public Stream Stream => body;

    public PipeWriter Writer => writer ??= PipeWriter.Create(body, new StreamPipeWriterOptions(leaveOpen: true));

    public Task StartAsync(CancellationToken cancellationToken = default) => outside.StartAsync(cancellationToken);

    public Task SendFileAsync(string path, long offset, long? count, CancellationToken cancellationToken = default) =>
        SendFileFallback.SendFileAsync(body, path, offset, count, cancellationToken);

    public void DisableBuffering() => outside.DisableBuffering();

    public async Task CompleteAsync()
    {
        await DrainAsync();
        if (!body.Exceeded) await outside.CompleteAsync();
    }

    /// <summary>Sends what the endpoint left in the writer.</summary>
    public async Task DrainAsync()
    {
        if (writer is { } open && !body.Exceeded) await open.CompleteAsync();
        writer = null;
    }
}
