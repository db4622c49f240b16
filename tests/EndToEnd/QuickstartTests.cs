using System.Globalization;
using System.Runtime.Versioning;
using System.Text.RegularExpressions;
using McpAuth.EndToEnd.Harness;
using McpAuth.Testing;

namespace McpAuth.EndToEnd;

/// <summary>The script itself. It uses release builds, so unless these tests are one, it builds them first.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class QuickstartTests : IDisposable
{
    private static readonly string[] Once = Built.Configuration == "Release" ? ["--once", "--no-build"] : ["--once"];
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private readonly TempDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    [Trait("Spec", "Invariant-3")]
    [Trait("Spec", "Invariant-12")]
    public async Task Once_ShowsConsentWorkDenialsStepUpTheEndsAndTheStory_AndLeavesNothingBehind()
    {
        await using ChildProcess run = Start(Once);
        Assert.True(await run.WaitForExitAsync(Patience) == 0, run.Text);

        // Ann is asked, in words, and her yes is a token that names her and the agent.
        Assert.Contains("| Report summariser asks to work for you", run.Text, StringComparison.Ordinal);
        Assert.Contains("path under “reports”", run.Text, StringComparison.Ordinal);
        Assert.Contains("whose authority, and who acts: usr_ann, and for them agt_summariser", run.Text, StringComparison.Ordinal);
        Assert.Matches("\"act\": \\{\\s+\"iss\": \"[^\"]+\",\\s+\"sub\": \"agt_summariser\"", run.Text);
        Assert.Matches(@"read_file reports/q1\.md: \d+ characters", run.Text);
        Assert.Contains("read_file private/salaries.txt: denied, argument_denied", run.Text, StringComparison.Ordinal);
        Assert.Contains("delete_file reports/q1.md: denied, not_in_task", run.Text, StringComparison.Ordinal);
        Assert.Matches(@"read_file with the same token: refused \d+ ms after the end was acknowledged", run.Text);
        Assert.Matches("a new token for the task: refused, (task_ended|revoked)", run.Text);

        // The story: as many decisions as it says there are, those after the end among them.
        var said = Regex.Match(run.Text, @"calls decided and recorded: (\d+), (all|\d+) of them answered");
        Assert.True(said.Success, run.Text);
        Assert.Equal(said.Groups[1].Value, run.Output.Count(l => Regex.IsMatch(l, @"call\.decided +usr_ann +agt_summariser ")).ToString(CultureInfo.InvariantCulture));
        Assert.Contains(run.Output, l => l.Contains("task.created", StringComparison.Ordinal));
        Assert.Contains(run.Output, l => l.Contains("task.completed", StringComparison.Ordinal));
        Assert.Contains(run.Output, l => l.Contains("call.decided", StringComparison.Ordinal) && l.Contains("argument_denied", StringComparison.Ordinal));

        // The stock client: by scope, refused with the scope that is missing, stepped up, on record.
        Assert.Contains("client  has a token, by scope: tools:read", run.Text, StringComparison.Ordinal);
        Assert.Contains("client  read_file reports/q1.md: allowed", run.Text, StringComparison.Ordinal);
        Assert.Matches("client  is answered 403: .*error=\"insufficient_scope\".*tool:delete_file", run.Text);
        Assert.Contains("delete_file – can destroy data – new", run.Text, StringComparison.Ordinal);
        Assert.Contains("client  delete_file reports/old.md: allowed", run.Text, StringComparison.Ordinal);
        Assert.Matches("on record: .*\"decision\":\"allow\".*\"tool\":\"delete_file\".*\"user\":\"usr_ann\"", run.Text);

        // Ann ends it, and is asked again.
        Assert.Contains("presses \"End access of Report summariser\"", run.Text, StringComparison.Ordinal);
        Assert.InRange(int.Parse(Regex.Match(run.Text, @"refused (\d+) ms after Ann's page said so").Groups[1].Value, CultureInfo.InvariantCulture), 0, 5000);
        Assert.Contains("The person did not allow it: access_denied", run.Text, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(directory["tmp"]));
    }

    [Theory]
    [InlineData("McpAuthServer.dll", "Starting the authorization server")]
    [InlineData("McpToolServer.dll", "Starting the guarded tool server")]
    [InlineData("--resource", "Running the agent")]
    [InlineData("Person.dll", "Running the agent")]
    [InlineData("StockClient.dll", "Running an MCP client")]
    [InlineData("--end", "Ann ends what the agent does for her")]
    public async Task Once_AProgramFails_NamesTheStepAndShowsWhy(string culprit, string step)
    {
        string shim = directory.Write("shim/dotnet", $"#!/bin/sh\ncase \"$*\" in *{culprit}*) echo 'it broke here' >&2; exit 3;; esac\nexec '{Path.GetFullPath(DotnetPath())}' \"$@\"\n");
        File.SetUnixFileMode(shim, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        await using ChildProcess run = Start(Once, path: directory["shim"] + ":" + Environment.GetEnvironmentVariable("PATH"));
        Assert.Equal(1, await run.WaitForExitAsync(Patience));
        Assert.Contains($"quickstart failed at: {step}", run.Text, StringComparison.Ordinal);
        Assert.Contains("it broke here", run.Text, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(directory["tmp"]));
    }

    [Fact]
    public async Task WithoutTheSdk_SaysSoAndNamesTheStep()
    {
        // All that the script needs, and no dotnet, wherever this machine has it.
        Directory.CreateDirectory(directory["bin"]);
        foreach (string tool in new[] { "bash", "env", "dirname", "mktemp", "rm", "seq", "sleep", "sed", "tail", "basename" })
            File.CreateSymbolicLink(directory["bin/" + tool], Which(tool));
        await using ChildProcess run = Start(["--once"], path: directory["bin"]);
        Assert.Equal(1, await run.WaitForExitAsync(Patience));
        Assert.Contains("The .NET 10 SDK is not installed", run.Text, StringComparison.Ordinal);
        Assert.Contains("quickstart failed at: Building", run.Text, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(directory["tmp"]));
    }

    [Theory]
    [InlineData("--help", 0)]
    [InlineData("--onze", 2)]
    public async Task OptionItDoesNotRun_PrintsTheUsage(string option, int code)
    {
        await using ChildProcess run = Start([option]);
        Assert.Equal(code, await run.WaitForExitAsync(Patience));
        Assert.Contains("./quickstart --once", run.Text, StringComparison.Ordinal);
        Assert.Contains("--no-build", run.Text, StringComparison.Ordinal);
    }

    private ChildProcess Start(string[] arguments, string? path = null)
    {
        Directory.CreateDirectory(directory["tmp"]);
        var environment = new Dictionary<string, string?> { ["TMPDIR"] = directory["tmp"], ["NO_COLOR"] = "1" };
        if (path is not null) environment["PATH"] = path;
        if (path == directory["bin"]) environment["DOTNET_ROOT"] = directory["nothing"];
        return ChildProcess.Start(Which("bash"), [Path.Combine(Built.Root, "quickstart"), .. arguments], environment);
    }

    private static string DotnetPath() => Path.IsPathRooted(ChildProcess.Dotnet) ? ChildProcess.Dotnet : Which("dotnet");

    private static string Which(string program) => Environment.GetEnvironmentVariable("PATH")!.Split(':').Select(d => Path.Combine(d, program)).First(File.Exists);
}
