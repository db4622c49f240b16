using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using McpAuth.Client;
using McpAuth.Protocol;
using McpAuth.Testing;
using ModelContextProtocol.Client;

namespace McpAuth.EndToEnd.Harness;

/// <summary>The sample tool server as a process, with files of its own.</summary>
public sealed class GuardedServer : IAsyncDisposable
{
    /// <summary>Less to start for each of many short processes.</summary>
    internal static readonly Dictionary<string, string?> Runtime = new()
    {
        ["DOTNET_TieredPGO"] = "0", ["DOTNET_gcServer"] = "0", ["Logging__LogLevel__Default"] = "Warning",
    };

    private const int FileSizeLimit = 1;

    private readonly string issuer, files, state;
    private readonly string address;
    private ChildProcess? process;

    public GuardedServer(string name, string issuer, TempDirectory directory)
    {
        (Name, this.issuer, files, state) = (name, issuer, directory[$"{name}-files"], directory[$"{name}-guard"]);
        address = string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{FreePort.Next()}");
        directory.Write($"{name}-files/reports/q1.md", "first quarter");
        directory.Write($"{name}-files/reports/q2.md", "second quarter");
        directory.Write($"{name}-files/private/salaries.txt", "secret");
    }

    public string Name { get; }
    public string Resource => address + "/mcp";
    public string EnrolmentSecret { get; } = "enrolment-" + Guid.NewGuid().ToString("N");

    /// <summary>For a test that wants to be a guard of this tool server itself.</summary>
    public string ProbeSecret { get; } = "enrolment-" + Guid.NewGuid().ToString("N");

    public string File(string relative) => Path.Combine(files, relative);

    public string Spool => Path.Combine(state, "spool");

    /// <summary>Starts it, also again after <see cref="KillAsync"/>: same address, same state.</summary>
    /// <param name="ready">False: it is enough that it lives.</param>
    public async Task StartAsync(bool ready = true)
    {
        if (process is not null) await process.DisposeAsync();
        // A full disk shall be an error of the write, as it is in life, and not a signal.
        process = ChildProcess.Start(
            "/bin/sh", ["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", ChildProcess.Dotnet, Built.Dll("samples/McpToolServer")],
            new Dictionary<string, string?>(Runtime)
            {
                ["Files__Root"] = files, ["Guard__AuthorizationServer"] = issuer, ["Guard__Resource"] = Resource, ["Guard__EnrolmentSecret"] = EnrolmentSecret,
                ["Guard__StateDirectory"] = state, ["ASPNETCORE_URLS"] = address,
            }, Path.GetDirectoryName(Built.Dll("samples/McpToolServer")));
        await process.WaitForHealthAsync(new Uri(address + (ready ? Names.Paths.HealthReady : Names.Paths.HealthLive)), Deployment.Patience);
    }

    public async Task KillAsync()
    {
        process!.Kill();
        await process.WaitForExitAsync(Deployment.Patience);
    }

    /// <summary>As a full disk: no file of this process grows any further; null = there is room again.</summary>
    public void FillDisk(bool full)
    {
        var limit = full ? new Limit { Soft = 0, Hard = ulong.MaxValue } : new Limit { Soft = ulong.MaxValue, Hard = ulong.MaxValue };
        Assert.Equal(0, SetLimit(process!.Id, FileSizeLimit, in limit, 0));
    }

    /// <summary>The readiness answer: whether ready, and the problems.</summary>
    public async Task<(bool Ready, string[] Problems)> ReadinessAsync()
    {
        using var http = new HttpClient();
        using HttpResponseMessage response = await http.GetAsync(new Uri(address + Names.Paths.HealthReady));
        JsonNode body = JsonNode.Parse(await response.Content.ReadAsStringAsync())!;
        return (response.IsSuccessStatusCode, [.. body["problems"]!.AsArray().Select(p => p!.GetValue<string>())]);
    }

    /// <summary>The official client, with tokens of the task.</summary>
    public Task<McpClient> ConnectAsync(AgentTask task) => McpClient.CreateAsync(new HttpClientTransport(
        new HttpClientTransportOptions { Endpoint = new Uri(Resource), TransportMode = HttpTransportMode.StreamableHttp }, new HttpClient(task.CreateHandler(Resource)), ownsHttpClient: true));

    /// <summary>Raw requests that keep presenting one token.</summary>
    public async Task<RawCaller> CallerAsync(AgentSession session, AgentTask task) => new(Resource, session.Key, await task.GetToken(Resource));

    public async ValueTask DisposeAsync()
    {
        if (process is not null) await process.DisposeAsync();
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Limit
    {
        public ulong Soft, Hard;
    }

    [DllImport("libc", EntryPoint = "prlimit64", SetLastError = true), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SetLimit(int process, int resource, in Limit limit, nint old);
}
