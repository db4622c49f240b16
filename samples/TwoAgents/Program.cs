using System.Runtime.InteropServices;
using McpAuth.Client;
using ModelContextProtocol;
using Samples;
using TwoAgents;

// Two agents. The planner asks a person, who is elsewhere, for a task, does what is its own, and hands the reading to the reader, which is allowed less.
//
// TwoAgents --make-key FILE                                                  makes an agent's key and prints its public half as a JWK
// TwoAgents --issuer URL --client ID --key FILE --resource URL
//           --person NAME --reader COMMAND ARGUMENT...                       the planner; the command starts the reader
// TwoAgents --issuer URL --client ID --key FILE --resource URL               the reader: takes one hand-off from its input
var given = new Dictionary<string, string>(StringComparer.Ordinal);
string[]? reader = null;
for (int i = 0; i < args.Length && reader is null; i++)
{
    // The rest is the reader's.
    if (args[i] == "--reader") reader = args[(i + 1)..];
    else if (!args[i].StartsWith("--", StringComparison.Ordinal) || i + 1 == args.Length || !given.TryAdd(args[i][2..], args[++i])) return Usage();
}

if (args.Length == 2 && given.TryGetValue("make-key", out string? newKey))
{
    Console.WriteLine(KeyFile.Create(newKey));
    return 0;
}
string? person = given.GetValueOrDefault("person");
if (given.Count != (person is null ? 4 : 5) || (person is null) != (reader is null) || reader is []
    || !given.TryGetValue("issuer", out string? issuer) || !given.TryGetValue("client", out string? client)
    || !given.TryGetValue("key", out string? key) || !given.TryGetValue("resource", out string? resource))
    return Usage();

using var stop = new CancellationTokenSource(TimeSpan.FromMinutes(10));
// However it is told to stop, it ends its task first.
using var interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
try
{
    using var clientKey = KeyFile.Open(key);
    var report = new Report();
    await using AgentSession session = await AgentSession.AttestAsync(issuer, ClientAuthentication.PrivateKeyJwt(client, clientKey), cancellationToken: stop.Token);
    report.Step($"{session.Agent} attests: instance {session.Instance}");
    await (person is null ? new Reader(session, resource, report).Work(stop.Token) : new Planner(session, resource, report).Work(person, reader!, stop.Token));
    foreach (string failure in report.Failures) await Console.Error.WriteLineAsync($"not as it should be: {failure}");
    return report.Failures.Count == 0 ? 0 : 1;
}
catch (Exception e) when (e is OAuthErrorException or HttpRequestException or McpException or FormatException or IOException or OperationCanceledException)
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
        usage: TwoAgents --make-key FILE
               TwoAgents --issuer URL --client ID --key FILE --resource URL [--person NAME --reader COMMAND ARGUMENT...]
        """);
    return 2;
}
