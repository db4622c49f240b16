using Person;

// Plays a person at a browser, over HTTP, for demonstrations on one machine: what a person reads is printed, what a person does is done.
//
// Person --email ADDRESS --password-file FILE [--deny] --open URL       signs in when asked, answers, and goes where the answer leads
// Person --email ADDRESS --password-file FILE [--deny] --waiting --open URL    on the account page at URL, answers what an agent asks from elsewhere
// Person --email ADDRESS --password-file FILE --end NAME --open URL     on the account page at URL, ends what that agent, program or task may do
var given = new Dictionary<string, string>(StringComparer.Ordinal);
bool deny = false, waiting = false;
for (int i = 0; i < args.Length; i++)
{
    if (args[i] == "--deny") deny = true;
    else if (args[i] == "--waiting") waiting = true;
    else if (!args[i].StartsWith("--", StringComparison.Ordinal) || i + 1 == args.Length || !given.TryAdd(args[i][2..], args[++i])) return Usage();
}
string? end = given.GetValueOrDefault("end");
if (given.Keys.Except(["email", "password-file", "end", "open"]).Any() || ((deny || waiting) && end is not null)
    || !given.TryGetValue("email", out string? email) || !given.TryGetValue("password-file", out string? passwordFile)
    || !given.TryGetValue("open", out string? open) || !Uri.TryCreate(open, UriKind.Absolute, out Uri? address))
    return Usage();

using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(1));
using var browser = new Browser();
try
{
    var visit = new Visit(browser, email, (await File.ReadAllTextAsync(passwordFile, limit.Token)).Trim(), Console.Out);
    await (end is not null ? visit.End(address, end, limit.Token)
        : waiting ? visit.AnswerWaiting(address, deny, limit.Token) : visit.Answer(address, deny, limit.Token));
    return 0;
}
catch (Exception e) when (e is LostException or HttpRequestException or IOException or OperationCanceledException)
{
    Console.Error.WriteLine($"The person got lost: {e.Message}");
    return 1;
}

static int Usage()
{
    Console.Error.WriteLine("""
        usage: Person --email ADDRESS --password-file FILE [--deny] [--waiting] --open URL
               Person --email ADDRESS --password-file FILE --end NAME --open URL
        """);
    return 2;
}
