using System.Diagnostics;
using System.Net;
using McpAuth.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace Architecture.Tests.Machinery;

public sealed class ChildProcessTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(20), Short = TimeSpan.FromMilliseconds(200);

    [Fact]
    public async Task Lines_OfBothStreams_AreCapturedAndWaitedFor()
    {
        await using var child = Shell("echo one; echo \"$MADE_UP two\" >&2; cat; exit 3", new() { ["MADE_UP"] = "value" });
        Assert.Equal("value two", await child.WaitForLineAsync(l => l.EndsWith("two", StringComparison.Ordinal), Bound));
        Assert.Equal(3, await child.WaitForExitAsync(Bound));
        Assert.Equal(["one", "value two"], child.Output.Order());
    }

    [Fact]
    public async Task Line_ThatNeverComes_FailsWithTheOutputWhetherItRunsOrEnds()
    {
        await using var ending = Shell("echo only this; exit 1");
        var ended = await Assert.ThrowsAsync<InvalidOperationException>(() => ending.WaitForLineAsync(l => l == "ready", Bound));
        Assert.Contains("only this", ended.Message, StringComparison.Ordinal);
        await using var running = Shell("echo still here; sleep 60");
        await running.WaitForLineAsync(l => l == "still here", Bound);
        var late = await Assert.ThrowsAsync<TimeoutException>(() => running.WaitForLineAsync(l => l == "ready", Short));
        Assert.Contains("still here", late.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<TimeoutException>(() => running.WaitForExitAsync(Short));
    }

    [Fact]
    public async Task Stop_AsksFirst_AndKillsWhatDoesNotListen()
    {
        await using var polite = Shell("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done");
        await polite.WaitForLineAsync(l => l == "up", Bound);
        Assert.True(await polite.StopAsync(Bound));
        Assert.Contains("bye", polite.Output);
        await using var deaf = Shell("trap '' TERM; echo up; while :; do sleep 0.05; done");
        await deaf.WaitForLineAsync(l => l == "up", Bound);
        Assert.False(await deaf.StopAsync(Short));
        Assert.True(deaf.HasExited);
    }

    [Fact]
    public async Task Kill_RunsNoHandler_AndDisposeLeavesNoProcess()
    {
        int id;
        await using (var child = Shell("trap 'echo bye' TERM EXIT; echo up; while :; do sleep 0.05; done"))
        {
            id = child.Id;
            await child.WaitForLineAsync(l => l == "up", Bound);
            child.Kill();
            Assert.Equal(137, await child.WaitForExitAsync(Bound));
            Assert.DoesNotContain("bye", child.Output);
        }
        Assert.Throws<ArgumentException>(() => Process.GetProcessById(id));
    }

    [Fact]
    public async Task Health_IsWaitedFor_UntilItIsGood()
    {
        var port = FreePort.Next();
        await using var child = Shell("sleep 60");
        var url = new Uri($"http://127.0.0.1:{port}/health");
        await Assert.ThrowsAsync<TimeoutException>(() => child.WaitForHealthAsync(url, Short));
        var asked = 0;
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        await using var app = builder.Build();
        app.MapGet("/health", () => Interlocked.Increment(ref asked) < 3 ? Results.StatusCode(503) : Results.Ok());
        await app.StartAsync();
        await child.WaitForHealthAsync(url, Bound);
        Assert.Equal(3, asked);
        child.Kill();
        await child.WaitForExitAsync(Bound);
        await Assert.ThrowsAsync<InvalidOperationException>(() => child.WaitForHealthAsync(url, Bound));
    }

    [Fact]
    public async Task Dll_RunsOnDotnet_WithNothingOfTheTestHostsConfiguration()
    {
        Assert.Throws<FileNotFoundException>(() => ChildProcess.StartDll("gone.dll"));
        Environment.SetEnvironmentVariable("ASPNETCORE_MADE_UP", "leaked");
        await using var child = Shell("echo [$ASPNETCORE_MADE_UP]");
        Assert.Equal("[]", await child.WaitForLineAsync(_ => true, Bound));
        await using var dotnet = ChildProcess.StartDll(typeof(ChildProcessTests).Assembly.Location);
        Assert.Equal(0, await dotnet.WaitForExitAsync(Bound));
    }

    [Fact]
    public void Ports_AreFreeAndNeverTheSame()
    {
        var ports = Enumerable.Range(0, 50).Select(_ => FreePort.Next()).ToList();
        Assert.Equal(50, ports.Distinct().Count());
        Assert.All(ports, p => Assert.InRange(p, 20_000, 31_999));
        using var listener = new System.Net.Sockets.TcpListener(IPAddress.Loopback, ports[^1] + 1);
        listener.Start();
        Assert.DoesNotContain(ports[^1] + 1, Enumerable.Range(0, 3).Select(_ => FreePort.Next()));
    }

    [Fact]
    public void Directory_IsPrivateAndGoesWithTheTest()
    {
        string path;
        using (var directory = new TempDirectory())
        {
            path = directory.Path;
            Assert.Equal("text", File.ReadAllText(directory.Write("a/b.txt", "text")));
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, new DirectoryInfo(path).UnixFileMode);
        }
        Assert.False(Directory.Exists(path));
    }

    [Theory]
    [InlineData(true, false, null)]
    [InlineData(true, true, null)]
    [InlineData(false, false, "no database")]
    [InlineData(false, true, null)]
    public void Requirement_NotMet_SkipsExceptWhereNothingMay(bool met, bool nothingMaySkip, string? skip) =>
        Assert.Equal(skip, new Requirement(met, "no database").SkipWhen(nothingMaySkip));

    [Theory]
    [InlineData(true, true, null)]
    [InlineData(true, false, "no browser")]
    [InlineData(false, true, "no database")]
    [InlineData(false, false, "no database no browser")]
    public void Requirement_OfTwo_NamesWhatIsMissing(bool first, bool second, string? skip) =>
        Assert.Equal(skip, new Requirement(first, "no database").And(new(second, "no browser")).SkipWhen(nothingMaySkip: false));

    private static ChildProcess Shell(string script, Dictionary<string, string?>? environment = null) =>
        ChildProcess.Start("bash", ["-c", script], environment);
}
