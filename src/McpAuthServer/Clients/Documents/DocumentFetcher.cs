using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using McpAuth.Protocol;

namespace McpAuthServer.Clients.Documents;

/// <summary>What an address answered.</summary>
/// <param name="FreshFor">How long it may be used without asking again.</param>
internal sealed record FetchedDocument(ReadOnlyMemory<byte> Body, TimeSpan FreshFor);

/// <summary>
/// Fetches what other parties say of themselves, from addresses that anybody may have put into a request. It goes nowhere but to public addresses,
/// to exactly those that it judged, takes nothing but a small JSON answer, and gives up soon.
/// </summary>
internal sealed class DocumentFetcher(FetchPolicy policy, FetchNetwork network) : IDisposable
{
    /// <summary>Everything: name, connection, TLS, headers and body.</summary>
    private static readonly TimeSpan Whole = TimeSpan.FromSeconds(3);

    /// <summary>How long to wait for a place in the lane.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <summary>To the first of several addresses the time must not all be lost.</summary>
    private static readonly TimeSpan OneConnection = TimeSpan.FromSeconds(1);

    /// <summary>The most that anybody waits for a document: the program behind a person waits as well.</summary>
    public static readonly TimeSpan Longest = Patience + Whole;

    private const int Lane = 16, MostAddresses = 4;

    private static readonly HttpRequestOptionsKey<IPEndPoint[]> Judged = new("McpAuth.Judged");

    // What people already use does not wait behind what strangers ask for.
    private readonly SemaphoreSlim strangers = new(Lane), known = new(Lane);
    private readonly HttpMessageInvoker http = new(Handler(network));

    /// <param name="url">As <see cref="FetchPolicy.Read"/> admitted it.</param>
    /// <param name="isKnown">Whether somebody has allowed what is behind it something.</param>
    /// <returns>The document, or one of <see cref="FetchFaults"/>.</returns>
    public Task<Result<FetchedDocument>> FetchAsync(Uri url, int maxBytes, bool isKnown) => SendAsync(HttpMethod.Get, url, isKnown, null, (response, cancel) => ReadAsync(response, maxBytes, cancel));

    /// <summary>Posts JSON to where an operator said, under the same rules.</summary>
    /// <param name="url">As <see cref="FetchPolicy.ReadRegistered"/> admitted it.</param>
    /// <returns>Null when it was taken: whatever says 2xx did; else one of <see cref="FetchFaults"/>.</returns>
    public async Task<Fault?> PostAsync(Uri url, byte[] json, IReadOnlyList<KeyValuePair<string, string>> headers)
    {
        var sent = await SendAsync(HttpMethod.Post, url, isKnown: true, request =>
        {
            request.Content = new ByteArrayContent(json);
            request.Content.Headers.ContentType = new("application/json");
            foreach (var (name, value) in headers)
                request.Headers.Add(name, value);
        }, (response, _) => Task.FromResult<Result<string>>(response.IsSuccessStatusCode ? "" : Fault((int)response.StatusCode is >= 300 and < 400 ? FetchFaults.Redirect : FetchFaults.Status)));
        return sent.TryGet(out _, out var fault) ? null : fault;
    }

