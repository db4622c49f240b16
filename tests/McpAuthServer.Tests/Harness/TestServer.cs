using System.Data.Common;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuth.Testing;
using McpAuthServer.Registry;
using McpAuthServer.Registry.Apply;
using McpAuthServer.Storage;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace McpAuthServer.Tests.Harness;

/// <summary>
/// The whole server in this process on SQLite, with a clock that stands still. One per test class: <c>IClassFixture&lt;TestServer&gt;</c>. Tests
/// share it, so each uses ids of its own (<see cref="Scenario"/> makes them).
/// </summary>
public sealed class TestServer : IAsyncLifetime
{
    public const string Issuer = "https://auth.test";

    private readonly TempDirectory directory = new();
    private WebApplicationFactory<Program> factory = null!;

    public ManualTime Time { get; } = new();

    /// <summary>All that was logged, at Trace, so that tests can look for secrets.</summary>
    public LogCapture Logs { get; } = new();

    /// <summary>Configuration beyond the issuer and the data directory, set before the server starts. Of rate limits, all are out of the way.</summary>
    public Dictionary<string, string> Settings { get; } = new(Unlimited.Settings) { ["McpAuth:Issuer"] = Issuer };

    /// <summary>Replaces services before the server starts.</summary>
    public Action<IServiceCollection>? Replace { get; set; }

    public string DataDirectory => directory.Path;

    public IServiceProvider Services => factory.Services;

    public Task InitializeAsync()
    {
        Settings.TryAdd("McpAuth:DataDirectory", directory.Path);
        Settings.TryAdd("McpAuth:KeyEncryptionKey", Convert.ToBase64String(new byte[32]));
        factory = new WebApplicationFactory<Program>().WithWebHostBuilder(builder =>
        {
            foreach (var (name, value) in Settings)
                builder.UseSetting(name, value);
            builder.ConfigureTestServices(services =>
            {
                services.AddSingleton<TimeProvider>(Time);
                Replace?.Invoke(services);
            });
            // The configured levels are for operators; here the framework is to say all it would ever say.
            builder.ConfigureLogging(logging => logging.ClearProviders().AddProvider(Logs).SetMinimumLevel(LogLevel.Trace).AddFilter("Microsoft.AspNetCore", LogLevel.Trace));
        });
        _ = factory.Server;
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        await factory.DisposeAsync();
        directory.Dispose();
    }

    /// <summary>A client whose address is the issuer, so that the paths of <c>Names.Paths</c> can be used as they are.</summary>
    public HttpClient Client() => factory.CreateClient(new WebApplicationFactoryClientOptions { BaseAddress = new Uri(Issuer), AllowAutoRedirect = false, HandleCookies = false });

    /// <summary>The same, over a connection from <paramref name="peer"/> on which the client showed a certificate.</summary>
    public HttpClient ClientFrom(string? peer, X509Certificate2? certificate = null) => new(factory.Server.CreateHandler(context =>
    {
        context.Connection.RemoteIpAddress = peer is null ? null : IPAddress.Parse(peer);
        context.Connection.ClientCertificate = certificate;
    })) { BaseAddress = new Uri(Issuer) };

    /// <summary>The way to it for what makes clients of its own.</summary>
    public HttpMessageHandler Handler() => factory.Server.CreateHandler();

    /// <summary>The same, from this address.</summary>
    public HttpClient Client(string address, params string[] forwardedFor)
    {
        var client = ClientFrom(address);
        foreach (var hops in forwardedFor)
            client.DefaultRequestHeaders.Add("X-Forwarded-For", hops);
        return client;
    }

    /// <summary>Before the server starts: the limits are those that an installation has which says nothing of them.</summary>
    public void WithDefaultLimits()
    {
        foreach (var (name, _) in Unlimited.Settings)
            Settings.Remove(name);
    }

    /// <summary>Applies a registry file's text; fails the test on any fault.</summary>
    public async Task ApplyAsync(string json)
    {
        var outcome = await Services.GetRequiredService<RegistryApply>().Apply(Encoding.UTF8.GetBytes(json));
        Assert.Empty(outcome.Faults);
        var registry = Services.GetRequiredService<RegistryCache>();
        registry.Invalidate((await registry.Current(default)).Version);
    }

    /// <summary>Audit events in order, of one type, task or whatever <paramref name="where"/> says (a SQL condition over columns).</summary>
    public async Task<IReadOnlyList<AuditEvent>> EventsAsync(string where = "1 = 1")
    {
        await Services.GetRequiredService<IEventSequence>().SequenceNow(default);
        return await Services.GetRequiredService<IReadStore>().All(
            new Sql($"select body from audit_events where {where} order by seq").With(), r => JsonSerializer.Deserialize(r.GetString(0), ProtocolJson.Default.AuditEvent)!, default);
    }

    /// <summary>The place after the newest event: what comes later is what a test caused (<c>seq &gt; mark</c>).</summary>
    public Task<long> MarkAsync() => ScalarAsync("select coalesce(max(seq), 0) from audit_events");

    public async Task<IReadOnlyList<AuditEvent>> SinceAsync(long mark) => await EventsAsync($"seq > {mark}");

    public async Task<long> ScalarAsync(string sql) =>
        await Services.GetRequiredService<IReadStore>().First(new Sql(sql).With(), (DbDataReader r) => r.GetInt64(0), default);

    public Task<List<string>> TextsAsync(string sql) => Services.GetRequiredService<IReadStore>().All(new Sql(sql).With(), r => r.GetString(0), default);

    /// <summary>A tool server, its tools, an agent with an attesting client, under ids of their own.</summary>
    public Task<Scenario> ScenarioAsync(Action<ScenarioOptions>? configure = null) => Scenario.CreateAsync(this, configure);
}
