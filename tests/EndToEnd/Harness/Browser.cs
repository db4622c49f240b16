using McpAuth.Testing;
using Microsoft.Playwright;

namespace McpAuth.EndToEnd.Harness;

/// <summary>One headless Chromium for a class of tests; every <see cref="Visitor"/> in it is a person of their own.</summary>
public sealed class Browser : IAsyncLifetime
{
    /// <summary>For one start, on a machine that is busy with everything else.</summary>
    private static readonly TimeSpan Bound = TimeSpan.FromMinutes(2);

    /// <summary>All tests of a class stand and fall with this one program, so it gets a second chance.</summary>
    private const int Starts = 2;

    private IPlaywright? playwright;
    private IBrowser? browser;

    public string? Program { get; init; } = Chromium.Program;

    /// <exception cref="InvalidOperationException">It did not start; the message holds what it wrote each time.</exception>
    public async Task InitializeAsync()
    {
        // Without one the tests are skipped, or fail where nothing may be (NewVisitorAsync says for want of what).
        if (Program is null) return;
        var failures = new List<string>();
        while (browser is null)
        {
            try
            {
                await StartAsync(Program);
            }
            catch (Exception e) when (e is PlaywrightException or TimeoutException)
            {
                // Playwright's message has the browser's error stream in it.
                failures.Add(e.Message);
                playwright?.Dispose();
                if (failures.Count == Starts) throw new InvalidOperationException($"{Program} did not start.\n{string.Join("\n\n", failures)}", e);
            }
        }
    }

    /// <param name="javaScript">False: as the most careful visitors come.</param>
    public async Task<Visitor> NewVisitorAsync(bool javaScript = true)
    {
        if (browser is null) throw new InvalidOperationException(Chromium.Requirement.Reason);
        IBrowserContext context = await browser.NewContextAsync(new() { JavaScriptEnabled = javaScript, Locale = "en-GB", ReducedMotion = ReducedMotion.Reduce });
        context.SetDefaultTimeout((float)Visitor.Patience.TotalMilliseconds);
        return new Visitor(context, await context.NewPageAsync());
    }

    private async Task StartAsync(string program)
    {
        playwright = await Playwright.CreateAsync().WaitAsync(Bound);
        browser = await playwright.Chromium.LaunchAsync(new()
        {
            // Never a browser of Playwright's own: it would have to be downloaded.
            ExecutablePath = program,
            // The sandbox of Chromium does not start for root, as whom containers run tests.
            ChromiumSandbox = Environment.UserName != "root",
            Timeout = (float)Bound.TotalMilliseconds,
        });
    }

    public async Task DisposeAsync()
    {
        try
        {
            if (browser is not null) await browser.CloseAsync().WaitAsync(Bound);
        }
        finally
        {
            // Ends the driver, and with it whatever of the browser is left.
            playwright?.Dispose();
        }
    }
}
