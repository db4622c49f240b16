using System.Collections.Concurrent;
using System.ComponentModel;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using ModelContextProtocol.Server;

namespace McpGuard.Sdk.Tests;

/// <summary>What handlers did.</summary>
internal sealed class Runs
{
    public ConcurrentQueue<string> All { get; } = new();
}

[McpServerToolType]
internal sealed class Tools(Runs runs)
{
    [McpServerTool(Name = "echo"), Description("Says it again.")]
    public string Echo(string text)
    {
        runs.All.Enqueue("echo " + text);
        return text;
    }

    [McpServerTool(Name = "refund"), Description("Pays back.")]
    public string Refund([Description("Which order.")] string order_id, double amount = 500)
    {
        runs.All.Enqueue(FormattableString.Invariant($"refund {order_id} {amount}"));
        return "refunded";
    }

    [McpServerTool(Name = "region"), Description("Runs somewhere.")]
    public string Region([McpHeader("Region")] string region)
    {
        runs.All.Enqueue("region " + region);
        return region;
    }

    [McpServerTool(Name = "wait", ReadOnly = true)]
    public async Task<string> Wait(CancellationToken cancellationToken)
    {
        runs.All.Enqueue("wait");
        try
        {
            await Task.Delay(TimeSpan.FromSeconds(30), cancellationToken);
        }
        catch (OperationCanceledException)
        {
            runs.All.Enqueue("stopped");
            throw;
        }
        return "waited";
    }

    [McpServerTool(Name = "fail")]
    public string Fail()
    {
        runs.All.Enqueue("fail");
        throw new InvalidOperationException("it broke");
    }
}

[McpServerResourceType]
internal sealed class Resources
{
    [McpServerResource(UriTemplate = "file:///public/readme", Name = "readme")]
    public static string Readme() => "read me";

    [McpServerResource(UriTemplate = "file:///public/notes/{name}", Name = "notes")]
    public static string Notes(string name) => "notes of " + name;
}

[McpServerPromptType]
internal sealed class Prompts
{
    [McpServerPrompt(Name = "greet")]
    public static string Greet() => "Say hello.";
}

/// <summary>A tool server hosted with MapGuardedMcp, and an authorization server beside it.</summary>
internal sealed class ToolHost : IAsyncDisposable
{
    private readonly TempDirectory directory;
    private readonly bool ownsDirectory;
    private WebApplication app = null!;

    private ToolHost(FakeAuthorizationServer server, TempDirectory directory, bool ownsDirectory) => (Server, this.directory, this.ownsDirectory) = (server, directory, ownsDirectory);

    public FakeAuthorizationServer Server { get; }
    public Runs Runs { get; } = new();

    /// <summary>Every line the host logged, at every level.</summary>
    public ConcurrentQueue<string> Logged { get; } = new();
    public HttpClient Http { get; private set; } = new() { Timeout = TimeSpan.FromSeconds(30) };
    public string Resource { get; private set; } = "";
    public IServiceProvider Services => app.Services;

    public static async Task<ToolHost> StartAsync(
        FakeAuthorizationServer server, Action<McpGuardOptions>? configure = null, Action<IServiceCollection>? services = null, TempDirectory? state = null, bool wait = true,
        Action<WebApplication>? pipeline = null, X509Certificate2? tls = null)
    {
        var host = new ToolHost(server, state ?? new TempDirectory(), state is null);
        server.Resource = host.Resource = $"{(tls is null ? "http" : "https")}://127.0.0.1:{FreePort.Next()}/mcp";
        if (tls is not null) host.Http = TestCertificates.Client(tls, null);
        await host.Run(configure, services, pipeline, tls);
        if (wait) await host.Ready();
        return host;
    }

