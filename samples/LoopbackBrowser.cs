using System.Diagnostics;
using System.Net;
using System.Security.Cryptography;

namespace Samples;

/// <summary>
/// How a program on a person's machine asks them something (RFC 8252 §7.3): it opens a browser, and listens on a port of this machine, free
/// at this moment, for the address at which the browser comes back.
/// </summary>
internal sealed class LoopbackBrowser : IDisposable
{
    private const string Path = "/callback";
    private readonly HttpListener listener;
    private readonly IReadOnlyList<string> command;

    /// <param name="command">The browser's command with its arguments, the address is added; empty = the address is printed for the person to open.</param>
    public LoopbackBrowser(IReadOnlyList<string> command)
    {
        this.command = command;
        for (int attempts = 1; ; attempts++)
        {
            // Below the range that the system gives to outgoing connections.
            int port = RandomNumberGenerator.GetInt32(20_000, 32_000);
            listener = new HttpListener { Prefixes = { $"http://127.0.0.1:{port}/" } };
            try
            {
                listener.Start();
                RedirectUri = new Uri($"http://127.0.0.1:{port}{Path}");
                return;
            }
            catch (HttpListenerException) when (attempts < 100)
            {
                listener.Close();
            }
        }
    }

    public Uri RedirectUri { get; }

    /// <summary>Sends the browser to an address and waits for it to come back.</summary>
    /// <returns>The whole address at which it came back.</returns>
    /// <exception cref="IOException">The browser's command cannot be started, or ends with an error.</exception>
    public async Task<Uri> Ask(Uri address, CancellationToken cancellationToken)
    {
        using var waiting = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task<Uri> coming = Next(waiting.Token);
        if (command.Count == 0)
        {
            Console.WriteLine($"  Open this in a browser: {address.AbsoluteUri}");
            return await coming;
        }
        Task browsing = Browse(address, cancellationToken);
        // A browser that fails never comes back.
        if (await Task.WhenAny(coming, browsing) == browsing && browsing.IsFaulted) await waiting.CancelAsync();
        await browsing;
        return await coming;
    }

    public void Dispose() => listener.Close();

    private async Task Browse(Uri address, CancellationToken cancellationToken)
    {
        try
        {
            using Process browser = Process.Start(new ProcessStartInfo(command[0], [.. command.Skip(1), address.AbsoluteUri]))!;
            await browser.WaitForExitAsync(cancellationToken);
            if (browser.ExitCode != 0) throw new IOException($"{command[0]} ended with {browser.ExitCode}.");
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new IOException($"{command[0]} cannot be started: {e.Message}", e);
        }
    }

    private async Task<Uri> Next(CancellationToken cancellationToken)
    {
        while (true)
        {
            HttpListenerContext context = await listener.GetContextAsync().WaitAsync(cancellationToken);
            // Browsers ask for an icon, too.
            bool answer = context.Request is { HttpMethod: "GET", Url.AbsolutePath: Path };
            context.Response.StatusCode = answer ? 200 : 404;
            context.Response.ContentType = "text/plain";
            context.Response.Close("You can close this window."u8.ToArray(), willBlock: true);
            if (answer) return context.Request.Url!;
        }
    }
}
