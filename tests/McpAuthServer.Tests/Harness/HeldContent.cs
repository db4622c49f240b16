using System.Net;
using System.Text;

namespace McpAuthServer.Tests.Harness;

/// <summary>A body that is sent slowly: its first part, and the last one when the test says so.</summary>
internal sealed class HeldContent : HttpContent
{
    private readonly byte[] first, last;
    private readonly TaskCompletionSource begun = new(TaskCreationOptions.RunContinuationsAsynchronously), goOn = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public HeldContent(string first, string last, string type = "application/x-www-form-urlencoded")
    {
        (this.first, this.last) = (Encoding.ASCII.GetBytes(first), Encoding.ASCII.GetBytes(last));
        Headers.ContentType = new(type);
    }

    public Task Begun => begun.Task;

    public void GoOn() => goOn.SetResult();

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
    {
        await stream.WriteAsync(first);
        await stream.FlushAsync();
        begun.SetResult();
        await goOn.Task;
        await stream.WriteAsync(last);
    }

    protected override bool TryComputeLength(out long length)
    {
        length = first.Length + last.Length;
        return true;
    }
}
