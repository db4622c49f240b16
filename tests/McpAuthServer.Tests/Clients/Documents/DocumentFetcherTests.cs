using System.Diagnostics;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using McpAuthServer.Clients.Documents;
using McpAuthServer.Tests.Harness;

namespace McpAuthServer.Tests.Clients.Documents;

public sealed class DocumentFetcherTests : IAsyncLifetime
{
    private const string Url = "https://a.client.test/client.json";

    /// <summary>Five times what is promised for one fetch.</summary>
    private static readonly TimeSpan Promised = TimeSpan.FromSeconds(15);

    private readonly TestInternet internet = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public Task DisposeAsync() => internet.DisposeAsync().AsTask();

    [Theory]
    [InlineData("application/json")]
    [InlineData("application/json; charset=utf-8")]
    [InlineData("application/vnd.client+json")]
    [InlineData("Application/JSON")]
    public async Task Fetch_OfJson_BringsTheBodyAndHowLongItIsFresh(string type)
    {
        internet.Put(Url, """{"a":1}""", "max-age=600", type);

        var fetched = await FetchAsync();

        Assert.Equal(("""{"a":1}""", TimeSpan.FromMinutes(10)), (Encoding.UTF8.GetString(fetched.Value.Body.Span), fetched.Value.FreshFor));
        Assert.Equal(["a.client.test"], internet.Asked);
        Assert.Equal([new IPEndPoint(TestInternet.Public, 443)], internet.Connected);
    }

    [Fact]
    public async Task Fetch_TellsNothingOfAnybody()
    {
        IReadOnlyList<string> head = [];
        internet.Places["a.client.test/client.json"] = new TestPlace((stream, lines, cancel) =>
        {
            head = lines;
            return TestPlace.Of(200, "{}", ["Content-Type: application/json", "Set-Cookie: a=b"]).AnswerAsync(stream, lines, cancel);
        });

        await FetchAsync();
        await FetchAsync();

        Assert.Equal("GET /client.json HTTP/1.1", head[0]);
        Assert.Equal(["Accept", "Connection", "Host", "User-Agent"], head.Skip(1).Select(line => line.Split(':')[0]).Order());
    }

    [Theory]
    [InlineData(301)]
    [InlineData(302)]
    [InlineData(303)]
    [InlineData(307)]
    [InlineData(308)]
    [Trait("Attack", "21")]
    public async Task Fetch_ThatIsSentOn_GoesNoFurther(int status)
    {
        internet.Put("https://b.client.test/client.json", "{}");
        internet.Places["a.client.test/client.json"] = TestPlace.Of(status, "", ["Location: https://b.client.test/client.json", "Content-Type: application/json"]);

        Assert.Equal(FetchFaults.Redirect, (await FetchAsync()).Fault?.Code);
        Assert.Equal(["a.client.test/client.json"], internet.Requested);
        Assert.Equal(["a.client.test"], internet.Asked);
    }

    [Theory]
    [InlineData(201)]
    [InlineData(203)]
    [InlineData(204)]
    [InlineData(206)]
    [InlineData(400)]
    [InlineData(404)]
    [InlineData(500)]
    public async Task Fetch_OfAnyOtherStatusThan200_IsNone(int status)
    {
        internet.Places["a.client.test/client.json"] = TestPlace.Of(status, status == 204 ? "" : "{}", ["Content-Type: application/json"]);

        Assert.Equal(FetchFaults.Status, (await FetchAsync()).Fault?.Code);
    }

    [Theory]
    [InlineData("Content-Type: text/html")]
    [InlineData("Content-Type: text/json")]
    [InlineData("Content-Type: application/jsonp")]
    [InlineData("Content-Type: application/octet-stream")]
    [InlineData("X-Content-Type: application/json")]
    [InlineData("Content-Type: application/json", "Content-Encoding: gzip")]
    public async Task Fetch_OfAnythingButPlainJson_IsNone(params string[] headers)
    {
        internet.Places["a.client.test/client.json"] = TestPlace.Of(200, "{}", headers);

        Assert.Equal(FetchFaults.Type, (await FetchAsync()).Fault?.Code);
    }

