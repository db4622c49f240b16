using System.Collections.Concurrent;
using System.Net.Sockets;
using McpAuth.Protocol;
using McpGuard.Sdk;

namespace McpAuth.Bench;

/// <summary>One of many guarded echo tools in this process: a guard like any other, whose connections to the server can be cut.</summary>
internal sealed class FleetGuard : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly Backchannel backchannel = new();

    public FleetGuard(string issuer, string resource, string secret, string directory)
    {
        Resource = resource;
        // A hundred hosts that watch their configuration are more than a kernel gives watches for.
        var builder = WebApplication.CreateSlimBuilder(["--hostBuilder:reloadConfigOnChange=false"]);
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls(new Uri(resource).GetLeftPart(UriPartial.Authority));
        builder.Services.AddMcpServer().WithTools<EchoServer.EchoTool>();
        builder.Services.AddMcpGuard(options =>
        {
            (options.AuthorizationServer, options.Resource, options.EnrolmentSecret) = (issuer, resource, secret);
            (options.StateDirectory, options.Backchannel) = (directory, backchannel);
        });
        app = builder.Build();
        app.MapGuardedMcp("/mcp");
        app.MapMcpGuardHealth();
    }

    public string Resource { get; }

    public async Task StartAsync()
    {
        await app.StartAsync();
        using var http = new HttpClient();
        await PatientlyAsync(async () =>
        {
            using var response = await http.GetAsync(new Uri(new Uri(Resource), Names.Paths.HealthReady));
            return response.IsSuccessStatusCode;
        });
    }

    /// <summary>Resets every connection to the server.</summary>
    public void Cut() => backchannel.Cut();

    /// <summary>Until the guard polls again.</summary>
    public Task BackAsync() => PatientlyAsync(() => Task.FromResult(backchannel.Polling));

    public async ValueTask DisposeAsync()
    {
        await app.DisposeAsync();
        backchannel.Dispose();
    }

    private static async Task PatientlyAsync(Func<Task<bool>> condition)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!await condition())
            await Task.Delay(2, limit.Token);
    }

    private sealed class Backchannel : DelegatingHandler
    {
        private readonly ConcurrentDictionary<Socket, bool> sockets = new();
        private volatile bool polling;

        public Backchannel() => InnerHandler = new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, UseCookies = false, ConnectCallback = ConnectAsync };

        public bool Polling => polling;

        public void Cut()
        {
            polling = false;
            foreach (var socket in sockets.Keys)
                if (sockets.TryRemove(socket, out _))
                    socket.Close(0);
        }

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            if (request.RequestUri!.AbsolutePath == Names.Paths.GuardRevocations)
                polling = true;
            return base.SendAsync(request, cancellationToken);
        }

        private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
            sockets[socket] = true;
            return new NetworkStream(socket, ownsSocket: true);
        }
    }
}
