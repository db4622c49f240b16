using ModelContextProtocol;
using Samples;
using StockClient;

// An MCP client as anybody writes it with the official C# SDK. It knows the tool server's address and its own client id, and nothing of what guards them.
//
// StockClient --resource URL --client ID --read PATH --delete PATH [--browser COMMAND ARGUMENT...]
var given = new Dictionary<string, string>(StringComparer.Ordinal);
string[] browser = [];
for (int i = 0; i < args.Length; i++)
{
    // The rest is the browser's.
    if (args[i] == "--browser")
    {
        browser = args[(i + 1)..];
        break;
    }
    if (!args[i].StartsWith("--", StringComparison.Ordinal) || i + 1 == args.Length || !given.TryAdd(args[i][2..], args[++i])) return Usage();
}
if (given.Count != 4 || !given.TryGetValue("resource", out string? resource) || !given.TryGetValue("client", out string? client)
    || !given.TryGetValue("read", out string? read) || !given.TryGetValue("delete", out string? delete))
    return Usage();

// A person takes their time.
using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(10));
try
{
    using var window = new LoopbackBrowser(browser);
    return await new Errand(new Uri(resource), client, window).RunAsync(read, delete, limit.Token);
}
catch (Exception e) when (e is McpException or HttpRequestException or IOException or OperationCanceledException)
{
    Console.Error.WriteLine($"The client stopped: {e.Message}");
    return 1;
}

static int Usage()
{
    Console.Error.WriteLine("usage: StockClient --resource URL --client ID --read PATH --delete PATH [--browser COMMAND ARGUMENT...]");
    return 2;
}
