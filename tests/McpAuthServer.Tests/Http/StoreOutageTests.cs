using System.Net;
using System.Net.Sockets;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Storage;
using McpAuthServer.Storage.Postgres;
using McpAuthServer.Tests.Harness;
using McpAuthServer.Tests.Storage;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace McpAuthServer.Tests.Http;

/// <summary>What callers see while the store is away: try again, and then it works.</summary>
public sealed class LockedDatabaseTests(TestServer server) : IClassFixture<TestServer>
{
    [Fact]
    [Trait("Attack", "172")]
    public async Task Database_LockedByAnother_EveryWriteIsToldToTryAgainAndReadsGoOn()
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        var form = await browser.GetAsync(Names.Paths.SignIn);
        await (await s.ServiceTokenAsync()).ReadAsync(ProtocolJson.Default.TokenResponse);
        var before = await Footprint.OfAsync(server);
        await using (var other = new SqliteConnection($"Data Source={Path.Combine(server.DataDirectory, "mcpauth.db")};Pooling=False"))
        {
            await other.OpenAsync();
            await using var hold = other.BeginTransaction(deferred: false);

            await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => Outage.BusyAsync(s.ServiceTokenAsync()))).WaitAsync(TimeSpan.FromSeconds(60));
            Assert.Equal(HttpStatusCode.ServiceUnavailable, await Outage.StatusAsync(server, Names.Paths.HealthReady));
            // Those who wait behind a lock that stays are not kept as long as the first, one batch after the other.
            var log = server.Services.GetRequiredService<ICommitLog>();
            await Task.WhenAll(Enumerable.Range(0, 4_000).Select(_ => Assert.ThrowsAsync<CommitLogFailedException>(() => log.Commit(new LambdaUnit<bool>(_ => true, StateLock.None)))))
                .WaitAsync(TimeSpan.FromSeconds(40));
            var page = await browser.PostFormAsync(form, new() { ["email"] = s.Person.Email, ["password"] = s.Person.Password });
            Assert.Equal((HttpStatusCode.ServiceUnavailable, TimeSpan.FromSeconds(1)), (page.Status, page.Headers.RetryAfter!.Delta));

            Assert.Equal(HttpStatusCode.OK, await Outage.StatusAsync(server, Names.Paths.HealthLive));
            Assert.Equal(HttpStatusCode.OK, await Outage.StatusAsync(server, Names.Paths.OAuthMetadata));
            Assert.Equal(HttpStatusCode.OK, (await browser.GetAsync(Names.Paths.SignIn)).Status);
            Assert.Equal(before, await Footprint.OfAsync(server));
        }

        await (await s.ServiceTokenAsync()).ReadAsync(ProtocolJson.Default.TokenResponse);
        Assert.Equal(HttpStatusCode.OK, await Outage.StatusAsync(server, Names.Paths.HealthReady));
        await browser.SignInAsync(s.Person);
    }
}

[NeedsPostgres]
public sealed class UnreachableDatabaseTests : IAsyncLifetime
{
    private readonly TestServer server = new();
    private Relay relay = null!;

    public async Task InitializeAsync()
    {
        if (PostgresBinaries.Requirement.Skip is not null)
            return;
        var database = new NpgsqlConnectionStringBuilder(await (await PostgresCluster.SharedAsync()).CreateDatabaseAsync());
        relay = new Relay(database.Port);
        (database.Port, database.Timeout, database.CommandTimeout, database.MaxPoolSize) = (relay.Port, 3, 3, 20);
        server.Settings["McpAuth:Postgres"] = database.ConnectionString;
        await server.InitializeAsync();
    }

    public async Task DisposeAsync()
    {
        if (relay is null)
            return;
        await server.DisposeAsync();
        relay.Dispose();
    }

    [SuiteFact]
    [Trait("Attack", "175")]
    public async Task Database_CutOff_IsToldToTryAgainUntilItIsBack() => await OutageAsync(relay.Cut);

    /// <summary>Nothing is refused, nothing answers: connections that read hang until the pool has none left.</summary>
    [SuiteFact]
    [Trait("Attack", "175")]
    public async Task Database_SilentUntilThePoolIsEmpty_IsToldToTryAgainUntilItIsBack() => await OutageAsync(relay.Silence);

    private async Task OutageAsync(Action begin)
    {
        var s = await server.ScenarioAsync();
        var browser = new TestBrowser(server);
        await browser.SignInAsync(s.Person);
        await (await s.ServiceTokenAsync()).ReadAsync(ProtocolJson.Default.TokenResponse);
        var before = await Footprint.OfAsync(server);

        begin();
        var pages = Enumerable.Range(0, 40).Select(_ => new TestBrowser(server) { Cookies = { [McpAuthServer.Pages.Browser.Cookie] = browser.Cookies[McpAuthServer.Pages.Browser.Cookie] } }.GetAsync(Names.Paths.Account));
        var tokens = Enumerable.Range(0, 10).Select(_ => Outage.BusyAsync(s.ServiceTokenAsync()));
        var (shown, refused) = (Task.WhenAll(pages), Task.WhenAll(tokens));
        Assert.All(await shown.WaitAsync(TimeSpan.FromSeconds(240)), page => Assert.Equal((HttpStatusCode.ServiceUnavailable, TimeSpan.FromSeconds(1)), (page.Status, page.Headers.RetryAfter!.Delta)));
        await refused.WaitAsync(TimeSpan.FromSeconds(240));
        Assert.Equal(HttpStatusCode.OK, await Outage.StatusAsync(server, Names.Paths.HealthLive));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await Outage.StatusAsync(server, Names.Paths.HealthReady));

