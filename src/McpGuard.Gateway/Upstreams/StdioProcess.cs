using System.Diagnostics;
using System.Runtime.InteropServices;
using McpGuard.Gateway.Configuration;

namespace McpGuard.Gateway.Upstreams;

/// <summary>
/// The process of a stdio upstream: with the environment that was configured and no other, and ended by its own id. When the gateway itself is
/// killed, its standard input closes, which ends every well-behaved one.
/// </summary>
internal sealed class StdioProcess : IAsyncDisposable
{
    private const int Sigterm = 15;

    /// <summary>For each of the three ways of ending it, from asking to killing.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly Process process;
    private readonly Task errors;

    private StdioProcess(Process process, Task errors) => (this.process, this.errors) = (process, errors);

    public int Id => process.Id;
    public Stream Input => process.StandardInput.BaseStream;
    public Stream Output => process.StandardOutput.BaseStream;

    public Task Exited => process.WaitForExitAsync();

    /// <exception cref="System.ComponentModel.Win32Exception">It cannot be started.</exception>
    public static StdioProcess Start(StdioConfiguration how, ErrorOutput errors)
    {
        var info = new ProcessStartInfo(how.Command, how.Arguments)
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false, CreateNoWindow = true, WorkingDirectory = how.WorkingDirectory,
        };
        // What the gateway was given is not the upstream's to see.
        info.Environment.Clear();
        foreach ((string name, string value) in how.Environment) info.Environment[name] = value;
        var process = new Process { StartInfo = info };
        process.Start();
        return new StdioProcess(process, errors.Read(process.StandardError.BaseStream));
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It is gone already.
        }
        if (!await Ends() && !OperatingSystem.IsWindows())
        {
            _ = SendSignal(process.Id, Sigterm);
            await Ends();
        }
        // With all that it started.
        if (!process.HasExited) process.Kill(entireProcessTree: true);
        await Ends();
        await Task.WhenAny(errors, Task.Delay(Patience));
        process.Dispose();
    }

    private async Task<bool> Ends()
    {
        try
        {
            await process.WaitForExitAsync().WaitAsync(Patience);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    [DllImport("libc", EntryPoint = "kill"), DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SendSignal(int pid, int signal);
}
