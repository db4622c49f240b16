using McpAuthServer;
using McpAuthServer.Accounts;
using McpAuthServer.Agents;
using McpAuthServer.Authorize;
using McpAuthServer.Consents;
using McpAuthServer.Discovery;
using McpAuthServer.Grants;
using McpAuthServer.GuardFeed;
using McpAuthServer.Health;
using McpAuthServer.Http;
using McpAuthServer.Introspection;
using McpAuthServer.Pages;
using McpAuthServer.PushedAuthorization;
using McpAuthServer.Revocation;
using McpAuthServer.SignIn;
using McpAuthServer.Tasks;

var (line, exit) = CommandLine.Parse(args);
if (line is null)
    return exit;
try
{
    var builder = WebApplication.CreateBuilder(new WebApplicationOptions { Args = line.Configuration, ContentRootPath = Startup.ContentRoot(line) });
    var options = Startup.Options(builder);
    var issuer = new Issuer(options.Issuer, options.Mtls.Endpoint);
    builder.Logging.WithoutQueries();
    // An authorization request travels in the query, and once more sealed.
    builder.WebHost.ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestLineSize = 32 * 1024);
    if (options.Mtls.Enabled)
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ConfigureHttpsDefaults(RequestCertificate.AllowAny));
    builder.Services.AddMcpAuthServer(options, issuer);

    var app = builder.Build();
    var keys = await Startup.PrepareAsync(app.Services, line, app.Lifetime.ApplicationStopping);
    if (line.ApplyOnly)
    {
        await app.DisposeAsync();
        return 0;
    }

    if (line.SetupLink is { } user)
        return await Startup.PrintSetupLinkAsync(app, user);
    await Startup.OfferSetupAsync(app.Services);

    app.UseExceptionHandler(new ExceptionHandlerOptions { ExceptionHandler = Failures.HandleAsync, SuppressDiagnosticsCallback = Startup.IsExpected });
    app.UseNoStore();
    app.UseRouting();
    app.UseCors();
    app.UseCookiePolicy();
    app.UseAuthentication();

    app.MapMetadataEndpoint(issuer, keys, options.Mtls);
    app.MapHealthEndpoint();
    var routes = app.MapGroup(issuer.BasePath);
    routes.MapTokenEndpoint().RequireCors(Cors.Public);
    routes.MapPushedAuthorization().RequireCors(Cors.Public);
    routes.MapRevocationEndpoint().RequireCors(Cors.Public);
    routes.MapIntrospectionEndpoint();
    routes.MapInstancesEndpoint();
    routes.MapTasksEndpoint();
    routes.MapEnrollEndpoint();
    routes.MapStreamsEndpoint();
    routes.MapManifestEndpoint();
    routes.MapAuditEndpoint();
    routes.MapBudgetsEndpoint();
    routes.MapAssets();
    var pages = routes.MapPages();
    pages.MapAuthorizeEndpoint();
    pages.MapSignIn();
    pages.MapSignOut();
    pages.MapSetup();
    pages.MapPassword();
    pages.MapConsent();
    pages.MapAccount();
    // Some clients build the address from the host alone, whatever the metadata says.
    if (issuer.BasePath.Length > 0)
    {
        app.MapPages().MapAuthorizeEndpoint();
        app.MapTokenEndpoint().RequireCors(Cors.Public);
    }

    await app.RunAsync();
    return 0;
}
catch (Exception e) when (Startup.Explains(e))
{
    await Console.Error.WriteLineAsync($"McpAuth refuses to start: {e.Message}");
    return 1;
}
