using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Json;

namespace McpGuard.Gateway.Configuration;

/// <summary>Reads the configuration file. All faults are told at once, each with its place.</summary>
internal static class ConfigurationFile
{
    private const int LongestFile = 1 << 20;

    public static (GatewayConfiguration? Configuration, IReadOnlyList<Fault> Faults) Read(string file, Func<string, string?> environment)
    {
        byte[] content;
        try
        {
            content = File.ReadAllBytes(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return (null, [new Fault("unreadable", e.Message)]);
        }
        if (!StrictJson.Parse(content, new JsonLimits(LongestFile)).TryGet(out JsonElement json, out Fault? unreadable)) return (null, [unreadable]);
        if (json.ValueKind != JsonValueKind.Object) return (null, [new Fault("not_object", "The configuration is an object.", "$")]);

        List<Fault> faults = [];
        string directory = Path.GetDirectoryName(Path.GetFullPath(file))!;
        GatewayConfiguration configuration = Gateway(new ObjectReader(json, "$", faults), directory, environment);
        if (faults.Count == 0) faults.AddRange(GuardSettings.Faults(configuration));
        return faults.Count == 0 ? (configuration, []) : (null, faults);
    }

    private static GatewayConfiguration Gateway(ObjectReader file, string directory, Func<string, string?> environment)
    {
        IReadOnlyList<string> listen = file.Texts("listen", required: true) ?? [];
        foreach (string address in listen)
        {
            if (!Uri.TryCreate(address, UriKind.Absolute, out Uri? uri) || uri.Scheme is not ("http" or "https") || uri.PathAndQuery != "/")
                file.Fault("not_an_address", $"'{address}' is not an address to listen at, such as http://127.0.0.1:5090.", "listen");
        }
        X509Certificate2? certificate = file.Object("tls") is { } tls ? Certificate(tls, directory) : null;
        bool secure = listen.Any(a => a.StartsWith("https:", StringComparison.OrdinalIgnoreCase));
        if (secure != file.Member("tls").HasValue) file.Fault("tls", "tls and an https address in listen go together.", "tls");

        string issuer = file.Text("authorization_server", required: true) ?? "";
        string state = Path.GetFullPath(file.Text("state") ?? "state", directory);
        LogLevel level = Level(file);
        Uri? metrics = Metrics(file);
        List<UpstreamConfiguration> upstreams = [];
        if (file.Object("upstreams", required: true) is { } all)
        {
            foreach (string name in all.Names)
            {
                if (name.Length is 0 or > 64 || !name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '-' or '_'))
                    all.Fault("bad_name", "The name of an upstream is [a-z0-9_-]{1,64}.", name);
                else if (all.Object(name) is { } upstream)
                    upstreams.Add(UpstreamEntry.Read(upstream, name, directory, state, environment));
            }
            if (!all.Names.Any()) all.Fault("missing", "There must be at least one upstream.");
        }
        foreach (IGrouping<string, UpstreamConfiguration> same in upstreams.GroupBy(u => u.Path.TrimEnd('/'), StringComparer.OrdinalIgnoreCase).Where(g => g.Count() > 1))
            file.Fault("same_path", $"{string.Join(" and ", same.Select(u => u.Name))} would be served at one path, {same.First().Path}; give one of them another (path).", "upstreams");

        var configuration = new GatewayConfiguration(
            listen, certificate, issuer, file.Texts("proxies") ?? [], file.Text("certificate_header"), file.Flag("require_dpop_nonce"), level, metrics, upstreams);
        file.Done();
        return configuration;
    }

    private static Uri? Metrics(ObjectReader file)
    {
        if (file.Text("metrics") is not { } text) return null;
        if (Uri.TryCreate(text, UriKind.Absolute, out Uri? uri) && uri.Scheme is "http" or "https") return uri;
        file.Fault("not_an_address", "This must be the address at which a collector takes metrics by OTLP over HTTP, such as http://127.0.0.1:4318/v1/metrics.", "metrics");
        return null;
    }

    private static LogLevel Level(ObjectReader file)
    {
        if (file.Text("log_level") is not { } word) return LogLevel.Information;
        if (Enum.TryParse(word, ignoreCase: true, out LogLevel level) && Enum.IsDefined(level) && !char.IsAsciiDigit(word[0])) return level;
        file.Fault("unknown_value", $"This must be one of {string.Join(", ", Enum.GetNames<LogLevel>()).ToLowerInvariant()}.", "log_level");
        return LogLevel.Information;
    }

    private static X509Certificate2? Certificate(ObjectReader tls, string directory)
    {
        (string? certificate, string? key) = (tls.Text("certificate", required: true), tls.Text("key", required: true));
        tls.Done();
        if (certificate is null || key is null) return null;
        try
        {
            return X509Certificate2.CreateFromPemFile(Path.GetFullPath(certificate, directory), Path.GetFullPath(key, directory));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            tls.Fault("unreadable", $"The certificate cannot be had: {e.Message}");
            return null;
        }
    }
}
