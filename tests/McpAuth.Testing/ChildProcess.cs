using System.Diagnostics;
using System.Net;
using System.Runtime.InteropServices;

namespace McpAuth.Testing;

/// <summary>
/// A real process of a test: started with its own environment, its output captured, and ended by its own id, politely
/// (<see cref="StopAsync"/>), as a crash (<see cref="Kill"/>), or at the latest when the test process exits.
/// </summary>
public sealed class ChildProcess : IAsyncDisposable
{
    private const int MostLines = 20_000, Sigterm = 15, Sigcont = 18, Sigstop = 19;

    private static readonly HashSet<ChildProcess> Running = [];

    private readonly Process process;
    private readonly List<string> lines = [];
    private readonly TaskCompletionSource drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TaskCompletionSource changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int openStreams = 2;

    static ChildProcess() => AppDomain.CurrentDomain.ProcessExit += (_, _) =>
    {
        ChildProcess[] left;
        lock (Running)
            left = [.. Running];
        foreach (var child in left)
            child.Kill();
    };

    private ChildProcess(Process process) => this.process = process;

    public int Id => process.Id;

    public bool HasExited => process.HasExited;

    /// <summary>Of a process that has exited.</summary>
    public int ExitCode => process.ExitCode;

    /// <summary>What it wrote so far, both streams, in order of arrival.</summary>
    public IReadOnlyList<string> Output
    {
        get
        {
            lock (lines)
                return [.. lines];
        }
    }

    public string Text => string.Join('\n', Output);

    /// <summary>The <c>dotnet</c> that runs this very process.</summary>
    public static string Dotnet { get; } = Environment.ProcessPath is { } host && Path.GetFileName(host) == "dotnet" ? host : "dotnet";

    /// <summary>Starts <c>dotnet <paramref name="dll"/> …</c> with the runtime of this very process.</summary>
    public static ChildProcess StartDll(
        string dll, IEnumerable<string>? arguments = null, IReadOnlyDictionary<string, string?>? environment = null, string? directory = null,
        string input = "")
    {
        if (!File.Exists(dll))
            throw new FileNotFoundException($"{dll} is not built.", dll);
        return Start(Dotnet, [dll, .. arguments ?? []], environment, directory ?? Path.GetDirectoryName(dll), input);
    }

