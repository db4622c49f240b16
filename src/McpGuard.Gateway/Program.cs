using System.CommandLine;
using McpAuth.Protocol;
using McpGuard.Gateway.Configuration;
using McpGuard.Gateway.Serving;

var file = new Option<string>("--config") { Description = "The configuration file.", Required = true, HelpName = "FILE" };
var check = new Option<bool>("--check") { Description = "Check the configuration and exit: 0, or 2 with every fault and its place." };
var command = new RootCommand("McpGuard in front of MCP servers: decides and records every call before it reaches them.") { file, check };
GatewayConfiguration? configuration = null;
command.SetAction(parsed =>
{
    string path = parsed.GetValue(file)!;
    (GatewayConfiguration? read, IReadOnlyList<Fault> faults) = ConfigurationFile.Read(path, Environment.GetEnvironmentVariable);
    foreach (Fault fault in faults) Console.Error.WriteLine($"{fault.Path ?? path}: {fault.Message}");
    if (read is null) return 2;
    if (parsed.GetValue(check)) Console.Out.WriteLine($"{path}: {string.Join(", ", read.Upstreams.Select(u => $"{u.Name} at {u.Path}"))}");
    else configuration = read;
    return 0;
});
// Parsing ends before serving begins: signals are the host's to hear, which takes its time to end the upstreams.
int exit = command.Parse(args).Invoke();
if (configuration is null) return exit;
try
{
    await using var gateway = new GatewayHost(configuration);
    await gateway.Start();
    await gateway.Ended();
    return gateway.Failed ? 1 : 0;
}
catch (Exception e) when (e is InvalidOperationException or IOException or UnauthorizedAccessException)
{
    // An address or a directory that is in use, say: for a person to read, not a crash.
    Console.Error.WriteLine(e.Message);
    return 1;
}