    [Fact]
    public async Task Fetch_OfWhatIsTooLong_IsNone_HoweverItsLengthIsTold()
    {
        byte[] full = [.. Enumerable.Repeat((byte)' ', ClientDocuments.MaxBytes)];
        internet.Places["a.client.test/client.json"] = TestPlace.Of(200, full, ["Content-Type: application/json"]);
        Assert.Equal(ClientDocuments.MaxBytes, (await FetchAsync()).Value.Body.Length);

        internet.Places["a.client.test/client.json"] = TestPlace.Of(200, [.. full, (byte)' '], ["Content-Type: application/json"]);
        Assert.Equal(FetchFaults.TooLarge, (await FetchAsync()).Fault?.Code);

        // Without end, and without a length.
        var sent = 0L;
        internet.Places["a.client.test/client.json"] = new TestPlace(async (stream, _, cancel) =>
        {
            await stream.WriteAsync(TestPlace.Head(200, ["Content-Type: application/json"]), cancel);
            for (; ; sent += full.Length)
                await stream.WriteAsync(full, cancel);
        });
        Assert.Equal(FetchFaults.TooLarge, (await FetchAsync()).Fault?.Code);
        Assert.True(sent < 16 * 1024 * 1024, $"{sent} bytes were taken");

        // Headers without end.
        internet.Places["a.client.test/client.json"] = TestPlace.Of(200, "{}", ["Content-Type: application/json", .. Enumerable.Range(0, 1000).Select(i => $"X-{i}: {new string('a', 100)}")]);
        Assert.Equal(FetchFaults.Unreachable, (await FetchAsync()).Fault?.Code);
    }