        relay.Heal();
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        // Every writer finds out by itself that its connection is gone; what it was given then is told to try again.
        for (var served = 0; served < 20; limit.Token.ThrowIfCancellationRequested())
            using (var answer = await s.ServiceTokenAsync())
                served = answer.IsSuccessStatusCode ? served + 1 : 0;
        Assert.Equal(HttpStatusCode.OK, await Outage.StatusAsync(server, Names.Paths.HealthReady));
        Assert.Equal(before, await Footprint.OfAsync(server) with { Grants = before.Grants, LiveGrants = before.LiveGrants });
        await (await s.ServiceTokenAsync()).ReadAsync(ProtocolJson.Default.TokenResponse);
        Assert.Equal(HttpStatusCode.OK, (await browser.GetAsync(Names.Paths.Account)).Status);
    }

    /// <summary>Between a node and its database.</summary>
    private sealed class Relay : IDisposable
    {
        private readonly int target;
        private readonly TcpListener listener = new(IPAddress.Loopback, 0);
        private readonly List<Socket> sockets = [];
        private volatile State state = State.Passing;

        public Relay(int target)
        {
            this.target = target;
            listener.Start();
            Port = ((IPEndPoint)listener.LocalEndpoint).Port;
            _ = AcceptAsync();
        }

        private enum State { Passing, Cut, Silent }

        public int Port { get; }

        /// <summary>Every connection ends, and new ones do at once.</summary>
        public void Cut()
        {
            state = State.Cut;
            Close();
        }

        /// <summary>Connections stand, and nothing passes.</summary>
        public void Silence() => state = State.Silent;

        public void Heal()
        {
            state = State.Passing;
            // What was swallowed does not come back.
            Close();
        }

        public void Dispose()
        {
            listener.Dispose();
            Close();
        }

        private void Close()
        {
            lock (sockets)
            {
                sockets.ForEach(s => s.Dispose());
                sockets.Clear();
            }
        }

        private async Task AcceptAsync()
        {
            try
            {
                while (true)
                {
                    var from = await listener.AcceptSocketAsync();
                    if (state == State.Cut)
                    {
                        from.Dispose();
                        continue;
                    }
                    var to = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                    from.NoDelay = true;
                    lock (sockets)
                        sockets.AddRange([from, to]);
                    _ = PassBothAsync(from, to);
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
            }
        }

        /// <summary>By itself: that one of them is closed while it connects is no reason to take no others.</summary>
        private async Task PassBothAsync(Socket from, Socket to)
        {
            try
            {
                if (state == State.Passing)
                    await to.ConnectAsync(IPAddress.Loopback, target);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                from.Dispose();
                return;
            }
            await Task.WhenAll(PassAsync(from, to), PassAsync(to, from));
        }

        private async Task PassAsync(Socket from, Socket to)
        {
            var buffer = new byte[16 * 1024];
            try
            {
                while (await from.ReceiveAsync(buffer) is > 0 and var count)
                {
                    if (state == State.Silent)
                        continue;
                    await to.SendAsync(buffer.AsMemory(0, count));
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
            }
            if (state != State.Silent)
            {
                from.Dispose();
                to.Dispose();
            }
        }
    }
}

/// <summary>A database whose machine takes connections, and which says nothing.</summary>
public sealed class SilentDatabaseTests
{
    /// <summary>Also where the first connection was reset while it asked for encryption: then the driver tries again by itself.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [Trait("Attack", "175")]
    public async Task Connection_ThatIsTakenAndNeverAnswered_IsGivenUpInTime(int resets)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var settings = new NpgsqlConnectionStringBuilder { Host = "127.0.0.1", Port = ((IPEndPoint)listener.LocalEndpoint).Port, Username = "nobody", Database = "none", Timeout = 1 };
        var resetting = ResetAsync();
        await using var database = new PostgresDatabase(settings.ConnectionString, writers: 2);
        var opened = Task.Factory.StartNew(database.Open, default, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        await Task.WhenAny(opened, Task.Delay(TimeSpan.FromSeconds(30)));
        Assert.True(opened.IsFaulted && PostgresDatabase.IsStoreFailure(opened.Exception.InnerException!), $"{opened.Status} {opened.Exception}");
        listener.Stop();
        await resetting;

        async Task ResetAsync()
        {
            for (var i = 0; i < resets; i++)
            {
                using var socket = await listener.AcceptSocketAsync();
                await socket.ReceiveAsync(new byte[64]);
                socket.LingerState = new(true, 0);
            }
        }
    }
}

internal static class Outage
{
    public static async Task BusyAsync(Task<HttpResponseMessage> sent)
    {
        using var answer = await sent;
        await answer.RefusedAsync(HttpStatusCode.ServiceUnavailable, Names.Errors.TemporarilyUnavailable);
        Assert.Equal(TimeSpan.FromSeconds(1), answer.Headers.RetryAfter?.Delta);
    }

    public static async Task<HttpStatusCode> StatusAsync(TestServer server, string path)
    {
        using var answer = await server.Client().GetAsync(path);
        return answer.StatusCode;
    }
}
