using ConformanceServer;
using McpGuard.Sdk;

// What the conformance runner of MCP expects of a server, hosted as our users host theirs: stateless, behind the guard.
WebApplicationBuilder builder = WebApplication.CreateBuilder(args);
ConfigurationManager settings = builder.Configuration;

builder.Services.AddSingleton<ListChanges>();
builder.Services.AddSingleton<SealedState>();
builder.Services.AddMcpServer(options => options.ServerInfo = new() { Name = "conformance-server", Version = "1.0.0" })
    .WithTools<ContentTools>().WithTools<StreamTools>().WithTools<InputTools>().WithTools<SessionTools>().WithTools<ListTools>().WithTools([SchemaTool.Create()])
    .WithPrompts<Prompts>().WithResources<Resources>().WithReadResourceHandler(Resources.MissingAsync)
    .WithCompleteHandler(Completion.HandleAsync)
    .WithSubscriptionsListenHandler(Subscriptions.HandleAsync);

builder.Services.AddMcpGuard(options =>
{
    options.AuthorizationServer = settings["Guard:AuthorizationServer"] ?? "";
    options.Resource = settings["Guard:Resource"] ?? "";
    options.EnrolmentSecret = settings["Guard:EnrolmentSecret"];
    options.StateDirectory = settings["Guard:StateDirectory"];
});

WebApplication app = builder.Build();
app.MapGuardedMcp("/mcp");
app.MapMcpGuardHealth();
app.Run();
