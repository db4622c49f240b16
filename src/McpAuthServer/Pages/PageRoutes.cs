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

    /// <summary>
    /// Cookies are the pages' alone: elsewhere nothing looks for one, which would cost every token request a tenth of its time, and nothing is
    /// authenticated by one. After routing.
    /// </summary>
    public static void UsePageCookies(this WebApplication app)
    {
        // The host would add authentication for every request where it finds none of its own, and it does not look into branches.
        ((IApplicationBuilder)app).Properties["__AuthenticationMiddlewareSet"] = true;
        app.UseWhen(context => context.GetEndpoint()?.Metadata.GetMetadata<FailureForm>() is not null, pages => pages.UseCookiePolicy().UseAuthentication());
    }

    /// <summary>Routes whose answers people read: also a failure is a page. What is not counted otherwise counts with the authorization endpoint.</summary>
    public static RouteGroupBuilder MapPages(this IEndpointRouteBuilder routes) =>
        routes.MapGroup("").WithMetadata(new FailureForm(PageResult.From)).Limited(Limit.Authorization);
}
