using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Npgsql;

namespace McpAuth.Testing;

/// <summary>
/// A PostgreSQL server of the tests' own: a data directory made by <c>initdb</c>, a free port on 127.0.0.1, gone when disposed or when the
/// test process exits. One is shared by a whole test assembly; each test takes a database of its own.
/// </summary>
public sealed class PostgresCluster : IAsyncDisposable
{
    private const string Account = "postgres";
    private const int Sigkill = 9;

    /// <summary>
    /// Waits for the end of its input, which comes when the test process ends, however it does; then stops the server by its id, if that id is
    /// still the server's, and removes its directory.
    /// </summary>
    private const string Burial =
        """
        read -r line
        pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
        if [ -n "$pid" ] && tr '\0' ' ' < "/proc/$pid/cmdline" 2>/dev/null | grep -qF "$1/data"; then
          kill -QUIT "$pid"
          for i in 1 2 3 4 5 6 7 8 9 10; do [ -d "/proc/$pid" ] || break; sleep 0.2; done
        fi
        rm -rf "$1"
        """;

    private static readonly Lazy<Task<PostgresCluster>> SharedStart = new(() => StartAsync());

    private readonly string directory;
    private readonly bool durable;
    private readonly SemaphoreSlim gate = new(1);
    private readonly HashSet<string> templates = [];
    private readonly Process undertaker;
    private ChildProcess? server;
    private int databases;

    private PostgresCluster(string directory, int port, bool durable)
    {
        (this.directory, Port, this.durable) = (directory, port, durable);
        undertaker = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", Burial, "sh", directory]) { RedirectStandardInput = true })!;
    }

    public int Port { get; }

    /// <summary>The cluster that all tests of this process share; started by whoever asks first. It never flushes: not for crash tests.</summary>
    public static Task<PostgresCluster> SharedAsync() => SharedStart.Value;

