using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using McpAuthServer.Clients.Documents;

namespace McpAuthServer.Tests.Harness;

/// <summary>
/// The internet as the server under test sees it: names of our own with addresses that are public in form, and behind all of them one listener on
/// this machine that speaks TLS and answers whatever a test says.
/// </summary>
public sealed class TestInternet : IAsyncDisposable
{
    /// <summary>What the names here have, unless a test says otherwise.</summary>
    public static readonly IPAddress Public = IPAddress.Parse("93.184.215.14");

    private readonly TcpListener listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource stop = new();
    private readonly X509Certificate2 root, leaf;
    private readonly Task accepting;

    public TestInternet()
    {
        (root, leaf) = Certificates("*.client.test");
        listener.Start(512);
        accepting = AcceptAsync();
    }

    /// <summary>By <c>host/path</c>: what is there. What is nowhere is 404.</summary>
    public ConcurrentDictionary<string, TestPlace> Places { get; } = new(StringComparer.Ordinal);

    /// <summary>Addresses of names that have others than <see cref="Public"/>.</summary>
    public ConcurrentDictionary<string, IPAddress[]> Names { get; } = new(StringComparer.Ordinal);

    /// <summary>Names that were looked up, in order.</summary>
    public ConcurrentQueue<string> Asked { get; } = new();

    /// <summary>Addresses that were connected to, in order.</summary>
    public ConcurrentQueue<IPEndPoint> Connected { get; } = new();

    /// <summary>Every request, as <c>host/path</c>.</summary>
    public ConcurrentQueue<string> Requested { get; } = new();

    /// <summary>While set, names are not found out.</summary>
    public Task? NamesWait { get; set; }

    public int Port => ((IPEndPoint)listener.LocalEndpoint).Port;

    /// <summary>Goes in the place of the server's own.</summary>
    internal FetchNetwork Network => new()
    {
        ResolveAsync = async host =>
        {
            Asked.Enqueue(host);
            if (NamesWait is { } wait)
                await wait;
            return Names.TryGetValue(host, out var addresses) ? addresses : [Public];
        },
        ConnectAsync = async (to, cancel) =>
        {
            Connected.Enqueue(to);
            var client = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await client.ConnectAsync(IPAddress.Loopback, Port, cancel);
            return new NetworkStream(client, ownsSocket: true);
        },
        Roots = [root],
    };

    /// <summary>Puts a JSON document there; the header line says how long it is fresh.</summary>
    public void Put(string url, string body, string? cacheControl = null, string type = "application/json") =>
        Places[url["https://".Length..]] = TestPlace.Of(200, body, [$"Content-Type: {type}", .. cacheControl is null ? [] : new[] { $"Cache-Control: {cacheControl}" }]);

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        listener.Stop();
        await accepting;
        stop.Dispose();
        root.Dispose();
        leaf.Dispose();
    }

    internal static (X509Certificate2 Root, X509Certificate2 Leaf) Certificates(string name, Action<CertificateRequest>? change = null)
    {
        var (from, to) = (new DateTimeOffset(2020, 1, 1, 0, 0, 0, TimeSpan.Zero), new DateTimeOffset(2049, 1, 1, 0, 0, 0, TimeSpan.Zero));
        using var rootKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=Test root", rootKey, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
        var root = request.CreateSelfSigned(from, to);
        using var leafKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var below = new CertificateRequest("CN=Test", leafKey, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        names.AddDnsName("localhost");
        names.AddIpAddress(IPAddress.Loopback);
        below.CertificateExtensions.Add(names.Build());
        change?.Invoke(below);
        using var issued = below.Create(root, from, to, [1, 2, 3, 4, 5, 6, 7, 8]);
        return (root, issued.CopyWithPrivateKey(leafKey));
    }

    private async Task AcceptAsync()
    {
        var serving = new ConcurrentBag<Task>();
        try
        {
            while (true)
                serving.Add(ServeAsync(await listener.AcceptTcpClientAsync(stop.Token)));
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException)
        {
        }
        await Task.WhenAll(serving);
    }

    private async Task ServeAsync(TcpClient client)
    {
        using (client)
        {
            try
            {
                await using var tls = new SslStream(client.GetStream());
                await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = leaf }, stop.Token);
                var head = await HeadAsync(tls);
                var (path, host) = (head[0].Split(' ')[1], head.First(line => line.StartsWith("Host: ", StringComparison.OrdinalIgnoreCase))["Host: ".Length..]);
                Requested.Enqueue(host + path);
                await (Places.GetValueOrDefault(host + path) ?? TestPlace.Of(404, "", [])).AnswerAsync(tls, head, stop.Token);
            }
            catch (Exception e) when (e is IOException or OperationCanceledException or SocketException or System.Security.Authentication.AuthenticationException)
            {
                // The server under test has had enough.
            }
        }
    }

    private async Task<List<string>> HeadAsync(SslStream tls)
    {
        var head = new StringBuilder();
        var one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            if (await tls.ReadAsync(one, stop.Token) == 0)
                throw new IOException("No request.");
            head.Append((char)one[0]);
        }
        return [.. head.ToString().Split("\r\n", StringSplitOptions.RemoveEmptyEntries)];
    }
}

/// <summary>What answers at one address.</summary>
/// <param name="AnswerAsync">Writes the whole answer; gets the request's lines.</param>
public sealed record TestPlace(Func<Stream, IReadOnlyList<string>, CancellationToken, Task> AnswerAsync)
{
    public static TestPlace Of(int status, string body, IReadOnlyList<string> headers) => Of(status, Encoding.UTF8.GetBytes(body), headers);

    public static TestPlace Of(int status, byte[] body, IReadOnlyList<string> headers) => new(async (stream, _, cancel) =>
    {
        await stream.WriteAsync(Head(status, [$"Content-Length: {body.Length.ToString(CultureInfo.InvariantCulture)}", .. headers]), cancel);
        await stream.WriteAsync(body, cancel);
    });

    /// <summary>Says nothing for as long as it is let.</summary>
    public static TestPlace Silent => new((_, _, cancel) => Task.Delay(Timeout.Infinite, cancel));

    /// <summary>A good beginning, and then a byte at a time.</summary>
    public static TestPlace Dripping(string body) => new(async (stream, _, cancel) =>
    {
        await stream.WriteAsync(Head(200, ["Content-Type: application/json", $"Content-Length: {body.Length.ToString(CultureInfo.InvariantCulture)}"]), cancel);
        foreach (var b in Encoding.ASCII.GetBytes(body))
        {
            await stream.WriteAsync(new[] { b }, cancel);
            await stream.FlushAsync(cancel);
            await Task.Delay(1000, cancel);
        }
    });

    public static byte[] Head(int status, IEnumerable<string> headers) =>
        Encoding.ASCII.GetBytes($"HTTP/1.1 {status.ToString(CultureInfo.InvariantCulture)} Said\r\n{string.Concat(headers.Select(h => h + "\r\n"))}Connection: close\r\n\r\n");
}
