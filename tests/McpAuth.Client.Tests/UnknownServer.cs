using System.Net;
using System.Security.Cryptography.X509Certificates;
using McpAuth.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;

namespace McpAuth.Client.Tests;

/// <summary>A server on this machine with a certificate that nobody vouches for; it counts who asks it anything.</summary>
internal sealed class UnknownServer : IAsyncDisposable
{
    private readonly X509Certificate2 certificate;
    private readonly WebApplication app;
    private int asked;

    private UnknownServer()
    {
        certificate = TestCertificates.Server(TimeProvider.System.GetUtcNow());
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(certificate)));
        app = builder.Build();
        app.Run(context =>
        {
            Interlocked.Increment(ref asked);
            return Task.CompletedTask;
        });
    }

    public string Address => app.Urls.Single();

    public int Asked => Volatile.Read(ref asked);

    public static async Task<UnknownServer> StartAsync()
    {
        var server = new UnknownServer();
        await server.app.StartAsync();
        return server;
    }

    public async ValueTask DisposeAsync()
    {
        await app.DisposeAsync();
        certificate.Dispose();
    }
}
