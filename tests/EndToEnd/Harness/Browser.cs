using McpAuth.Testing;
using Microsoft.Playwright;

namespace McpAuth.EndToEnd.Harness;

/// <summary>One headless Chromium for a class of tests; every <see cref="Visitor"/> in it is a person of their own.</summary>
public sealed class Browser : IAsyncLifetime
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);

    private IPlaywright? playwright;
    private IBrowser? browser;

    public async Task InitializeAsync()
    {
        // Without one the tests are skipped, or fail where nothing may be (NewVisitorAsync says for want of what).
        if (Chromium.Program is null) return;
        playwright = await Playwright.CreateAsync().WaitAsync(Bound);
        browser = await playwright.Chromium.LaunchAsync(new()
        {
            // Never a browser of Playwright's own: it would have to be downloaded.
            ExecutablePath = Chromium.Program,
            // The sandbox of Chromium does not start for root, as whom containers run tests.
            ChromiumSandbox = Environment.UserName != "root",
            Timeout = (float)Bound.TotalMilliseconds,
        });
    }

    /// <param name="javaScript">False: as the most careful visitors come.</param>
    public async Task<Visitor> NewVisitorAsync(bool javaScript = true)
    {
        if (browser is null) throw new InvalidOperationException(Chromium.Requirement.Reason);
        IBrowserContext context = await browser.NewContextAsync(new() { JavaScriptEnabled = javaScript, Locale = "en-GB", ReducedMotion = ReducedMotion.Reduce });
        context.SetDefaultTimeout((float)Visitor.Patience.TotalMilliseconds);
        return new Visitor(context, await context.NewPageAsync());
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
