using McpAuthServer.Abuse;
using McpAuthServer.Http;
using Microsoft.AspNetCore.CookiePolicy;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.DataProtection.KeyManagement;
using McpAuthServer.Keys;

namespace McpAuthServer.Pages;

/// <summary>What pages need, and how they are told from the rest.</summary>
internal static class PageRoutes
{
    public static void AddPages(this IServiceCollection services)
    {
        services.AddAuthentication(Browser.Scheme).AddCookie(Browser.Scheme, Browser.Configure);
        services.AddAntiforgery(PageForm.Configure);
        services.Configure<CookiePolicyOptions>(options =>
        {
            options.Secure = CookieSecurePolicy.Always;
            options.HttpOnly = HttpOnlyPolicy.Always;
            options.MinimumSameSitePolicy = SameSiteMode.Lax;
        });
        services.AddDataProtection().SetApplicationName("McpAuth");
        services.AddSingleton<KeyRingStore>();
        services.AddOptions<KeyManagementOptions>().Configure<KeyRingStore>((options, ring) => options.XmlRepository = ring);
        services.AddSingleton<Interactions>();
    }

    /// <summary>Routes whose answers people read: also a failure is a page. What is not counted otherwise counts with the authorization endpoint.</summary>
    public static RouteGroupBuilder MapPages(this IEndpointRouteBuilder routes) =>
        routes.MapGroup("").WithMetadata(new FailureForm(PageResult.From)).Limited(Limit.Authorization);
}
