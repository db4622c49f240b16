using McpAuth.Protocol.Forms;
using McpAuthServer.Audit;
using McpAuthServer.Http;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;

namespace McpAuthServer.Pages;

/// <summary>Reads the forms of our own pages: strictly, and only when this browser got the form from us.</summary>
internal static class PageForm
{
    public const string TokenField = "csrf";

    /// <summary>The field that a list of choices repeats.</summary>
    public const string Item = "item";

    private const int MostFields = 1024;

    private static readonly HashSet<string> Repeatable = [Item];

    /// <summary>The form, or the page that refuses it; the refusal is recorded.</summary>
    /// <param name="refused">The type of that event; its reason is <c>form</c>.</param>
    /// <param name="user">Who is signed in, where somebody is.</param>
    public static async Task<(StrictForm? Form, IResult? Refusal)> ReadAsync(HttpContext context, string refused, string? user = null)
    {
        var (form, error) = await StrictBody.FormAsync(context.Request, Repeatable, MostFields);
        if (form is null)
            return (null, await RefuseAsync(PageResult.From(error!)));
        // The antiforgery check reads the body by itself; here is what was read.
        context.Features.Set<IFormFeature>(new FormFeature(new FormCollection(form.Names.ToDictionary(n => n, n => new StringValues([.. form.Values(n)]), StringComparer.Ordinal))));
        return await context.RequestServices.GetRequiredService<IAntiforgery>().IsRequestValidAsync(context)
            ? (form, null)
            : (null, await RefuseAsync(PageResult.Error(
                StatusCodes.Status403Forbidden, "This form is out of date", "It was not made for this browser, or you signed in or out since. Go back, load the page again and repeat what you did.")));

        async Task<IResult> RefuseAsync(PageResult page)
        {
            var trail = context.RequestServices.GetRequiredService<AuditTrail>();
            await trail.RefuseAsync(trail.Refusal(refused, "form") with { User = user }, []);
            return page;
        }
    }

    public static void Configure(AntiforgeryOptions options)
    {
        // A proxy that ends TLS speaks http to us, where Always would throw. The cookie policy makes every cookie Secure on its way out.
        options.Cookie = new CookieBuilder
        {
            Name = Browser.FormCookie, Path = "/", HttpOnly = true, SameSite = SameSiteMode.Lax, SecurePolicy = CookieSecurePolicy.None, IsEssential = true,
        };
        options.FormFieldName = TokenField;
        options.HeaderName = null;
        options.SuppressXFrameOptionsHeader = true;
    }
}
