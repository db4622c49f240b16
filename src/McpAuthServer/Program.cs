using McpAuthServer;
using McpAuthServer.Abuse;
using McpAuthServer.Accounts;
using McpAuthServer.Admin;
using McpAuthServer.Agents;
using McpAuthServer.Approvals;
using McpAuthServer.Authorize;
using McpAuthServer.AuthZen;
using McpAuthServer.Ciba;
using McpAuthServer.Consents;
using McpAuthServer.Device;
using McpAuthServer.Discovery;
using McpAuthServer.Grants;
using McpAuthServer.GuardFeed;
using McpAuthServer.Health;
using McpAuthServer.Http;
using McpAuthServer.Introspection;
using McpAuthServer.Logout;
using McpAuthServer.Pages;
using McpAuthServer.PushedAuthorization;
using McpAuthServer.Registration;
using McpAuthServer.Revocation;
using McpAuthServer.SignIn;
using McpAuthServer.Tasks;
using McpAuthServer.UserInfo;

var (line, exit) = CommandLine.Parse(args);
if (line is null)
    return exit;
try
{
    var builder = WebApplication.CreateBuilder(new WebApplicationOptions { Args = line.Configuration, ContentRootPath = Startup.ContentRoot(line) });
    var options = Startup.Options(builder);
    var issuer = new Issuer(options.Issuer, options.Mtls.Endpoint);
    builder.Logging.WithoutQueries();
    builder.WebHost.ConfigureKestrel(options.Connections.Configure).UseSockets(ConnectionLimits.Configure);
    if (options.Mtls.Enabled)
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ConfigureHttpsDefaults(RequestCertificate.AllowAny));
    builder.Services.AddMcpAuthServer(options, issuer);

    var app = builder.Build();
    await Startup.PrepareAsync(app.Services, line, app.Lifetime.ApplicationStopping);
    if (line.ApplyOnly || line.RotateKeys || line.RevokeKey is not null)
    {
        await app.DisposeAsync();
        return 0;
    }

    if (line.SetupLink is { } user)
        return await Startup.PrintSetupLinkAsync(app, user);
    await Startup.OfferSetupAsync(app.Services);
    await Startup.WarnOfLoopbackAsync(app.Services);
    await Startup.WarnOfDevelopmentAsync(app.Services);

    app.UseExceptionHandler(new ExceptionHandlerOptions { ExceptionHandler = Failures.HandleAsync, SuppressDiagnosticsCallback = Startup.IsExpected });
    app.UseNoStore();
    app.UseRouting();
    app.UseRequestIds();
    app.UseCors();
    app.UseRateLimits();
    app.UsePageCookies();

    app.MapMetadataEndpoint(issuer, options);
    app.MapAuthZenMetadata(issuer);
    app.MapHealthEndpoint();
    var routes = app.MapGroup(issuer.BasePath);
    routes.MapTokenEndpoint().RequireCors(Cors.Public).Limited(Limit.Token);
    routes.MapPushedAuthorization().RequireCors(Cors.Public).Limited(Limit.PushedAuthorization);
    if (options.DynamicRegistration.Enabled)
    {
        routes.MapRegistration().RequireCors(Cors.Public).Limited(Limit.Registration);
        routes.MapRegistrationManagement().RequireCors(Cors.Public).Limited(Limit.Registration);
    }
    routes.MapDeviceAuthorization().Limited(Limit.DeviceAuthorization);
    routes.MapBackchannelAuthentication().RequireCors(Cors.Public).Limited(Limit.BackchannelAuthentication);
    routes.MapRevocationEndpoint().RequireCors(Cors.Public).Limited(Limit.Revocation);
    routes.MapIntrospectionEndpoint().Limited(Limit.Introspection);
    routes.MapUserInfoEndpoint().RequireCors(Cors.Public).Limited(Limit.UserInfo);
    var apis = routes.MapGroup("").Limited(Limit.Api);
    apis.MapInstancesEndpoint();
    apis.MapTasksEndpoint();
    apis.MapEnrollEndpoint();
    apis.MapStreamsEndpoint();
    apis.MapManifestEndpoint();
    apis.MapPolicyEndpoint();
    apis.MapAuditEndpoint();
    apis.MapBudgetsEndpoint();
    apis.MapApprovalsEndpoint();
    apis.MapAdministration();
    apis.MapAuthZen();
    routes.MapAssets();
    var pages = routes.MapPages();
    pages.MapAuthorizeEndpoint();
    pages.MapSignIn();
    pages.MapSignOut();
    pages.MapSetup();
    pages.MapPassword();
    pages.MapLogout();
    pages.MapConsent();
    pages.MapDevice();
    pages.MapApprovals();
    pages.MapAccount();
    // Some clients build the address from the host alone, whatever the metadata says.
    if (issuer.BasePath.Length > 0)
    {
        app.MapPages().MapAuthorizeEndpoint();
        app.MapTokenEndpoint().RequireCors(Cors.Public).Limited(Limit.Token);
        if (options.DynamicRegistration.Enabled)
            app.MapRegistration().RequireCors(Cors.Public).Limited(Limit.Registration);
    }

    await app.RunAsync();
    return 0;
}
catch (Exception e) when (Startup.Explains(e))
{
    await Console.Error.WriteLineAsync($"McpAuth refuses to start: {e.Message}");
    return 1;
}
