using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace McpGuard.Sdk.Tests;

/// <summary>A decision point over real HTTP that answers what the test says, right or wrong.</summary>
internal sealed class FakeDecisionPoint : IAsyncDisposable
{
    private readonly WebApplication app;

    private FakeDecisionPoint(WebApplication app) => this.app = app;

    public Uri Endpoint { get; private set; } = null!;

    /// <summary>Every question, as it came.</summary>
    public ConcurrentQueue<(string Path, IHeaderDictionary Headers, JsonObject Body)> Asked { get; } = new();

    /// <summary>Answers; the text of the question is at hand.</summary>
    public Func<HttpContext, JsonObject, Task> Answer { get; set; } = (context, _) => Say(context, "{\"decision\":true}");

    public static async Task<FakeDecisionPoint> StartAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        WebApplication app = builder.Build();
        var point = new FakeDecisionPoint(app);
        app.Run(async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            JsonObject body = JsonNode.Parse(await reader.ReadToEndAsync())!.AsObject();
            point.Asked.Enqueue((context.Request.Path, new HeaderDictionary(context.Request.Headers.ToDictionary()), body));
            await point.Answer(context, body);
        });
        await app.StartAsync();
        point.Endpoint = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
        return point;
    }

    public static Task Say(HttpContext context, string body, int status = 200, string? type = "application/json")
    {
        (context.Response.StatusCode, context.Response.ContentType) = (status, type);
        return context.Response.WriteAsync(body);
    }

    public static Task Decide(HttpContext context, bool decision) => Say(context, decision ? """{"decision":true,"context":{"why":"so"},"more":1}""" : """{"decision":false,"context":{"reason":"no"}}""");

    public async ValueTask DisposeAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        await app.StopAsync(limit.Token);
        await app.DisposeAsync();
    }
}
