using System.Security.Claims;
using McpAuth.Protocol;
using McpAuthServer.People;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;

namespace McpAuthServer.Pages;

/// <summary>The sign-in that a browser carries: a sealed cookie that names a session, which is looked up at every request.</summary>
internal static class Browser
{
    public const string Scheme = "session";

    /// <summary>RFC 6265bis §4.1.3.2: this prefix holds the cookie to one host, all of it, over TLS.</summary>
    public const string Cookie = "__Host-mcpauth", FormCookie = "__Host-mcpauth-csrf";

    private const string SessionClaim = "sid";

    /// <summary>Who sits before the browser; null when nobody is signed in, or the session ended, or the user was disabled.</summary>
    public static async Task<SignedIn?> SignedInAsync(HttpContext context)
    {
        await context.AuthenticateAsync(Scheme);
        return context.Features.Get<SignedIn>();
    }

    /// <summary>Puts a new session into the browser in the place of whatever it had.</summary>
    public static Task SignInAsync(HttpContext context, SignInSession session) => context.SignInAsync(Scheme, new ClaimsPrincipal(new ClaimsIdentity(
        [new Claim(Names.Claims.Sub, session.UserId), new Claim(SessionClaim, session.Id)], Scheme, Names.Claims.Sub, roleType: null)));

    /// <summary>Takes the cookie away; the session is ended elsewhere.</summary>
    public static Task SignOutAsync(HttpContext context) => context.SignOutAsync(Scheme);

    public static void Configure(CookieAuthenticationOptions options)
    {
        options.Cookie = new CookieBuilder
        {
            Name = Cookie, Path = "/", HttpOnly = true, SameSite = SameSiteMode.Lax, SecurePolicy = CookieSecurePolicy.Always, IsEssential = true,
        };
        options.ExpireTimeSpan = SignInSession.Life;
        options.SlidingExpiration = false;
        options.Events.OnValidatePrincipal = LookUpAsync;
    }

    /// <summary>The cookie alone says nothing: the session it names must live.</summary>
    private static async Task LookUpAsync(CookieValidatePrincipalContext context)
    {
        var (http, services) = (context.HttpContext, context.HttpContext.RequestServices);
        if (context.Principal?.FindFirstValue(SessionClaim) is { } id
            && await services.GetRequiredService<SessionStore>().FindLive(id, services.GetRequiredService<TimeProvider>().GetUtcNow(), http.RequestAborted) is { } session
            && session.UserId == context.Principal.FindFirstValue(Names.Claims.Sub)
            && await services.GetRequiredService<PersonStore>().Find(session.UserId, http.RequestAborted) is { Enabled: true } person)
        {
            http.Features.Set(new SignedIn(person, session));
        }
        else
        {
            context.RejectPrincipal();
        }
    }
}
