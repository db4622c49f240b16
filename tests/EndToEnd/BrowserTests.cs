using McpAuth.EndToEnd.Harness;
using McpAuth.Testing;
using Microsoft.AspNetCore.Builder;

namespace McpAuth.EndToEnd;

/// <summary>That the checks of pages find what they are for: a page with every fault, and one with none, under the strictest content security policy.</summary>
public sealed class BrowserTests(Browser browser) : IClassFixture<Browser>
{
    private const string Good = "<!doctype html><html lang=en><meta name=viewport content='width=device-width'><title>Good</title><main><h1>Good</h1><p>Text</main></html>";
    private const string Bad = "<!doctype html><html><meta name=viewport content='width=device-width'><title>Bad</title><div style='width:900px'><input><script>fail()</script></div></html>";

    [InteropFact]
    public async Task Page_WithoutFault_IsClean_AndLeavesThreePictures()
    {
        await using WebApplication site = await Site.StartAsync(Good, 400, "default-src 'none'; require-trusted-types-for 'script'");
        await using Visitor visitor = await browser.NewVisitorAsync();
        Assert.Equal(400, await visitor.GoAsync(site.Urls.First() + "/?a=b"));
        await visitor.AssertPageIsCleanAsync("harness");
        Assert.All(["light", "dark", "phone"], look => Assert.True(new FileInfo(Path.Combine(Built.Root, $"artifacts/screens/harness-{look}.png")).Length > 1000));
    }

    [InteropFact]
    public async Task Page_WithFaults_IsFound()
    {
        await using WebApplication site = await Site.StartAsync(Bad);
        await using Visitor visitor = await browser.NewVisitorAsync();
        await visitor.GoAsync(site.Urls.First());
        string violations = string.Join('\n', await visitor.AxeViolationsAsync());
        Assert.Contains("html-has-lang", violations, StringComparison.Ordinal);
        Assert.Contains("label", violations, StringComparison.Ordinal);
        Assert.Contains(visitor.Complaints, c => c.Contains("fail is not defined", StringComparison.Ordinal));
        Assert.True(await visitor.Page.EvaluateAsync<int>("document.documentElement.scrollWidth") >= 900);
        await Assert.ThrowsAnyAsync<Xunit.Sdk.XunitException>(() => visitor.AssertPageIsCleanAsync("harness-faults"));
    }

    [InteropFact]
    public async Task Script_ThatThePolicyBlocks_IsAComplaint()
    {
        await using WebApplication site = await Site.StartAsync(Bad, policy: "default-src 'none'");
        await using Visitor visitor = await browser.NewVisitorAsync();
        await visitor.GoAsync(site.Urls.First());
        Assert.Contains(visitor.Complaints, c => c.Contains("Content Security Policy", StringComparison.Ordinal));
    }

    [ChromiumFact]
    public async Task Start_ThatFailsOnce_IsTriedAgain()
    {
        using var directory = new TempDirectory();
        var started = new Browser { Program = Failing(directory, 1) };
        try
        {
            await started.InitializeAsync();
            await using Visitor visitor = await started.NewVisitorAsync();
            Assert.Equal(2, await visitor.Page.EvaluateAsync<int>("1 + 1"));
        }
        finally
        {
            await started.DisposeAsync();
        }
    }

    [ChromiumFact]
    public async Task Start_ThatFailsTwice_SaysWhatTheProgramSaid()
    {
        using var directory = new TempDirectory();
        var started = new Browser { Program = Failing(directory, 2) };
        InvalidOperationException failed = await Assert.ThrowsAsync<InvalidOperationException>(started.InitializeAsync);
        Assert.Contains("start 1: no memory left", failed.Message, StringComparison.Ordinal);
        Assert.Contains("start 2: no memory left", failed.Message, StringComparison.Ordinal);
    }

    /// <summary>A browser whose first starts end at once.</summary>
    private static string Failing(TempDirectory directory, int starts)
    {
        string program = directory.Write("chromium", $$"""
            #!/bin/sh
            echo >>"$0.starts"
            n=$(wc -l <"$0.starts")
            [ "$n" -gt {{starts}} ] && exec "{{Chromium.Program}}" "$@"
            echo "start $n: no memory left" >&2
            exit 1
            """);
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        return program;
    }
}