    /// <param name="environment">Laid over this process's own; null removes a variable.</param>
    /// <param name="input">All that it can read from its standard input.</param>
    public static ChildProcess Start(
        string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string?>? environment = null, string? directory = null, string input = "")
    {
        var info = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            // An inherited terminal would let a child that asks a question hang for ever.
            RedirectStandardInput = true,
            WorkingDirectory = directory ?? "",
        };
        // What the test host was started with must not configure the child.
        foreach (var name in info.Environment.Keys.Where(n => n.StartsWith("ASPNETCORE_", StringComparison.Ordinal)).ToList())
            info.Environment.Remove(name);
        foreach (var (name, value) in environment ?? new Dictionary<string, string?>())
            info.Environment[name] = value;
        var child = new ChildProcess(new Process { StartInfo = info });
        child.Begin(input);
        return child;
    }

    /// <summary>Waits until a line of the output satisfies <paramref name="match"/>, from the first line on.</summary>
    /// <returns>The line.</returns>
    /// <exception cref="TimeoutException">It did not come in time; the message holds the output.</exception>
    /// <exception cref="InvalidOperationException">The process exited before; the message holds the output.</exception>
    public async Task<string> WaitForLineAsync(Func<string, bool> match, TimeSpan within)
    {
        ArgumentNullException.ThrowIfNull(match);
        using var timeout = new CancellationTokenSource(within);
        for (var read = 0; ;)
        {
            Task more;
            lock (lines)
            {
                for (; read < lines.Count; read++)
                {
                    if (match(lines[read]))
                        return lines[read];
                }
                more = changed.Task;
            }
            if (drained.Task.IsCompleted && Output.Count == read)
                throw new InvalidOperationException($"{Name} ended before the awaited line:\n{Text}");
            try
            {
                await Task.WhenAny(more, drained.Task).WaitAsync(timeout.Token);
            }
            catch (OperationCanceledException)
            {
                throw new TimeoutException($"{Name} did not write the awaited line within {within}:\n{Text}");
            }
        }
    }

    /// <summary>Waits until <paramref name="url"/> answers 2xx.</summary>
    /// <exception cref="TimeoutException">It did not in time; the message holds the output.</exception>
    /// <exception cref="InvalidOperationException">The process exited before; the message holds the output.</exception>
    public async Task WaitForHealthAsync(Uri url, TimeSpan within)
    {
        using var timeout = new CancellationTokenSource(within);
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false });
        HttpStatusCode? last = null;
        try
        {
            while (true)
            {
                if (HasExited)
                    throw new InvalidOperationException($"{Name} ended before {url} answered:\n{Text}");
                try
                {
                    using var response = await http.GetAsync(url, timeout.Token);
                    if (response.IsSuccessStatusCode)
                        return;
                    last = response.StatusCode;
                }
                catch (HttpRequestException)
                {
                    // Not listening yet.
                }
                await Task.Delay(20, timeout.Token);
            }
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"{url} of {Name} did not answer within {within} (last status: {last?.ToString() ?? "none"}):\n{Text}");
        }
    }

    /// <summary>Waits for the end of the process and of its output.</summary>
    /// <returns>The exit code.</returns>
    /// <exception cref="TimeoutException">It still runs; the message holds the output.</exception>
    public async Task<int> WaitForExitAsync(TimeSpan within)
    {
        try
        {
            await process.WaitForExitAsync().WaitAsync(within);
            // A grandchild can hold the pipes open; the exit counts, not its chatter.
            await Task.WhenAny(drained.Task, Task.Delay(TimeSpan.FromSeconds(2)));
            return process.ExitCode;
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"{Name} still ran after {within}:\n{Text}");
        }
    }

    /// <summary>Asks it to end (SIGTERM), waits, and kills it if it does not.</summary>
    /// <returns>Whether it ended by itself.</returns>
    public async Task<bool> StopAsync(TimeSpan within)
    {
        if (!HasExited)
            _ = SendSignal(Id, Sigterm);
        try
        {
            await WaitForExitAsync(within);
            return true;
        }
        catch (TimeoutException)
        {
            Kill();
            await process.WaitForExitAsync();
            return false;
        }
    }

    /// <summary>SIGKILL, as a power cut would: nothing is flushed, no handler runs. Does not wait.</summary>
    public void Kill()
    {
        try
        {
            process.Kill();
        }
        catch (InvalidOperationException)
        {
            // It has already exited.
        }
    }

    /// <summary>SIGSTOP: it keeps its connections and answers nothing, as a machine that hangs. Until <see cref="Continue"/>.</summary>
    public void Pause() => _ = SendSignal(Id, Sigstop);

    public void Continue() => _ = SendSignal(Id, Sigcont);

    public async ValueTask DisposeAsync()
    {
        Kill();
        await process.WaitForExitAsync();
        lock (Running)
            Running.Remove(this);
        process.Dispose();
    }

    private string Name => string.Join(' ', new[] { process.StartInfo.FileName }.Concat(process.StartInfo.ArgumentList.Take(1)).Select(Path.GetFileName));

    private void Begin(string input)
    {
        process.OutputDataReceived += (_, e) => Add(e.Data);
        process.ErrorDataReceived += (_, e) => Add(e.Data);
        process.Start();
        lock (Running)
            Running.Add(this);
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    private void Add(string? line)
    {
        if (line is null)
        {
            if (Interlocked.Decrement(ref openStreams) == 0)
                drained.TrySetResult();
            return;
        }
        TaskCompletionSource wake;
        lock (lines)
        {
            // A child that writes without end must not take the test's memory; what came first says most about a failed start.
            if (lines.Count < MostLines)
                lines.Add(line);
            (wake, changed) = (changed, new(TaskCreationOptions.RunContinuationsAsynchronously));
        }
        wake.TrySetResult();
    }

    [DllImport("libc", EntryPoint = "kill"), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SendSignal(int pid, int signal);
}
