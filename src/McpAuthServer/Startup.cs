using System.Text.Json.Nodes;
using McpAuth.Protocol.Audit;
using McpAuthServer.Audit;
using McpAuthServer.Keys;
using McpAuthServer.People;
using McpAuthServer.Registry;
using McpAuthServer.Registry.Apply;
using McpAuthServer.Storage;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.Extensions.Options;

namespace McpAuthServer;

/// <summary>Reads the configuration and prepares what must be there before the first request.</summary>
internal static partial class Startup
{
    /// <summary>The folder of the program, wherever it is started from, unless the host says otherwise.</summary>
    public static string? ContentRoot(CommandLine line) =>
        line.Configuration.Any(a => a.StartsWith("--contentRoot", StringComparison.OrdinalIgnoreCase)) ? null : AppContext.BaseDirectory;

    /// <exception cref="StartupException">The configuration is wrong; every fault is named.</exception>
    public static ServerOptions Options(WebApplicationBuilder builder)
    {
        var options = new ServerOptions();
        try
        {
            builder.Configuration.GetSection(ServerOptions.Section).Bind(options, binder => binder.ErrorOnUnknownConfiguration = true);
        }
        catch (InvalidOperationException e)
        {
            throw new StartupException($"the configuration section {ServerOptions.Section} does not read: {e.Message}");
        }
        if (options.Faults().ToList() is { Count: > 0 } faults)
            throw new StartupException(string.Join("; ", faults) + ".");
        // With no address configured, listen where the issuer says.
        if (builder.WebHost.GetSetting(WebHostDefaults.ServerUrlsKey) is null && builder.Configuration["HTTP_PORTS"] is null && ServerOptions.IsLoopback(new Uri(options.Issuer)))
            builder.WebHost.UseUrls(new Uri(options.Issuer).GetLeftPart(UriPartial.Authority));
        return options;
    }

    /// <summary>Schema, keys, registry files: in this order, before anything is served.</summary>
    /// <exception cref="StartupException">A file was refused, or a key is not as it should be.</exception>
    public static async Task PrepareAsync(IServiceProvider services, CommandLine line, CancellationToken cancel)
    {
        await services.GetRequiredService<Migrator>().Apply(cancel);
        var keys = services.GetRequiredService<SigningKeys>();
        // Before they are loaded: a damaged key, for which every start is refused, can still be revoked.
        var replaced = line.RevokeKey is { } kid && await RevokeKeyAsync(keys, kid);
        await keys.LoadOrCreateAsync(cancel);
        await services.GetRequiredService<NonceKey>().LoadOrCreateAsync(cancel);
        await services.GetRequiredService<PolicyKey>().LoadOrCreateAsync(cancel);
        if (line.RevokeKey is not null || line.RotateKeys)
            await PrintKeysAsync(line.RotateKeys && !replaced ? await keys.RotateAsync(cancel) : services.GetRequiredService<SigningKeyRing>().Current);
        foreach (var file in line.Apply)
            await ApplyAsync(services.GetRequiredService<RegistryApply>(), file, cancel);
    }

    /// <returns>Whether it was the one that signs, and another signs now.</returns>
    /// <exception cref="StartupException">There is no such key.</exception>
    private static async Task<bool> RevokeKeyAsync(SigningKeys keys, string kid)
    {
        var done = await keys.RevokeAsync(kid);
        await Console.Out.WriteLineAsync(done switch
        {
            KeyRevocation.Unknown => throw new StartupException($"there is no signing key '{kid}'; nothing was changed."),
            KeyRevocation.Already => $"Signing key {kid} was revoked before.",
            _ => $"Signing key {kid} is revoked.",
        });
        return done == KeyRevocation.Replaced;
    }

    private static async Task PrintKeysAsync(ServerKeys keys)
    {
        await Console.Out.WriteLineAsync($"Signing key {keys.Active.KeyId} signs since {keys.ActiveFrom:u}.");
        if (keys.Next is { } next)
            await Console.Out.WriteLineAsync($"Signing key {next.Key.KeyId} is published and signs from {next.From:u}.");
    }

    private static async Task ApplyAsync(RegistryApply apply, string file, CancellationToken cancel)
    {
        byte[] bytes;
        try
        {
            bytes = await File.ReadAllBytesAsync(file, cancel);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StartupException($"the registry file '{file}' cannot be read: {e.Message}");
        }
        var outcome = await apply.Apply(bytes);
        if (!outcome.Applied)
            throw new StartupException($"'{file}' was refused and nothing of it applied:{string.Concat(outcome.Faults.Select(f => $"{Environment.NewLine}  {f}"))}");
        await Console.Out.WriteLineAsync($"Applied {file}: {outcome.Changed} changed.");
    }

