using System.Collections.Specialized;
using System.Globalization;
using System.Net;
using McpAuth.Testing;

namespace McpAuth.EndToEnd.Harness;

/// <summary>Where a program on a person's machine waits for the browser to come back (RFC 8252 §7.3).</summary>
internal sealed class LoopbackCallback : IDisposable
{
    private readonly HttpListener listener = new();

    public LoopbackCallback()
    {
        string origin = string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{FreePort.Next()}");
        RedirectUri = new Uri(origin + "/callback");
        listener.Prefixes.Add(origin + "/");
        listener.Start();
    }

    public Uri RedirectUri { get; }

    /// <summary>The parameters of the next answer that arrives.</summary>
    public async Task<NameValueCollection> NextAsync(CancellationToken cancel)
    {
        while (true)
        {
            HttpListenerContext context = await listener.GetContextAsync().WaitAsync(Deployment.Patience, cancel);
            bool isAnswer = context.Request.Url!.AbsolutePath == RedirectUri.AbsolutePath;
            context.Response.StatusCode = isAnswer ? 200 : 404;
            context.Response.ContentType = "text/html; charset=utf-8";
            context.Response.Close("<!doctype html><html lang=en><link rel=icon href=data:,><title>Done</title><p>You can close this window."u8.ToArray(), willBlock: true);
            if (isAnswer) return context.Request.QueryString;
        }
    }

    public void Dispose() => listener.Close();
}
