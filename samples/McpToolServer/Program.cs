using McpGuard.Sdk;
using McpToolServer;

WebApplicationBuilder builder = WebApplication.CreateBuilder(args);
ConfigurationManager settings = builder.Configuration;

// The tools, as with any MCP server.
builder.Services.AddSingleton(new Folder(settings["Files:Root"] ?? throw new InvalidOperationException("Files:Root is not set.")));
builder.Services.AddMcpServer().WithTools<FileTools>();

// The guard: every call is decided and recorded before it reaches them.
builder.Services.AddMcpGuard(options =>
{
    options.AuthorizationServer = settings["Guard:AuthorizationServer"] ?? "";
    options.Resource = settings["Guard:Resource"] ?? "";
    options.EnrolmentSecret = settings["Guard:EnrolmentSecret"]; // once; then the guard has its own key
    options.StateDirectory = settings["Guard:StateDirectory"];
});

WebApplication app = builder.Build();
app.MapGuardedMcp("/mcp");
app.MapMcpGuardHealth();
app.Run();