    private async Task Run(Action<McpGuardOptions>? configure, Action<IServiceCollection>? services, Action<WebApplication>? pipeline, X509Certificate2? tls)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Logging.SetMinimumLevel(LogLevel.Trace).AddProvider(new LogBook(Logged));
        builder.WebHost.UseUrls(new Uri(Resource).GetLeftPart(UriPartial.Authority));
        if (tls is not null) builder.WebHost.UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel => kestrel.ConfigureHttpsDefaults(https => https.AllowCallerCertificates().ServerCertificate = tls));
        builder.Services.AddSingleton(Runs);
        if (pipeline is null) builder.Services.AddMcpServer().WithTools<Tools>().WithResources<Resources>().WithPrompts<Prompts>();
        builder.Services.AddMcpGuard(o =>
        {
            (o.AuthorizationServer, o.Resource, o.EnrolmentSecret, o.StateDirectory) = (Server.Issuer, Resource, FakeAuthorizationServer.Secret, directory.Path);
            configure?.Invoke(o);
        });
        services?.Invoke(builder.Services);
        app = builder.Build();
        if (pipeline is null) app.MapGuardedMcp("/mcp");
        else pipeline(app);
        app.MapMcpGuardHealth();
        await app.StartAsync();
    }

    public string Url(string path) => new Uri(new Uri(Resource), path).AbsoluteUri;

    public async Task Ready(bool ready = true)
    {
        string last = "";
        for (int i = 0; i < 200; i++)
        {
            using HttpResponseMessage response = await Http.GetAsync(Url(Names.Paths.HealthReady));
            if (response.IsSuccessStatusCode == ready) return;
            last = await response.Content.ReadAsStringAsync();
            await Task.Delay(50);
        }
        throw new TimeoutException("Not in the state awaited: " + last);
    }

    /// <summary>Waits until handlers have said this.</summary>
    public async Task Ran(string what, int times = 1)
    {
        for (int i = 0; i < 1000 && Runs.All.Count(run => run == what) < times; i++) await Task.Delay(20);
        Assert.Equal(times, Runs.All.Count(run => run == what));
    }

    /// <summary>A request of 2026-07-28 with everything right; the test changes what it is about.</summary>
    public HttpRequestMessage Request(string body, string? token, string version = Names.Mcp.V20260728, string scheme = "Bearer")
    {
        var request = new HttpRequestMessage(HttpMethod.Post, Resource) { Content = new StringContent(body, Encoding.UTF8) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.Accept.ParseAdd("application/json, text/event-stream");
        if (token is not null) request.Headers.TryAddWithoutValidation("Authorization", $"{scheme} {token}");
        request.Headers.Add(Names.Mcp.ProtocolVersionHeader, version);
        return request;
    }

    public static string Call(string tool, string arguments, string version = Names.Mcp.V20260728) =>
        $$$"""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"{{{tool}}}","arguments":{{{arguments}}}{{{Meta(version)}}}}}""";

    public static string Message(string method, string parameters = "", string version = Names.Mcp.V20260728) =>
        $$$"""{"jsonrpc":"2.0","id":1,"method":"{{{method}}}","params":{{{{parameters}}}{{{(parameters.Length == 0 ? Meta(version).TrimStart(',') : Meta(version))}}}}}""";

    private static string Meta(string version) => version == Names.Mcp.V20260728
        ? ",\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\"io.modelcontextprotocol/clientCapabilities\":{}}" : "";

    /// <param name="capabilities">What the client of 2026-07-28 says it can, as JSON.</param>
    public async Task<Answer> CallTool(string tool, string arguments, string? token, string version = Names.Mcp.V20260728, string capabilities = "{}")
    {
        string body = Call(tool, arguments, version).Replace("clientCapabilities\":{}", "clientCapabilities\":" + capabilities, StringComparison.Ordinal);
        using HttpRequestMessage request = Request(body, token, version);
        request.Headers.Add(Names.Mcp.MethodHeader, "tools/call");
        request.Headers.Add(Names.Mcp.NameHeader, tool);
        return await Send(request);
    }

    public async Task<Answer> Do(string method, string parameters, string? token, string? name = null, string version = Names.Mcp.V20260728)
    {
        using HttpRequestMessage request = Request(Message(method, parameters, version), token, version);
        request.Headers.Add(Names.Mcp.MethodHeader, method);
        if (name is not null) request.Headers.Add(Names.Mcp.NameHeader, name);
        return await Send(request);
    }

    /// <summary>The status line of a call of echo with these header fields beside the token's, as they stand; HttpClient would join two of a name.</summary>
    public async Task<string?> Raw(string token, string fields)
    {
        var uri = new Uri(Resource);
        string body = Call("echo", """{"text":"raw"}""");
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, uri.Port);
        await using NetworkStream stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(
            $"POST {uri.AbsolutePath} HTTP/1.1\r\nHost: {uri.Authority}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
            + $"MCP-Protocol-Version: {Names.Mcp.V20260728}\r\nMcp-Method: tools/call\r\nMcp-Name: echo\r\nConnection: close\r\n{fields}Content-Length: {body.Length}\r\n\r\n{body}"));
        using var reader = new StreamReader(stream);
        return await reader.ReadLineAsync();
    }

    public async Task<Answer> Send(HttpRequestMessage request, HttpClient? http = null)
    {
        using HttpResponseMessage response = await (http ?? Http).SendAsync(request);
        return await Answer.Read(response);
    }

    public async ValueTask DisposeAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        await app.StopAsync(limit.Token);
        await app.DisposeAsync();
        Http.Dispose();
        if (ownsDirectory) directory.Dispose();
    }
}

/// <summary>An HTTP answer and the JSON-RPC message in it.</summary>
internal sealed record Answer(int Status, HttpResponseHeaders Headers, string Body, JsonElement? Json)
{
    public string Challenge => string.Join("; ", Headers.WwwAuthenticate.Select(h => h.ToString()));
    public int? Error => Json?.TryGetProperty("error", out JsonElement error) is true ? error.GetProperty("code").GetInt32() : null;
    public JsonElement Result => Json!.Value.GetProperty("result");
    public bool IsError => Result.TryGetProperty("isError", out JsonElement e) && e.GetBoolean();

    /// <summary>Of a tool it stands in the result, of everything else in the error.</summary>
    public string? Denial => Json is { } json && Told(json) is { ValueKind: JsonValueKind.Object } told && told.TryGetProperty(Names.Mcp.DenialMeta, out JsonElement denial)
        ? denial.GetProperty("code").GetString() : null;
    public string Text => Result.GetProperty("content")[0].GetProperty("text").GetString()!;

    private static JsonElement? Told(JsonElement json) =>
        json.TryGetProperty("result", out JsonElement result) ? result.TryGetProperty("_meta", out JsonElement meta) ? meta : null
        : json.TryGetProperty("error", out JsonElement error) && error.TryGetProperty("data", out JsonElement data) ? data : null;

    public static async Task<Answer> Read(HttpResponseMessage response)
    {
        string body = await response.Content.ReadAsStringAsync();
        string? json = response.Content.Headers.ContentType?.MediaType switch
        {
            "application/json" => body,
            "text/event-stream" => body.Split('\n').LastOrDefault(l => l.StartsWith("data:", StringComparison.Ordinal))?[5..],
            _ => null,
        };
        return new Answer((int)response.StatusCode, response.Headers, body, string.IsNullOrWhiteSpace(json) ? null : JsonDocument.Parse(json).RootElement.Clone());
    }
}

internal sealed class LogBook(ConcurrentQueue<string> lines) : ILoggerProvider, ILogger
{
    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        lines.Enqueue(formatter(state, exception) + exception);

    public void Dispose()
    {
    }
}
