using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace McpAuth.EndToEnd.Harness;

/// <summary>A web site of somebody else's with one page, the same at every address.</summary>
internal static class Site
{
    /// <param name="policy">The page's content security policy, if it has one.</param>
    public static async Task<WebApplication> StartAsync(string page, int status = 200, string? policy = null)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        WebApplication site = builder.Build();
        site.Run(context =>
        {
            (context.Response.StatusCode, context.Response.ContentType) = (status, "text/html; charset=utf-8");
            if (policy is not null) context.Response.Headers.ContentSecurityPolicy = policy;
            return context.Response.WriteAsync(page);
        });
        await site.StartAsync();
        return site;
    }
}