    /// <summary>While there is no administrator, every start makes a link that makes one, and shows it here: to whoever runs the server.</summary>
    public static async Task OfferSetupAsync(IServiceProvider services)
    {
        await using var scope = services.CreateAsyncScope();
        if (await scope.ServiceProvider.GetRequiredService<SetupLinks>().MakeAsync(user: null) is { } link)
            await Console.Out.WriteLineAsync($"There is no administrator yet. Within a day, become it at {SetupAddress(services, link)}");
    }

    /// <summary>An opening for tests must not be left in a server that people rely on: each start says so, and on record.</summary>
    public static async Task WarnOfLoopbackAsync(IServiceProvider services)
    {
        var opened = services.GetRequiredService<ServerOptions>().ClientDocuments.Loopback;
        if (opened.Count == 0)
            return;
        Log.LoopbackOpened(services.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(Startup)), string.Join(", ", opened));
        var audit = services.GetRequiredService<AuditTrail>();
        await services.GetRequiredService<ICommitLog>().Commit(new RecordUnit(
            audit.Success(AuditTypes.LoopbackOpened) with { Data = new() { ["places"] = new JsonArray([.. opened.Select(place => (JsonNode?)place)]) } }, []));
    }

    /// <summary>Here nobody looks at what a tool is before it runs: each start says so, and on record.</summary>
    public static async Task WarnOfDevelopmentAsync(IServiceProvider services)
    {
        var logger = services.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(Startup));
        var registry = await services.GetRequiredService<RegistryCache>().Current(CancellationToken.None);
        var (audit, log) = (services.GetRequiredService<AuditTrail>(), services.GetRequiredService<ICommitLog>());
        foreach (var server in registry.ToolServers.Values.Where(s => s.Development))
        {
            Log.Development(logger, server.Id, server.Resource);
            await log.Commit(new RecordUnit(audit.Success(AuditTypes.DevelopmentOpened) with { Resource = server.Resource, Data = new() { ["tool_server"] = server.Id } }, []));
        }
    }

    /// <returns>The exit code.</returns>
    public static async Task<int> PrintSetupLinkAsync(WebApplication app, string user)
    {
        await using var disposed = app;
        await using var scope = app.Services.CreateAsyncScope();
        if (await scope.ServiceProvider.GetRequiredService<SetupLinks>().MakeAsync(user) is not { } link)
        {
            await Console.Error.WriteLineAsync($"There is no user '{user}' with an e-mail address.");
            return 1;
        }
        await Console.Out.WriteLineAsync(SetupAddress(app.Services, link));
        return 0;
    }

    // Never through the logger: whoever has the link has the account.
    private static string SetupAddress(IServiceProvider services, string link) =>
        $"{services.GetRequiredService<Issuer>().Uri(McpAuth.Protocol.Names.Paths.Setup)}?t={link}";

    /// <summary>Failures whose message is the whole explanation.</summary>
    public static bool Explains(Exception e) =>
        e is StartupException or SigningKeyException or OptionsValidationException or MigrationRefusedException or System.Data.Common.DbException
        || (e is IOException && e.InnerException is Microsoft.AspNetCore.Connections.AddressInUseException);

    /// <summary>Answered with 4xx or 503; not worth an error in the log.</summary>
    public static bool IsExpected(ExceptionHandlerSuppressDiagnosticsContext context) => context.Exception is CommitLogBusyException or UnstorableTextException or BadHttpRequestException;

    /// <summary>Every answer that does not say otherwise is not to be stored (RFC 6749 §5.1, RFC 7662 §2.2).</summary>
    public static void UseNoStore(this IApplicationBuilder app) => app.Use((context, next) =>
    {
        context.Response.Headers.CacheControl = "no-store";
        return next(context);
    });

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "Client documents are taken from {Places} on this machine. That is for tests: remove McpAuth:ClientDocuments:Loopback before anybody relies on this server.")]
        public static partial void LoopbackOpened(ILogger logger, string places);

        [LoggerMessage(2, LogLevel.Warning, "Developer mode: whatever guards of {ToolServer} at {Resource} report is approved, and nobody looks at it. Take \"development\" out of its registration before anybody relies on it.")]
        public static partial void Development(ILogger logger, string toolServer, string resource);
    }
}
