using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using McpAuth.EndToEnd.Harness;
using McpAuth.Protocol;

namespace McpAuth.EndToEnd;

/// <summary>
/// Many connections that send or read as slowly as they can, at a real server. Its limits are short ones here;
/// <c>MCPAUTH_SOAK=1</c> takes those of an installation, and more connections.
/// </summary>
[Trait("Suite", "soak")]
public sealed class SlowConnectionTests : IAsyncLifetime
{
    private static readonly bool Soak = Environment.GetEnvironmentVariable("MCPAUTH_SOAK") == "1";
    private static readonly int Connections = Soak ? 500 : 60;
    private static readonly TimeSpan Promised = TimeSpan.FromSeconds(30);

    private Deployment deployment = null!;

    public async Task InitializeAsync() => deployment = await Deployment.StartAsync(null, 1, [], _ => { }, Soak ? null : new Dictionary<string, string?>
    {
        ["McpAuth__Connections__HeaderTimeout"] = "00:00:03", ["McpAuth__Connections__Grace"] = "00:00:02", ["McpAuth__Connections__KeepAlive"] = "00:00:05",
    });

    public async Task DisposeAsync() => await deployment.DisposeAsync();

    [Theory]
    [InlineData("nothing at all")]
    [InlineData("a header a byte at a time")]
    [InlineData("headers without end")]
    [InlineData("a body a byte at a time")]
    [InlineData("a body in chunks of a byte")]
    [InlineData("no body")]
    [InlineData("an answer unread")]
    [Trait("Attack", "165")]
    public async Task SlowConnection_IsClosedAndOthersAreServedMeanwhile(string how)
    {
        using var end = new CancellationTokenSource();
        var health = HealthAsync(end.Token);
        TimeSpan[] closed;
        try
        {
            closed = await Task.WhenAll(Enumerable.Range(0, Connections).Select(_ => HoldAsync(how)));
        }
        finally
        {
            await end.CancelAsync();
        }
        var (asked, slowest) = await health;

        Assert.All(closed, after => Assert.InRange(after, TimeSpan.Zero, how == "nothing at all" && Soak ? TimeSpan.FromMinutes(2.5) : Promised));
        Assert.True(asked > 3, $"health was asked {asked} times");
        // Promised: one second.
        Assert.InRange(slowest, TimeSpan.Zero, TimeSpan.FromSeconds(5));
        // And the next honest request is served.
        await using var session = await deployment.AttestAsync(deployment.First);
    }

    [Fact]
    [Trait("Attack", "165")]
    public async Task Connections_MoreThanThereIsRoomFor_AreClosedAndTheOthersServed()
    {
        await using var small = await Deployment.StartAsync(null, 1, [], _ => { }, new Dictionary<string, string?> { ["McpAuth__Connections__Most"] = "20" });
        var held = new List<Socket>();
        try
        {
            // What the harness has open itself counts too.
            for (var i = 0; i < 40; i++)
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                held.Add(socket);
                await socket.ConnectAsync(IPAddress.Loopback, small.Ports[0]);
            }
            await Eventually.TrueAsync(() => Task.FromResult(held.Count(s => IsClosed(s, reads: true)) >= 20), "20 of 40 are closed", TimeSpan.FromSeconds(30));
            var open = held.First(s => !IsClosed(s, reads: true));
            await open.SendAsync("GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray());
            var answer = new byte[1000];
            Assert.StartsWith("HTTP/1.1 200", Encoding.ASCII.GetString(answer, 0, await open.ReceiveAsync(answer).WaitAsync(TimeSpan.FromSeconds(30))), StringComparison.Ordinal);
        }
        finally
        {
            held.ForEach(s => s.Dispose());
        }
        await using var session = await small.AttestAsync(small.First);
    }

    /// <summary>How long the server let it be.</summary>
    private async Task<TimeSpan> HoldAsync(string how)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        // What is not read has nowhere to go.
        if (how == "an answer unread")
            socket.ReceiveBufferSize = 4096;
        await socket.ConnectAsync(IPAddress.Loopback, deployment.Ports[0]);
        var start = Stopwatch.GetTimestamp();
        const string post = "POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n";
        var (first, drip) = how switch
        {
            "nothing at all" => ("", ""),
            "a header a byte at a time" => ("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", "x"),
            "headers without end" => ("GET / HTTP/1.1\r\nHost: x\r\n", "X-A: b\r\n"),
            "a body a byte at a time" => (post + "Content-Length: 60000\r\n\r\n", "x"),
            "a body in chunks of a byte" => (post + "Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
            "no body" => (post + "Content-Length: 60000\r\n\r\n", ""),
            "an answer unread" => (string.Concat(Enumerable.Repeat("GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: x\r\n\r\n", 500)), ""),
            _ => throw new ArgumentOutOfRangeException(nameof(how)),
        };
        try
        {
            // While the answers are not read, the requests are not either, at some point.
            var sent = socket.SendAsync(Encoding.ASCII.GetBytes(first));
            if (how != "an answer unread")
                await sent;
            while (!IsClosed(socket, reads: how != "an answer unread"))
            {
                Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromMinutes(4), $"{how}: still open");
                await Task.Delay(250);
                if (drip.Length > 0)
                    await socket.SendAsync(Encoding.ASCII.GetBytes(drip));
            }
        }
        catch (SocketException)
        {
        }
        return Stopwatch.GetElapsedTime(start);
    }

    /// <param name="reads">Takes what came, as a 408; else only whether the connection was cut off is looked at.</param>
    private static bool IsClosed(Socket socket, bool reads)
    {
        if (!reads)
            return socket.Poll(0, SelectMode.SelectError);
        try
        {
            while (socket.Poll(0, SelectMode.SelectRead))
                if (socket.Receive(new byte[4096]) == 0)
                    return true;
            return false;
        }
        catch (SocketException)
        {
            return true;
        }
    }

    private async Task<(int Asked, TimeSpan Slowest)> HealthAsync(CancellationToken end)
    {
        using var http = new HttpClient(new SocketsHttpHandler { PooledConnectionLifetime = TimeSpan.Zero }) { BaseAddress = new Uri(deployment.Issuer) };
        var (asked, slowest) = (0, TimeSpan.Zero);
        while (!end.IsCancellationRequested)
        {
            var start = Stopwatch.GetTimestamp();
            using var answer = await http.GetAsync(Names.Paths.HealthReady, CancellationToken.None);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            (asked, slowest) = (asked + 1, TimeSpan.FromTicks(Math.Max(slowest.Ticks, Stopwatch.GetElapsedTime(start).Ticks)));
            await Task.Delay(100, CancellationToken.None);
        }
        return (asked, slowest);
    }
}
