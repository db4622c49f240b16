using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace McpAuth.EndToEnd.Conformance;

/// <summary>
/// Passes every request on as it came, Host and Origin too, with an access token added; and the answer back as it comes, event by event.
/// </summary>
internal sealed class TokenProxy : IAsyncDisposable
{
    // RFC 9110 §7.6.1: of one connection only.
    private static readonly HashSet<string> HopByHop = new(["Connection", "Keep-Alive", "Transfer-Encoding", "TE", "Trailer", "Upgrade", "Authorization"], StringComparer.OrdinalIgnoreCase);

    private readonly HttpMessageInvoker behind = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, UseCookies = false, ActivityHeadersPropagator = null });
    private readonly string target;
    private readonly Func<Task<string>> token;
    private readonly WebApplication app;

    private TokenProxy(string target, Func<Task<string>> token)
    {
        (this.target, this.token) = (target, token);
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        app = builder.Build();
        app.Run(PassAsync);
    }

    public string Address => app.Urls.First();

    /// <param name="target">Scheme, host and port of the server behind.</param>
    public static async Task<TokenProxy> StartAsync(string target, Func<Task<string>> token)
    {
        var proxy = new TokenProxy(target, token);
        await proxy.app.StartAsync();
        return proxy;
    }

    public async ValueTask DisposeAsync()
    {
        await app.DisposeAsync();
        behind.Dispose();
    }

    private async Task PassAsync(HttpContext context)
    {
        using var request = new HttpRequestMessage(new HttpMethod(context.Request.Method), target + context.Request.Path + context.Request.QueryString);
        if (context.Request.ContentLength > 0 || context.Request.Headers.TransferEncoding.Count > 0) request.Content = new StreamContent(context.Request.Body);
        foreach (var (name, values) in context.Request.Headers.Where(h => !HopByHop.Contains(h.Key)))
        {
            if (!request.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values)) request.Content?.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values);
        }
        request.Headers.Authorization = new("Bearer", await token());
        try
        {
            using HttpResponseMessage response = await behind.SendAsync(request, context.RequestAborted);
            context.Response.StatusCode = (int)response.StatusCode;
            foreach (var (name, values) in response.Headers.Concat(response.Content.Headers).Where(h => !HopByHop.Contains(h.Key)))
                context.Response.Headers[name] = values.ToArray();
            await using Stream answer = await response.Content.ReadAsStreamAsync(context.RequestAborted);
            byte[] buffer = new byte[16 * 1024];
            while (await answer.ReadAsync(buffer, context.RequestAborted) is > 0 and var read)
            {
                await context.Response.Body.WriteAsync(buffer.AsMemory(0, read), context.RequestAborted);
                await context.Response.Body.FlushAsync(context.RequestAborted);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or HttpRequestException or IOException)
        {
            // One side went away: so does the other.
            context.Abort();
        }
    }
}
