namespace McpGuard.Gateway.Configuration;

/// <summary>Reads one entry of <c>upstreams</c>.</summary>
internal static class UpstreamEntry
{
    /// <summary>All that a process gets of the gateway's own environment: what programs need to find others, their home and their language.</summary>
    private static readonly string[] Inherited = ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "SystemRoot", "PATHEXT", "TEMP", "APPDATA", "LOCALAPPDATA", "USERPROFILE"];

    public static UpstreamConfiguration Read(ObjectReader entry, string name, string directory, string state, Func<string, string?> environment)
    {
        string resource = entry.Text("resource", required: true) ?? "";
        string path = entry.Text("path") ?? (Uri.TryCreate(resource, UriKind.Absolute, out Uri? uri) ? uri.AbsolutePath : "/");
        if (!path.StartsWith('/') || path.AsSpan().ContainsAny("{}?#*")) entry.Fault("bad_path", "A path starts with / and has none of {}?#*.", "path");
        string? secret = entry.Object("enrolment_secret") is { } source ? SecretSource.Read(source, directory, environment, mayBeEmpty: true) : null;
        StdioConfiguration? stdio = entry.Object("stdio") is { } process ? Stdio(process, directory, environment) : null;
        HttpConfiguration? http = entry.Object("http") is { } remote ? Http(remote, directory, environment) : null;
        if (entry.Member("stdio").HasValue == entry.Member("http").HasValue) entry.Fault("transport", "This names one transport: stdio or http.");
        UpstreamLimits limits = entry.Object("limits") is { } numbers ? Limits(numbers) : new UpstreamLimits();
        var upstream = new UpstreamConfiguration(
            name, resource, path, secret, Path.Combine(state, name), stdio, http, limits, entry.Texts("scopes"), entry.Texts("allowed_hosts") ?? [], entry.Texts("allowed_origins") ?? []);
        entry.Done();
        return upstream;
    }

    private static StdioConfiguration Stdio(ObjectReader process, string directory, Func<string, string?> environment)
    {
        string command = process.Text("command", required: true) ?? "";
        // A command with a slash is a path, as paths are elsewhere in the file; another one is looked for on the PATH.
        if (command.Contains('/')) command = Path.GetFullPath(command, directory);
        string working = Path.GetFullPath(process.Text("working_directory") ?? ".", directory);
        if (!Directory.Exists(working)) process.Fault("not_found", "There is no such directory.", "working_directory");

        Dictionary<string, string> variables = new(StringComparer.Ordinal);
        List<string> secrets = [];
        foreach (string variable in Inherited.Concat(process.Texts("pass_env") ?? []))
        {
            if (environment(variable) is { } value) variables[variable] = value;
        }
        if (process.Object("env") is { } given)
        {
            foreach (string variable in given.Names)
            {
                if (variable.Length == 0 || variable.Contains('=') || variable.Any(char.IsControl)) given.Fault("bad_name", "This is not the name of an environment variable.", variable);
                else if (given.Member(variable) is { ValueKind: System.Text.Json.JsonValueKind.String } text) variables[variable] = text.GetString()!;
                else if (given.Object(variable) is { } source && SecretSource.Read(source, directory, environment) is { } secret)
                {
                    variables[variable] = secret;
                    secrets.Add(secret);
                }
            }
        }
        var stdio = new StdioConfiguration(command, process.Texts("args") ?? [], working, variables, secrets);
        process.Done();
        return stdio;
    }

    private static HttpConfiguration? Http(ObjectReader remote, string directory, Func<string, string?> environment)
    {
        Dictionary<string, string> headers = new(StringComparer.OrdinalIgnoreCase);
        if (remote.Object("headers") is { } given)
        {
            foreach (string header in given.Names)
            {
                if (header.Length == 0 || !header.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_')) given.Fault("bad_name", "This is not the name of a header.", header);
                // What goes with every request is a credential: it does not stand in this file.
                else if (given.Object(header) is { } source && SecretSource.Read(source, directory, environment) is { } value) headers[header] = value;
            }
        }
        string? url = remote.Text("url", required: true);
        remote.Done();
        if (url is null) return null;
        if (Uri.TryCreate(url, UriKind.Absolute, out Uri? uri) && uri.Scheme is "http" or "https" && uri.UserInfo.Length == 0) return new HttpConfiguration(uri, headers);
        remote.Fault("not_an_address", "This must be an absolute http or https URL without user information.", "url");
        return null;
    }

    private static UpstreamLimits Limits(ObjectReader numbers)
    {
        var otherwise = new UpstreamLimits();
        var limits = new UpstreamLimits
        {
            Call = Seconds("call_seconds", 1, 3600, otherwise.Call), ConcurrentCalls = numbers.Number("concurrent_calls", 1, 10_000, otherwise.ConcurrentCalls),
            ResultBytes = numbers.Number("result_bytes", 64 << 10, 64 << 20, otherwise.ResultBytes), Restart = Seconds("restart_seconds", 1, 600, otherwise.Restart),
            Relist = Seconds("relist_seconds", 1, 3600, otherwise.Relist),
        };
        numbers.Done();
        return limits;

        TimeSpan Seconds(string name, int least, int most, TimeSpan unset) => TimeSpan.FromSeconds(numbers.Number(name, least, most, (int)unset.TotalSeconds));
    }
}
