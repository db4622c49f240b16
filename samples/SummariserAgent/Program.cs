using McpAuth.Client;
using ModelContextProtocol;
using SummariserAgent;

// SummariserAgent --make-key FILE                                         makes the agent's key and prints its public half as a JWK
// SummariserAgent --issuer URL --client ID --key FILE --resource URL     does the work
var given = new Dictionary<string, string>(StringComparer.Ordinal);
for (int i = 0; i < args.Length; i++)
{
    if (!args[i].StartsWith("--", StringComparison.Ordinal) || i + 1 == args.Length) return Usage();
    given[args[i][2..]] = args[++i];
}

if (given.Count == 1 && given.TryGetValue("make-key", out string? newKey))
{
    Console.WriteLine(KeyFile.Create(newKey));
    return 0;
}
if (given.Count != 4 || !given.TryGetValue("issuer", out string? issuer) || !given.TryGetValue("client", out string? client)
    || !given.TryGetValue("key", out string? key) || !given.TryGetValue("resource", out string? resource))
    return Usage();

using var stop = new CancellationTokenSource(TimeSpan.FromMinutes(2));
Console.CancelKeyPress += (_, e) => (e.Cancel, _) = (true, stop.CancelAsync());
try
{
    using var clientKey = KeyFile.Open(key);
    return await new Summariser(issuer, client, clientKey, resource, new Report()).RunAsync(stop.Token);
}
catch (Exception e) when (e is OAuthErrorException or HttpRequestException or McpException or IOException or OperationCanceledException)
{
    Console.Error.WriteLine($"The agent stopped: {e.Message}");
    return 1;
}

static int Usage()
{
    Console.Error.WriteLine("""
        usage: SummariserAgent --make-key FILE
               SummariserAgent --issuer URL --client ID --key FILE --resource URL
        """);
    return 2;
}
