using System.Collections.Concurrent;
using System.Text;
using McpAuth.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace McpGuard.Sdk.Tests;

/// <summary>Another tool server, as far as HTTP goes: it keeps all that reaches it.</summary>
internal sealed class RecordingApi : IAsyncDisposable
{
    private readonly WebApplication app;

    private RecordingApi(WebApplication app, string origin) => (this.app, Origin) = (app, origin);

    public string Origin { get; }
    public string Resource => Origin + "/mcp";
    public ConcurrentQueue<Reached> All { get; } = new();

    /// <summary>Answers a request, by its number from 1; null: 200.</summary>
    public Func<int, HttpContext, Task>? Answering { get; set; }

    public static async Task<RecordingApi> StartAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        string origin = $"http://127.0.0.1:{FreePort.Next()}";
        builder.WebHost.UseUrls(origin);
        var api = new RecordingApi(builder.Build(), origin);
        api.app.Run(api.Answer);
        await api.app.StartAsync();
        return api;
    }

    private async Task Answer(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body, Encoding.UTF8);
        string body = await reader.ReadToEndAsync();
        All.Enqueue(new Reached(
            context.Request.Method, context.Request.Path, context.Request.Headers.Authorization.ToString(), context.Request.Headers["DPoP"].ToString(),
            $"{context.Request.Method} {context.Request.Path}{context.Request.QueryString}\n" + string.Join('\n', context.Request.Headers.Select(h => $"{h.Key}: {h.Value}")) + "\n\n" + body));
        if (Answering is { } answering) await answering(All.Count, context);
        else await context.Response.WriteAsync("fine");
    }

    public async ValueTask DisposeAsync()
    {
        await app.StopAsync(new CancellationTokenSource(TimeSpan.FromSeconds(2)).Token);
        await app.DisposeAsync();
    }
}

/// <param name="Wire">Everything of it.</param>
internal sealed record Reached(string Method, string Path, string Authorization, string Proof, string Wire);
