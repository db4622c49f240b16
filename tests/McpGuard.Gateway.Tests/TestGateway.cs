using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Testing;
using McpGuard.Gateway.Configuration;
using McpGuard.Gateway.Serving;
using McpGuard.Sdk.Tests;

namespace McpGuard.Gateway.Tests;

/// <summary>A gateway inside the test process, configured by a file as in life, in front of whatever the test says.</summary>
internal sealed class TestGateway : IAsyncDisposable
{
    public const string Token = "upstream-token-1234567890";

    private readonly TempDirectory directory = new();
    private readonly FakeAuthorizationServer server;
    private readonly int port = FreePort.Next();
    private GatewayHost? host;

    private TestGateway(FakeAuthorizationServer server)
    {
        this.server = server;
        Directory.CreateDirectory(this["fake"]);
    }

    public ConcurrentQueue<string> Logged { get; } = new();
    public HttpClient Http { get; } = new() { Timeout = TimeSpan.FromSeconds(60) };
    public string Resource => Address("fake");

    public string this[string file] => directory[file];

    public string Address(string name) => string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}/{name}");

    /// <param name="upstream">Of the upstream <c>fake</c>; null = the scripted process.</param>
    /// <param name="change">Changes the file before it is written.</param>
    public static async Task<TestGateway> StartAsync(
        FakeAuthorizationServer server, JsonObject? upstream = null, Action<TestGateway, JsonObject>? change = null, bool ready = true, Action<TestGateway>? before = null)
    {
        var gateway = new TestGateway(server);
        before?.Invoke(gateway);
        server.Resource = gateway.Resource;
        JsonObject file = gateway.File(upstream ?? gateway.Scripted());
        change?.Invoke(gateway, file);
        (GatewayConfiguration? configuration, IReadOnlyList<Fault> faults) = ConfigurationFile.Read(gateway.directory.Write("gateway.json", file.ToJsonString()), Environment);
        Assert.True(configuration is not null, string.Join('\n', faults));
        gateway.host = new GatewayHost(configuration, new LogBook(gateway.Logged));
        await gateway.host.Start();
        if (ready) await gateway.Ready();
        return gateway;
    }

    /// <summary>The gateway's own environment, with a secret that no upstream is to see.</summary>
    public static string? Environment(string name) => name switch
    {
        "SECRET" => FakeAuthorizationServer.Secret, "UPSTREAM_TOKEN" => Token, "GATEWAY_ONLY" => "not-for-upstreams", "PASSED" => "passed on", _ => System.Environment.GetEnvironmentVariable(name),
    };

    public JsonObject File(JsonObject upstream) => new()
    {
        ["listen"] = string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}"), ["authorization_server"] = server.Issuer, ["log_level"] = "trace",
        ["upstreams"] = new JsonObject { ["fake"] = With(upstream, "fake") },
    };

    public JsonObject With(JsonObject upstream, string name)
    {
        upstream["resource"] = Address(name);
        upstream["enrolment_secret"] = new JsonObject { ["env"] = "SECRET" };
        upstream["limits"] ??= new JsonObject { ["restart_seconds"] = 1, ["relist_seconds"] = 600 };
        return upstream;
    }

    public JsonObject Scripted() => new()
    {
        ["stdio"] = new JsonObject
        {
            ["command"] = ChildProcess.Dotnet, ["args"] = new JsonArray(Fake, this["fake"]), ["pass_env"] = "PASSED",
            ["env"] = new JsonObject { ["PLAIN"] = "plain", ["UPSTREAM_TOKEN"] = new JsonObject { ["env"] = "UPSTREAM_TOKEN" }, ["DOTNET_TieredPGO"] = "0" },
        },
    };

    public static string Fake { get; } = Path.Combine(
        RepositoryRoot.Path, "tests", "FakeUpstream", "bin", new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name, "net10.0", "FakeUpstream.dll");

    public static string Call(string tool, string arguments = "{}", string version = Names.Mcp.V20260728) => ToolHost.Call(tool, arguments, version);

    public HttpRequestMessage Request(string body, string? token, string method, string? name, string version = Names.Mcp.V20260728, string? resource = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, resource ?? Resource) { Content = new StringContent(body, Encoding.UTF8) };
        request.Content.Headers.ContentType = new("application/json");
        request.Headers.Accept.ParseAdd("application/json, text/event-stream");
        if (token is not null) request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}");
        request.Headers.Add(Names.Mcp.ProtocolVersionHeader, version);
        request.Headers.Add(Names.Mcp.MethodHeader, method);
        if (name is not null) request.Headers.Add(Names.Mcp.NameHeader, name);
        return request;
    }

    public async Task<Answer> CallTool(string tool, string arguments = "{}", string? token = null, string version = Names.Mcp.V20260728, string? resource = null)
    {
        using HttpRequestMessage request = Request(Call(tool, arguments, version), token ?? server.Token(), "tools/call", tool, version, resource);
        using HttpResponseMessage response = await Http.SendAsync(request);
        return await Answer.Read(response);
    }

    public async Task<Answer> Do(string method, string parameters, string token, string? name = null, string version = Names.Mcp.V20260728)
    {
        using HttpRequestMessage request = Request(ToolHost.Message(method, parameters, version), token, method, name, version);
        using HttpResponseMessage response = await Http.SendAsync(request);
        return await Answer.Read(response);
    }

    public async Task<(int Status, string Body)> Get(string path)
    {
        using HttpResponseMessage response = await Http.GetAsync(new Uri(new Uri(Resource), path));
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync());
    }

    public async Task Ready(bool ready = true)
    {
        (int Status, string Body) last = default;
        for (int i = 0; i < 1200; i++)
        {
            last = await Get(Names.Paths.HealthReady);
            if (last.Status == 200 == ready) return;
            await Task.Delay(50);
        }
        throw new TimeoutException($"Not in the state awaited: {last}\n{string.Join('\n', Logged.Where(l => !l.StartsWith('{')).TakeLast(40))}");
    }

    public static async Task Until(Func<Task<bool>> condition, string what)
    {
        for (int i = 0; i < 600; i++)
        {
            if (await condition()) return;
            await Task.Delay(50);
        }
        throw new TimeoutException("Never: " + what);
    }

    public Task FileHolds(string file, string text) => Until(() => Task.FromResult(Read(file).Contains(text, StringComparison.Ordinal)), $"{file} holds {text}: {Read(file)}");

    /// <summary>What the scripted upstream wrote; empty while there is none.</summary>
    public string Read(string file)
    {
        if (!System.IO.File.Exists(this["fake/" + file])) return "";
        using var stream = new FileStream(this["fake/" + file], FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        return new StreamReader(stream).ReadToEnd();
    }

    public async Task StopAsync()
    {
        if (host is not null) await host.DisposeAsync();
        host = null;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        Http.Dispose();
        directory.Dispose();
    }
}
