using McpAuth.Testing;
using McpGuard.Sdk;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using ModelContextProtocol.Server;

namespace McpAuth.EndToEnd.Harness;

/// <summary>A guarded tool server inside the test process: for what takes code of its own, here its policy, or many of them. Its one tool is <c>mark</c>.</summary>
internal sealed class HostedTool : IAsyncDisposable
{
    private readonly TempDirectory state = new();
    private readonly WebApplication app;
    private int runs;

    public HostedTool(Deployment deployment, CallPolicy policy)
        : this(deployment.Issuer, deployment.HostedResource, deployment.HostedSecret, policy)
    {
    }

    public HostedTool(string issuer, string resource, string secret, CallPolicy policy)
    {
        Resource = resource;
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls(new Uri(resource).GetLeftPart(UriPartial.Authority));
        builder.Services.AddMcpServer().WithTools([McpServerTool.Create(() => Interlocked.Increment(ref runs), new McpServerToolCreateOptions { Name = "mark" })]);
        builder.Services.AddMcpGuard(options =>
        {
            (options.AuthorizationServer, options.Resource, options.EnrolmentSecret) = (issuer, resource, secret);
            (options.StateDirectory, options.Policy) = (state.Path, policy);
        });
        app = builder.Build();
        app.MapGuardedMcp("/mcp");
        app.MapMcpGuardHealth();
    }

    public string Resource { get; }

    /// <summary>How often the tool ran.</summary>
    public int Runs => runs;

    public async Task StartAsync()
    {
        await app.StartAsync();
        using var http = new HttpClient();
        var ready = new Uri(new Uri(app.Urls.First()), "/health/ready");
        await Eventually.TrueAsync(async () =>
        {
            using HttpResponseMessage response = await http.GetAsync(ready);
            return response.IsSuccessStatusCode;
        }, "the hosted guard is ready", Deployment.Patience);
    }

    public async ValueTask DisposeAsync()
    {
        await app.DisposeAsync();
        state.Dispose();
    }
}