    /// <param name="durable">With <c>fsync</c> and <c>full_page_writes</c>, for tests that kill it.</param>
    /// <exception cref="InvalidOperationException">PostgreSQL is not installed, or did not start; the message says why.</exception>
    public static async Task<PostgresCluster> StartAsync(bool durable = false)
    {
        var initdb = PostgresBinaries.Program("initdb");
        // Made by the account that will own it: the server refuses any other's directory, and refuses root.
        var directory = (await RunAsync("mktemp", "-d", "-t", "mcpauth-pg-XXXXXXXX")).Trim();
        var cluster = new PostgresCluster(directory, FreePort.Next(), durable);
        await RunAsync(initdb, "-D", cluster.Data, "-U", Account, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions");
        await cluster.LaunchAsync();
        return cluster;
    }

    /// <param name="database">Which one; it is not created.</param>
    public string ConnectionString(string database) =>
        $"Host=127.0.0.1;Port={Port.ToString(CultureInfo.InvariantCulture)};Username={Account};Database={database};Timeout=10";

    /// <returns>The connection string of a new, empty database.</returns>
    public Task<string> CreateDatabaseAsync() => CreateFromAsync("template0");

    /// <returns>
    /// The connection string of a new database that is a copy of the template <paramref name="name"/>, which <paramref name="fill"/> is called
    /// once to make. It must leave no connection to it open.
    /// </returns>
    public async Task<string> CreateDatabaseAsync(string name, Func<string, Task> fill)
    {
        ArgumentNullException.ThrowIfNull(fill);
        await gate.WaitAsync();
        try
        {
            if (!templates.Contains(name))
            {
                await AdministerAsync($"create database {name} template template0");
                await fill(ConnectionString(name) + ";Pooling=false");
                templates.Add(name);
            }
        }
        finally
        {
            gate.Release();
        }
        return await CreateFromAsync(name);
    }

    /// <summary>As a power cut would be to the server: every one of its processes dies at once, nothing is flushed.</summary>
    public void Crash()
    {
        // The children first: orphans of a postmaster finish what they are doing, and keep the shared memory from the next one.
        if (Postmaster() is not { } pid) return;
        foreach (var child in Children(pid))
            _ = SendSignal(child, Sigkill);
        _ = SendSignal(pid, Sigkill);
        var watch = Stopwatch.StartNew();
        while (Directory.Exists($"/proc/{pid}") && watch.Elapsed < TimeSpan.FromSeconds(10))
            Thread.Sleep(5);
    }

    /// <summary>Starts it again after <see cref="Crash"/>; completes when it has recovered and answers.</summary>
    public async Task LaunchAsync()
    {
        if (server is not null) await server.DisposeAsync();
        var flush = durable ? "on" : "off";
        var (program, arguments) = As(
            PostgresBinaries.Program("postgres"), "-D", Data, "-p", Port.ToString(CultureInfo.InvariantCulture), "-c", "listen_addresses=127.0.0.1",
            "-c", "unix_socket_directories=", "-c", $"fsync={flush}", "-c", $"full_page_writes={flush}", "-c", "max_connections=200",
            "-c", "max_wal_size=64MB", "-c", "min_wal_size=32MB",
            "-c", "shared_buffers=64MB", "-c", "log_min_messages=fatal");
        server = ChildProcess.Start(program, arguments, directory: "/");
        var watch = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                await AdministerAsync("select 1");
                return;
            }
            catch (NpgsqlException e)
            {
                if (server.HasExited || watch.Elapsed > TimeSpan.FromSeconds(60))
                    throw new InvalidOperationException($"PostgreSQL did not start: {e.Message}\n{server.Text}", e);
                await Task.Delay(20);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        undertaker.StandardInput.Close();
        await undertaker.WaitForExitAsync();
        undertaker.Dispose();
        if (server is not null) await server.DisposeAsync();
        gate.Dispose();
    }

    private string Data => Path.Combine(directory, "data");

    private async Task<string> CreateFromAsync(string template)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"test_{Interlocked.Increment(ref databases)}");
        await gate.WaitAsync();
        try
        {
            // Two copies of one template at once are refused.
            await AdministerAsync($"create database {name} template {template}");
        }
        finally
        {
            gate.Release();
        }
        return ConnectionString(name);
    }

    private async Task AdministerAsync(string sql)
    {
        await using var connection = new NpgsqlConnection(ConnectionString("postgres") + ";Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>The server's own process: what was started may only be a <c>runuser</c> that waits for it.</summary>
    private int? Postmaster()
    {
        var file = Path.Combine(Data, "postmaster.pid");
        if (!File.Exists(file) || !int.TryParse(File.ReadLines(file).FirstOrDefault(), NumberStyles.None, CultureInfo.InvariantCulture, out var pid))
            return null;
        return Directory.Exists($"/proc/{pid}") && File.ReadAllText($"/proc/{pid}/cmdline").Contains(Data, StringComparison.Ordinal) ? pid : null;
    }

    private static IEnumerable<int> Children(int pid)
    {
        var file = $"/proc/{pid}/task/{pid}/children";
        return File.Exists(file)
            ? File.ReadAllText(file).Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(c => int.Parse(c, CultureInfo.InvariantCulture))
            : [];
    }

    private static async Task<string> RunAsync(string program, params string[] arguments)
    {
        var (name, all) = As(program, arguments);
        await using var run = ChildProcess.Start(name, all, directory: "/");
        var code = await run.WaitForExitAsync(TimeSpan.FromSeconds(60));
        return code == 0 ? run.Text : throw new InvalidOperationException($"{Path.GetFileName(program)} exited with {code}:\n{run.Text}");
    }

    private static (string Program, string[] Arguments) As(string program, params string[] arguments) =>
        Environment.UserName == "root" ? ("runuser", ["-u", Account, "--", program, .. arguments]) : (program, arguments);

    [DllImport("libc", EntryPoint = "kill"), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SendSignal(int pid, int signal);
}