    private async Task<Result<T>> SendAsync<T>(HttpMethod method, Uri url, bool isKnown, Action<HttpRequestMessage>? complete, Func<HttpResponseMessage, CancellationToken, Task<Result<T>>> read) where T : class
    {
        var lane = isKnown ? known : strangers;
        if (!await lane.WaitAsync(Patience))
            return Fault(FetchFaults.Busy);
        // Looking a name up cannot be broken off, so a slow one keeps its place until it is over: threads stay bounded, too.
        Task held = Task.CompletedTask;
        try
        {
            using var deadline = new CancellationTokenSource(Whole);

            // 1. Once. All of its addresses must be public: with one that is not, the name is not to be trusted with the others either.
            var lookUp = network.ResolveAsync(url.IdnHost);
            held = lookUp;
            var addresses = await lookUp.WaitAsync(deadline.Token);
            var local = policy.IsLoopback(url);
            if (addresses.Length == 0)
                return Fault(FetchFaults.Unreachable);
            if (!Array.TrueForAll(addresses, local ? IPAddress.IsLoopback : PublicAddress.Is))
                return Fault(FetchFaults.NotPublic);

            // 2. From exactly there.
            using var request = new HttpRequestMessage(method, url) { Version = HttpVersion.Version11, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
            request.Options.Set(Judged, [.. addresses.Take(MostAddresses).Select(address => new IPEndPoint(address, url.Port))]);
            request.Headers.Accept.ParseAdd("application/json");
            request.Headers.UserAgent.ParseAdd("McpAuth");
            request.Headers.ConnectionClose = true;
            complete?.Invoke(request);
            using var response = await http.SendAsync(request, deadline.Token);
            return await read(response, deadline.Token);
        }
        catch (OperationCanceledException)
        {
            return Fault(FetchFaults.Timeout);
        }
        catch (Exception e) when (e is HttpRequestException or SocketException or IOException or AuthenticationException)
        {
            return Fault(FetchFaults.Unreachable);
        }
        finally
        {
            _ = held.ContinueWith(_ => lane.Release(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }
    }

    public void Dispose()
    {
        http.Dispose();
        strangers.Dispose();
        known.Dispose();
    }

    private static async Task<Result<FetchedDocument>> ReadAsync(HttpResponseMessage response, int maxBytes, CancellationToken cancel)
    {
        // draft-ietf-oauth-client-id-metadata-document §5: 200 and nothing else, and never where it is sent on to.
        if ((int)response.StatusCode is >= 300 and < 400)
            return Fault(FetchFaults.Redirect);
        if (response.StatusCode != HttpStatusCode.OK)
            return Fault(FetchFaults.Status);
        if (response.Content.Headers.ContentEncoding.Count > 0 || !IsJson(response.Content.Headers.ContentType?.MediaType))
            return Fault(FetchFaults.Type);
        if (response.Content.Headers.ContentLength > maxBytes)
            return Fault(FetchFaults.TooLarge);
        await using var stream = await response.Content.ReadAsStreamAsync(cancel);
        var body = new byte[maxBytes + 1];
        var length = await stream.ReadAtLeastAsync(body, body.Length, throwOnEndOfStream: false, cancel);
        return length > maxBytes ? Fault(FetchFaults.TooLarge) : new FetchedDocument(body.AsMemory(0, length), Freshness.Of(response));
    }

    private static bool IsJson(string? type) =>
        type is not null && (type.Equals("application/json", StringComparison.OrdinalIgnoreCase)
            || (type.StartsWith("application/", StringComparison.OrdinalIgnoreCase) && type.EndsWith("+json", StringComparison.OrdinalIgnoreCase)));

    private static Fault Fault(string code) => new(code, "The address did not answer with what is needed.");

    private static SocketsHttpHandler Handler(FetchNetwork network) => new()
    {
        AllowAutoRedirect = false, UseProxy = false, UseCookies = false, AutomaticDecompression = DecompressionMethods.None, Credentials = null, PreAuthenticate = false,
        ConnectTimeout = Whole, MaxResponseHeadersLength = 16, ResponseDrainTimeout = TimeSpan.Zero, ActivityHeadersPropagator = null,
        // A connection serves the one request whose addresses it was judged by.
        PooledConnectionLifetime = TimeSpan.Zero,
        ConnectCallback = async (context, cancel) =>
        {
            if (!context.InitialRequestMessage.Options.TryGetValue(Judged, out var judged))
                throw new InvalidOperationException("A connection that nobody judged.");
            for (var i = 0; ; i++)
            {
                using var one = CancellationTokenSource.CreateLinkedTokenSource(cancel);
                one.CancelAfter(OneConnection);
                try
                {
                    return await network.ConnectAsync(judged[i], one.Token);
                }
                catch (Exception e) when (i + 1 < judged.Length && !cancel.IsCancellationRequested && e is SocketException or OperationCanceledException)
                {
                    // The next address.
                }
            }
        },
        SslOptions = new SslClientAuthenticationOptions
        {
            // A certificate can name further addresses, of its issuer and of its revocation; none of them is asked (they would not be judged).
            CertificateChainPolicy = new X509ChainPolicy { RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true }.Trusting(network.Roots),
        },
    };
}

file static class ChainPolicies
{
    public static X509ChainPolicy Trusting(this X509ChainPolicy policy, X509Certificate2Collection? roots)
    {
        if (roots is null)
            return policy;
        policy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        policy.CustomTrustStore.AddRange(roots);
        return policy;
    }
}
