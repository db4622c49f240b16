using System.Text.Json;
using McpAuth.Testing;
using Microsoft.Playwright;

namespace McpAuth.EndToEnd.Harness;

/// <summary>A person with a browser: cookies of their own, one page, and a note of everything that page complained about.</summary>
public sealed class Visitor : IAsyncDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private static readonly (int Width, int Height) Desk = (1280, 800), Phone = (360, 740);
    private static readonly string Screens = Path.Combine(Built.Root, "artifacts", "screens");
    private static readonly Lazy<string> Axe = new(() => File.ReadAllText(InteropClients.Package("axe-core/axe.min.js")));

    private readonly IBrowserContext context;
    private readonly Lock guard = new();
    private readonly HashSet<string> documents = [];
    private readonly List<(string Text, string Location)> complaints = [];

    internal Visitor(IBrowserContext context, IPage page)
    {
        (this.context, Page) = (context, page);
        page.PageError += (_, error) => Note($"error in the page: {error}", page.Url);
        page.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning") Note($"console {message.Type}: {message.Text}", message.Location);
        };
        page.Response += (_, response) =>
        {
            if (!response.Request.IsNavigationRequest || response.Frame != page.MainFrame) return;
            lock (guard)
                documents.Add(response.Url);
        };
    }

    public IPage Page { get; }

    /// <summary>
    /// What the page wrote to its console as errors and warnings, and what its scripts threw. That the browser remarks on the status of an error page
    /// is no fault of that page.
    /// </summary>
    public IReadOnlyList<string> Complaints
    {
        get
        {
            lock (guard)
                return [.. complaints.Where(c => !IsStatusOfDocument(c.Text, c.Location)).Select(c => $"{c.Text} ({c.Location})")];
        }
    }

    /// <returns>The status of the document the browser ended at, after redirects.</returns>
    public async Task<int> GoAsync(string url) => (await Page.GotoAsync(url))!.Status;

    /// <summary>Fills in the sign-in page.</summary>
    public async Task SignInAsync(string email, string password)
    {
        await Page.GetByLabel("Email").FillAsync(email);
        await Page.GetByLabel("Password").FillAsync(password);
        await PressAsync("Sign in");
    }

    /// <summary>Whether the page asks for a password.</summary>
    public async Task<bool> IsAskedToSignInAsync() => await Page.GetByRole(AriaRole.Button, new() { Name = "Sign in", Exact = true }).CountAsync() > 0;

    public Task PressAsync(string button) => Page.GetByRole(AriaRole.Button, new() { Name = button, Exact = true }).ClickAsync();

    /// <summary>
    /// The page as it stands, in a light and a dark colour scheme and on a phone: no accessibility rule is broken, nothing overflows to the
    /// side, nothing was complained about. Each leaves a picture, <c>artifacts/screens/NAME-{light,dark,phone}.png</c>.
    /// </summary>
    public async Task AssertPageIsCleanAsync(string name)
    {
        foreach (var (look, scheme, size) in new[] { ("light", ColorScheme.Light, Desk), ("dark", ColorScheme.Dark, Desk), ("phone", ColorScheme.Light, Phone) })
        {
            await Page.SetViewportSizeAsync(size.Width, size.Height);
            await Page.EmulateMediaAsync(new() { ColorScheme = scheme });
            await Page.ScreenshotAsync(new() { Path = Path.Combine(Screens, $"{name}-{look}.png"), FullPage = true });
            IReadOnlyList<string> violations = await AxeViolationsAsync();
            Assert.True(violations.Count == 0, $"{name}, {look}:\n{string.Join('\n', violations)}");
            int width = await Page.EvaluateAsync<int>("document.documentElement.scrollWidth");
            Assert.True(width <= size.Width, $"{name}, {look}: {width} px wide in a window of {size.Width}.");
        }
        Assert.True(Complaints.Count == 0, $"{name}:\n{string.Join('\n', Complaints)}");
    }

    /// <summary>Every accessibility rule of axe-core the page breaks, each with where; the scripts run beside the page, so its content security policy does not matter.</summary>
    public async Task<IReadOnlyList<string>> AxeViolationsAsync()
    {
        await Page.EvaluateAsync(Axe.Value);
        JsonElement result = await Page.EvaluateAsync<JsonElement>("async () => (await axe.run(document, { resultTypes: ['violations'] })).violations"
            + ".map(v => `${v.id} (${v.impact}): ${v.help}: ${v.nodes.map(n => n.html + ' ' + n.failureSummary).join(' | ')}`)");
        return [.. result.EnumerateArray().Select(v => v.GetString()!)];
    }

    public async ValueTask DisposeAsync() => await context.CloseAsync();

    private bool IsStatusOfDocument(string text, string location) =>
        text.Contains("Failed to load resource: the server responded with a status of", StringComparison.Ordinal)
        && documents.Any(d => location.StartsWith(d + ":", StringComparison.Ordinal));

    private void Note(string text, string location)
    {
        lock (guard)
            complaints.Add((text, location));
    }
}