    public static TheoryData<string> Special =>
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254", "::1", "::", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "fc00::1",
        "fd00:ec2::254", "fe80::1", "fec0::1", "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2001:db8::1", "::127.0.0.1",
    ];

    [Theory, MemberData(nameof(Special))]
    [Trait("Attack", "18")]
    [Trait("Attack", "19")]
    public async Task Fetch_OfANameWithASpecialAddress_ConnectsToNothing(string address)
    {
        // Real listeners, and the real way of connecting: whatever got through would be seen.
        using var four = new TcpListener(IPAddress.Any, 0);
        four.Start();
        var port = ((IPEndPoint)four.LocalEndpoint).Port;
        using var fetcher = new DocumentFetcher(FetchPolicyTests.Policy(), new FetchNetwork { ResolveAsync = host => Task.FromResult<IPAddress[]>([IPAddress.Parse(address)]) });

        var fetched = await fetcher.FetchAsync(new Uri($"https://evil.client.test:{port}/client.json"), ClientDocuments.MaxBytes, isKnown: false);

        Assert.Equal(FetchFaults.NotPublic, fetched.Fault?.Code);
        Assert.False(four.Pending());
    }

    [Fact]
    [Trait("Attack", "18")]
    public async Task Fetch_OfANameWithOneSpecialAddressAmongOthers_ConnectsToNone()
    {
        internet.Put(Url, "{}");
        foreach (var addresses in new IPAddress[][] { [TestInternet.Public, IPAddress.Loopback], [IPAddress.Loopback, TestInternet.Public], [TestInternet.Public, IPAddress.IPv6Loopback] })
        {
            internet.Names["a.client.test"] = addresses;
            Assert.Equal(FetchFaults.NotPublic, (await FetchAsync()).Fault?.Code);
        }
        internet.Names["a.client.test"] = [];
        Assert.Equal(FetchFaults.Unreachable, (await FetchAsync()).Fault?.Code);
        Assert.Empty(internet.Connected);
    }

    [Fact]
    [Trait("Attack", "18")]
    public async Task Fetch_LooksANameUpOnce_AndGoesToWhatItJudged()
    {
        // The second answer would be this machine: what rebinds a name never gets to say it.
        var answers = 0;
        internet.Put(Url, "{}");
        using var fetcher = new DocumentFetcher(FetchPolicyTests.Policy(), internet.Network with
        {
            ResolveAsync = _ => Task.FromResult<IPAddress[]>([answers++ == 0 ? TestInternet.Public : IPAddress.Loopback]),
        });

        Assert.True((await fetcher.FetchAsync(new Uri(Url), ClientDocuments.MaxBytes, isKnown: false)).Ok);
        Assert.Equal(1, answers);
        Assert.Equal([new IPEndPoint(TestInternet.Public, 443)], internet.Connected);
    }

    [Fact]
    public async Task Fetch_WhenTheFirstAddressIsDead_TakesTheNext()
    {
        var other = IPAddress.Parse("2606:4700::1");
        internet.Names["a.client.test"] = [other, TestInternet.Public];
        internet.Put(Url, "{}");
        var network = internet.Network;
        using var fetcher = new DocumentFetcher(FetchPolicyTests.Policy(), network with
        {
            ConnectAsync = async (to, cancel) =>
            {
                if (!to.Address.Equals(other))
                    return await network.ConnectAsync(to, cancel);
                await Task.Delay(Timeout.Infinite, cancel);
                throw new SocketException();
            },
        });

        Assert.True((await fetcher.FetchAsync(new Uri(Url), ClientDocuments.MaxBytes, isKnown: false)).Ok);
    }

    [Theory]
    [InlineData("b.client.example")]
    [InlineData("other.test")]
    public async Task Fetch_WithACertificateOfAnotherName_IsNone(string host)
    {
        internet.Put($"https://{host}/x", "{}");

        Assert.Equal(FetchFaults.Unreachable, (await FetchAsync($"https://{host}/x")).Fault?.Code);
        Assert.Empty(internet.Requested);
    }

    [Fact]
    public async Task Fetch_WithACertificateThatNobodyVouchesFor_IsNone()
    {
        internet.Put(Url, "{}");
        using var fetcher = new DocumentFetcher(FetchPolicyTests.Policy(), internet.Network with { Roots = null });

        Assert.Equal(FetchFaults.Unreachable, (await fetcher.FetchAsync(new Uri(Url), ClientDocuments.MaxBytes, isKnown: false)).Fault?.Code);
        Assert.Empty(internet.Requested);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    [Trait("Attack", "18")]
    public async Task Fetch_WhoseCertificateNamesFurtherAddresses_AsksNoneOfThem(bool system)
    {
        // The issuer's certificate and the list of revoked ones, at this machine.
        using var bait = new TcpListener(IPAddress.Loopback, 0);
        bait.Start();
        var address = $"http://127.0.0.1:{((IPEndPoint)bait.LocalEndpoint).Port}/x";
        var (root, leaf) = TestInternet.Certificates("a.client.test", request =>
        {
            request.CertificateExtensions.Add(new X509AuthorityInformationAccessExtension([address], [address]));
            request.CertificateExtensions.Add(CertificateRevocationListBuilder.BuildCrlDistributionPointExtension([address]));
        });
        using var tls = new TcpListener(IPAddress.Loopback, 0);
        tls.Start();
        var serving = Task.Run(async () =>
        {
            using var client = await tls.AcceptTcpClientAsync();
            await using var stream = new SslStream(client.GetStream());
            try
            {
                // Offline: it must not be this side that asks.
                await stream.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificateContext = SslStreamCertificateContext.Create(leaf, null, offline: true) });
                await stream.ReadExactlyAsync(new byte[1]);
            }
            catch (Exception e) when (e is IOException or System.Security.Authentication.AuthenticationException)
            {
            }
        });
        using var fetcher = new DocumentFetcher(FetchPolicyTests.Policy(), new FetchNetwork
        {
            ResolveAsync = _ => Task.FromResult<IPAddress[]>([TestInternet.Public]),
            ConnectAsync = async (_, cancel) =>
            {
                var client = new TcpClient();
                await client.ConnectAsync((IPEndPoint)tls.LocalEndpoint, cancel);
                return client.GetStream();
            },
            // The root is not sent along, and not known: what a client that may ask would ask for.
            Roots = system ? null : [TestInternet.Certificates("other").Root],
        });

        Assert.Equal(FetchFaults.Unreachable, (await fetcher.FetchAsync(new Uri(Url), ClientDocuments.MaxBytes, isKnown: false)).Fault?.Code);

        await serving.WaitAsync(Promised);
        Assert.False(bait.Pending());
        root.Dispose();
        leaf.Dispose();
    }

    public static TheoryData<string> Slow => ["silent", "dripping", "names"];

    [Theory, MemberData(nameof(Slow))]
    [Trait("Attack", "23")]
    public async Task Fetch_OfWhatIsSlow_IsGivenUp(string how)
    {
        var names = new TaskCompletionSource();
        internet.Places["a.client.test/client.json"] = how == "dripping" ? TestPlace.Dripping("{}" + new string(' ', 1000)) : TestPlace.Silent;
        internet.NamesWait = how == "names" ? names.Task : null;
        var watch = Stopwatch.StartNew();

        Assert.Equal(FetchFaults.Timeout, (await FetchAsync()).Fault?.Code);

        Assert.True(watch.Elapsed < Promised, $"{watch.Elapsed}");
        names.SetResult();
    }

    [Fact]
    [Trait("Attack", "23")]
    public async Task Fetch_OfTwoHundredSilentServers_EachIsGivenUp_AndWhatPeopleUseIsFetchedMeanwhile()
    {
        for (var i = 0; i < 200; i++)
            internet.Places[$"s{i}.client.test/x"] = TestPlace.Silent;
        internet.Put(Url, "{}");
        using var fetcher = new DocumentFetcher(FetchPolicyTests.Policy(), internet.Network);
        var watch = Stopwatch.StartNew();

        var slow = Enumerable.Range(0, 200).Select(i => fetcher.FetchAsync(new Uri($"https://s{i}.client.test/x"), ClientDocuments.MaxBytes, isKnown: false)).ToList();
        var good = await fetcher.FetchAsync(new Uri(Url), ClientDocuments.MaxBytes, isKnown: true);
        Assert.True(good.Ok, good.Fault?.Code);

        var faults = (await Task.WhenAll(slow)).Select(r => r.Fault?.Code).ToHashSet();
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(25), $"{watch.Elapsed}");
        Assert.Equal([FetchFaults.Busy, FetchFaults.Timeout], faults.Order());
        // No more at once than there are places in the lane.
        Assert.InRange(internet.Connected.Count, 2, 17);
        // And the lane is free again.
        Assert.True((await fetcher.FetchAsync(new Uri(Url), ClientDocuments.MaxBytes, isKnown: false)).Ok);
    }

    [Fact]
    [Trait("Attack", "23")]
    public async Task Fetch_WhileNamesAreNotFoundOut_KeepsNoMoreThanItsLaneWaiting()
    {
        var names = new TaskCompletionSource();
        internet.NamesWait = names.Task;
        internet.Put(Url, "{}");
        using var fetcher = new DocumentFetcher(FetchPolicyTests.Policy(), internet.Network);

        async Task<List<string?>> ManyAsync() =>
            [.. (await Task.WhenAll(Enumerable.Range(0, 40).Select(i => fetcher.FetchAsync(new Uri($"https://s{i}.client.test/x"), ClientDocuments.MaxBytes, isKnown: false)))).Select(r => r.Fault?.Code)];

        Assert.Contains(FetchFaults.Timeout, await ManyAsync());
        // They were given up, but looking up goes on: nobody else gets a thread for it.
        Assert.All(await ManyAsync(), code => Assert.Equal(FetchFaults.Busy, code));
        Assert.Equal(16, internet.Asked.Count);

        internet.NamesWait = null;
        names.SetResult();
        Assert.True((await fetcher.FetchAsync(new Uri(Url), ClientDocuments.MaxBytes, isKnown: false)).Ok);
    }

    private async Task<McpAuth.Protocol.Result<FetchedDocument>> FetchAsync(string url = Url)
    {
        using var fetcher = new DocumentFetcher(FetchPolicyTests.Policy(), internet.Network);
        return await fetcher.FetchAsync(new Uri(url), ClientDocuments.MaxBytes, isKnown: false);
    }
}
