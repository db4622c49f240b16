using System.Diagnostics;
using System.Globalization;

namespace McpAuth.Bench;

/// <summary>What one run of the load generator measured.</summary>
/// <param name="CpuMicroseconds">Processor time of the server process for one request: what the machine's other work disturbs least.</param>
internal sealed record Load(double RequestsPerSecond, double P50Milliseconds, double P99Milliseconds, double CpuMicroseconds)
{
    public override string ToString() =>
        $"{RequestsPerSecond,7:0}/s p50 {P50Milliseconds,6:0.00} ms p99 {P99Milliseconds,6:0.00} ms cpu {CpuMicroseconds,5:0} us";
}

/// <summary>Drives load with <c>wrk</c> from a process of its own; any answer but 2xx fails the measurement, and so does a repeated request unless it may be sent again.</summary>
internal static class Wrk
{
    private const int Threads = 1, Connections = 16;

    public static async Task<Load> RunAsync(Uri address, int server, IEnumerable<string> requests, int seconds, bool again = false)
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllLinesAsync(file, requests);
            using var measured = Process.GetProcessById(server);
            var before = measured.TotalProcessorTime;
            using var process = Process.Start(new ProcessStartInfo("wrk",
            [
                "-t", $"{Threads}", "-c", $"{Connections}", "-d", $"{seconds}s", "--timeout", "10s", "-s", Path.Combine(AppContext.BaseDirectory, "requests.lua"),
                address.GetLeftPart(UriPartial.Authority), "--", file, $"{Threads}", address.AbsolutePath,
            ])
            { RedirectStandardOutput = true, RedirectStandardError = true })!;
            var error = process.StandardError.ReadToEndAsync();
            var output = await process.StandardOutput.ReadToEndAsync();
            await process.WaitForExitAsync();
            measured.Refresh();
            var cpu = measured.TotalProcessorTime - before;
            var result = output.Split('\n').FirstOrDefault(l => l.StartsWith("RESULT ", StringComparison.Ordinal))
                ?? throw new InvalidOperationException($"wrk failed: {output}{await error}");
            var n = result.Split(' ')[1..].Select(w => double.Parse(w, CultureInfo.InvariantCulture)).ToArray();
            if (n[4] > 0 || n[5] > 0)
                throw new InvalidOperationException($"{address}: {n[4]} answers were not 2xx or 3xx, {n[5]} connections failed.");
            if (n[6] > 0 && !again)
                throw new InvalidOperationException($"{address}: the prepared requests ran out; prepare more.");
            return new Load(n[0] / (n[1] / 1e6), n[2] / 1000, n[3] / 1000, cpu.TotalMicroseconds / n[0]);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
