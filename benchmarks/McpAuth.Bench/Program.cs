using System.Text.Json;
using McpAuth.Bench;

// bench tokens|guard|revocation|cedar [--json] [--seconds N] [--rounds N] [--only CASE]: figures on standard output, progress on standard error.
if (args is ["floor", var address, var directory, var keys])
{
    await FloorServer.RunAsync(address, directory, JsonElement.Parse(keys));
    return 0;
}
if (args is ["echo", var setup])
{
    await EchoServer.RunAsync(JsonSerializer.Deserialize<EchoServer.Setup>(setup)!);
    return 0;
}
var json = args.Contains("--json");
var seconds = Number("--seconds", 8);
var rounds = Number("--rounds", 3);
Action<string> say = json ? Console.Error.WriteLine : Console.Out.WriteLine;
var figures = args.FirstOrDefault() switch
{
    "tokens" => await TokensBench.RunAsync(seconds, rounds, Word("--only"), say),
    "guard" => await GuardBench.RunAsync(seconds, rounds, Word("--only"), say),
    "revocation" => await RevocationBench.RunAsync(Number("--rounds", 20), Word("--only"), say),
    "cedar" => await CedarBench.RunAsync(seconds, rounds, say),
    _ => null,
};
if (figures is null)
{
    Console.Error.WriteLine("usage: ./bench tokens|guard|revocation|cedar [--json] [--seconds N] [--rounds N] [--only CASE]");
    return 2;
}
if (json)
    Console.Out.WriteLine(JsonSerializer.Serialize(new { bench = args[0], figures = figures.ToDictionary(f => f.Key, f => Math.Round(f.Value, 3)) }));
return 0;

int Number(string option, int otherwise) => int.TryParse(Word(option), out var value) && value > 0 ? value : otherwise;

string? Word(string option) => Array.IndexOf(args, option) is var at and >= 0 && at + 1 < args.Length ? args[at + 1] : null;
