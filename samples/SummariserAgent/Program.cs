using System.Runtime.InteropServices;
using McpAuth.Client;
using McpAuth.Protocol;
using ModelContextProtocol;
using Samples;
using SummariserAgent;

// SummariserAgent --make-key FILE                                         makes the agent's key and prints its public half as a JWK
// SummariserAgent --issuer URL --client ID --key FILE --resource URL     does the work: as itself,
//   ... [--until-ended] --browser COMMAND ARGUMENT...                    or for the person whose browser the command is
var given = new Dictionary<string, string>(StringComparer.Ordinal);
string[]? browser = null;
bool untilEnded = false;
for (int i = 0; i < args.Length && browser is null; i++)
{
    // The rest is the browser's.
    if (args[i] == "--browser") browser = args[(i + 1)..];
    else if (args[i] == "--until-ended") untilEnded = true;
    else if (!args[i].StartsWith("--", StringComparison.Ordinal) || i + 1 == args.Length || !given.TryAdd(args[i][2..], args[++i])) return Usage();
}

if (args.Length == 2 && given.TryGetValue("make-key", out string? newKey))
{
    Console.WriteLine(KeyFile.Create(newKey));
    return 0;
}
if (given.Count != 4 || !given.TryGetValue("issuer", out string? issuer) || !given.TryGetValue("client", out string? client)
    || !given.TryGetValue("key", out string? key) || !given.TryGetValue("resource", out string? resource) || (untilEnded && browser is null))
    return Usage();

using var stop = new CancellationTokenSource(TimeSpan.FromMinutes(2));
// However it is told to stop, it ends its task first.
using var interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
try
{
    using var clientKey = KeyFile.Open(key);
    using LoopbackBrowser? window = browser is null ? null : new LoopbackBrowser(browser);
    var summariser = new Summariser(issuer, client, clientKey, resource, window, new Report());
    return await (untilEnded ? summariser.WorkUntilEndedAsync(stop.Token) : summariser.RunAsync(stop.Token));
}
catch (OAuthErrorException e) when (e is { Error: Names.Errors.AccessDenied, Status: 0 })
{
    Console.WriteLine($"  The person did not allow it: {e.Message}");
    return 3;
}
catch (Exception e) when (e is OAuthErrorException or HttpRequestException or McpException or IOException or OperationCanceledException)
{
    Console.Error.WriteLine($"The agent stopped: {e.Message}");
    return 1;
}

void Stop(PosixSignalContext signal)
{
    signal.Cancel = true;
    stop.Cancel();
}

static int Usage()
{
    Console.Error.WriteLine("""
        usage: SummariserAgent --make-key FILE
               SummariserAgent --issuer URL --client ID --key FILE --resource URL [[--until-ended] --browser COMMAND ARGUMENT...]
        exit status 3: the person did not allow it
        """);
    return 2;
}
